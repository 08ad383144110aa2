//! Acknowledgement policies from text.

use replication_log::ship::AckPolicy;

/// Text is refused, at a place in it, or read; what was read is written as what reads the same.
pub fn a_text_is_an_acknowledgement_policy_or_is_refused(text: &str) {
    match text.parse::<AckPolicy<String>>() {
        Err(error) => assert!(text.get(error.at()..).is_some(), "{} is no place in the text", error.at()),
        Ok(policy) => {
            let written = policy.to_string();
            assert_eq!(written.parse().as_ref(), Ok(&policy), "it reads as it was written");
            assert!(written.len() <= 3 * text.len() + 16, "quotes and commas, and no more");
        }
    }
}
