//! Three replicas of a set, and a network that does anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|steps: &[u8]| {
    fuzz::a_set_says_what_a_model_says_that_never_forgets(steps);
});
