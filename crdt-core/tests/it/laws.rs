//! The counters, the grow-only set and the register obey the laws of merging.

#![cfg(feature = "proptest")]

use crdt_core::laws::{arb_replica, check_delta_laws, check_laws};
use crdt_core::{Crdt, DeltaCrdt, GCounter, GSet, Hlc, LwwRegister, PnCounter, Stamp, VersionDigest};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::by;

fn arb_g_counter() -> impl Strategy<Value = GCounter> {
    vec((arb_replica(), 0_u64..4), 0..6).prop_map(|steps| {
        let mut counter = GCounter::default();
        for (replica, amount) in steps {
            counter.increment(by(replica), amount).expect("small amounts");
        }
        counter
    })
}

fn arb_pn_counter() -> impl Strategy<Value = PnCounter> {
    vec((arb_replica(), any::<bool>(), 0_u64..3), 0..8).prop_map(|steps| {
        let mut counter = PnCounter::default();
        for (replica, up, amount) in steps {
            let step = if up { PnCounter::increment } else { PnCounter::decrement };
            step(&mut counter, by(replica), amount).expect("small amounts");
        }
        counter
    })
}

fn arb_g_set() -> impl Strategy<Value = GSet<u8>> {
    vec(0_u8..6, 0..6).prop_map(GSet::from_iter)
}

/// Few stamps and few values, so that ties are common.
fn arb_register() -> impl Strategy<Value = LwwRegister<u8>> {
    let write = (0_u64..3, arb_replica(), proptest::option::of(0_u8..2));
    vec(write, 0..3).prop_map(|writes| {
        let mut register = LwwRegister::default();
        for (millis, replica, value) in writes {
            let stamp = Stamp { time: Hlc::new(millis, 0), replica };
            // A refused write is a history too.
            let _ = match value {
                Some(value) => register.set(stamp, value),
                None => register.clear(stamp),
            };
        }
        register
    })
}

fn check<T>(a: &T, b: &T, c: &T) -> Result<(), TestCaseError>
where
    T: DeltaCrdt + VersionDigest + PartialEq + core::fmt::Debug,
{
    check_laws(a, b, c)?;
    check_delta_laws(a, b, c)?;
    for (a, b) in [(a, b), (b, c), (c, a)] {
        prop_assert_eq!(a.version_digest() == b.version_digest(), a == b);
    }
    prop_assert_eq!(a.version_digest() == 0, a.is_bottom());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn g_counter([a, b, c] in [arb_g_counter(), arb_g_counter(), arb_g_counter()]) {
        check(&a, &b, &c)?;
    }

    #[test]
    fn pn_counter([a, b, c] in [arb_pn_counter(), arb_pn_counter(), arb_pn_counter()]) {
        check(&a, &b, &c)?;
    }

    #[test]
    fn g_set([a, b, c] in [arb_g_set(), arb_g_set(), arb_g_set()]) {
        check(&a, &b, &c)?;
    }

    #[test]
    fn lww_register([a, b, c] in [arb_register(), arb_register(), arb_register()]) {
        check(&a, &b, &c)?;
    }

    #[test]
    fn a_mutator_does_what_merging_its_delta_does(
        counter in arb_pn_counter(),
        set in arb_g_set(),
        replica in arb_replica(),
        amount in 0_u64..3,
        element in 0_u8..6,
    ) {
        let mut after = counter.clone();
        let delta = after.decrement(by(replica), amount).expect("small amounts");
        prop_assert_eq!(counter.merged(&delta), after);

        let mut after = set.clone();
        let delta = after.insert(element);
        prop_assert_eq!(delta.is_bottom(), set.contains(&element));
        prop_assert_eq!(set.merged(&delta), after);
    }
}
