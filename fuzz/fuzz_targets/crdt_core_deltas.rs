//! Any two states of crdt-core, and what one lacks of the other.
#![no_main]

libfuzzer_sys::fuzz_target!(|steps: &[u8]| {
    fuzz::a_delta_is_exactly_what_the_receiver_lacks(steps);
});
