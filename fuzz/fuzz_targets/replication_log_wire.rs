//! Frames between the two ends of a shipped log, foreign, damaged and out of order.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::what_comes_on_the_wire_is_a_batch_that_follows_or_nothing(bytes);
});
