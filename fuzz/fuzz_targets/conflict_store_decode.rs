//! The versions of one document from foreign bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::a_document_decodes_only_from_its_canonical_bytes(bytes);
});
