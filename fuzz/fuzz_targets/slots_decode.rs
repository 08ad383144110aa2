//! The slots of a log from foreign bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::slots_decode_only_from_their_one_encoding(bytes);
});
