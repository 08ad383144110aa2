//! Every type of crdt-core from foreign bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::a_state_decodes_only_from_its_canonical_bytes(bytes);
});
