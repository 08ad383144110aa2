//! Whose acknowledgements commit, from foreign text.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    fuzz::a_text_is_an_acknowledgement_policy_or_is_refused(text);
});
