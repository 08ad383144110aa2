//! Bytes that claim to be the layout of a ring.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::a_layout_decodes_only_from_its_canonical_bytes(bytes);
});
