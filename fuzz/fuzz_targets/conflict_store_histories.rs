//! Three stores of one document, their writes and what they tell each other.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::stores_say_what_follows_from_the_versions_they_know(bytes);
});
