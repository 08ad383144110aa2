//! Bytes that claim to be the checkpoint of a tree.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::a_checkpoint_loads_only_from_its_one_encoding(bytes);
});
