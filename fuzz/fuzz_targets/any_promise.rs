//! The promise of the target that `FUZZ_PROMISE` names.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::what_the_environment_names(bytes);
});
