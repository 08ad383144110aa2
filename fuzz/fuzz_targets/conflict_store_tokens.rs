//! A token, or what is in it, from foreign bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::a_token_opens_only_as_it_was_sealed(bytes);
});
