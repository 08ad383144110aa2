//! A log whose files were changed behind its back, opened twice.
#![no_main]

libfuzzer_sys::fuzz_target!(|edits: &[u8]| {
    fuzz::a_damaged_log_opens_the_same_way_twice(edits);
});
