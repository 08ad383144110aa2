//! A table whose file was forged, and entries that were.
#![no_main]

libfuzzer_sys::fuzz_target!(|edits: &[u8]| {
    fuzz::a_forged_table_never_goes_further_than_an_error(edits);
});
