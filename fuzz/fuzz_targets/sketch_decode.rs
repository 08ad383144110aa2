//! Cells of a sketch from foreign bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::cells_give_away_no_more_than_they_are(bytes);
});
