//! A comparison of ranges with a peer that says anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::a_range_session_ends_whatever_the_peer_says(bytes);
});
