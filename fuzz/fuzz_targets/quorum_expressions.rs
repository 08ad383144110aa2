//! A quorum system from foreign text.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    fuzz::a_text_is_a_quorum_system_or_is_refused(text);
});
