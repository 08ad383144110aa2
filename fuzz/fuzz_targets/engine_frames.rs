//! An engine with two peers, one of which says anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::what_one_peer_says_does_not_cut_off_the_other(bytes);
});
