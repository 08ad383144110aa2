//! Any calls to a log, with power cuts between and within them.
#![no_main]

libfuzzer_sys::fuzz_target!(|calls: &[u8]| {
    fuzz::a_log_recovers_to_a_prefix_of_what_was_appended(calls);
});
