//! The versions of one document, and the documents of a store, from foreign bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::a_document_decodes_only_from_its_canonical_bytes(bytes);
    fuzz::a_snapshot_imports_only_as_what_it_exports(bytes);
});
