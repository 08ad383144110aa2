//! Every type of crdt-core from foreign bytes, envelope included.
#![no_main]
use crdt_core::{GCounter, GSet, LwwRegister, OrSet, PnCounter};
use fuzz::decodes_only_what_is_canonical as check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    check::<GCounter>(bytes);
    check::<PnCounter>(bytes);
    check::<GSet<String>>(bytes);
    check::<OrSet<String>>(bytes);
    check::<LwwRegister<String>>(bytes);
});
