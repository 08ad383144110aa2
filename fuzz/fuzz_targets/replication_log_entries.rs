//! Entries and a filter from foreign bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::an_entry_decodes_only_from_its_one_encoding(bytes);
});
