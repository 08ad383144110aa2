//! A leader and its follower among strangers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::what_a_follower_and_its_leader_are_told_leaves_logs_that_open(bytes);
});
