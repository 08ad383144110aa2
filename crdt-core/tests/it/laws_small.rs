//! Registers, flags and the sets with removal obey the laws of merging, and can be retired.

#![cfg(feature = "proptest")]

use core::fmt::Debug;

use crdt_core::laws::{
    arb_context, arb_dw_flag, arb_ew_flag, arb_max_register, arb_min_register, arb_mv_register, arb_replicas,
    arb_rw_set, arb_two_phase_set, check_delta_laws, check_laws,
};
use crdt_core::{
    CausalContext, Crdt, DeltaCrdt, DwFlag, EwFlag, HeapSize, MaxRegister, MinRegister, MvRegister,
    ReplicaId, Retire, Retirement, RwSet, TryMerge, TwoPhaseSet, VersionDigest,
};
use proptest::prelude::*;

use crate::common::by;

/// The writers of the histories.
const A: ReplicaId = ReplicaId::from_bytes([0xaa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xbb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xcc; 16]);

trait Subject: DeltaCrdt + TryMerge + Retire + VersionDigest + HeapSize + PartialEq + Debug {}

impl<T: DeltaCrdt + TryMerge + Retire + VersionDigest + HeapSize + PartialEq + Debug> Subject for T {}

/// Everything that can be asked of any type, with what it says to its users as `value`.
fn check<T: Subject, V: PartialEq + Debug>(
    states: &[T; 3],
    value: impl Fn(&T) -> V,
) -> Result<(), TestCaseError> {
    let [a, b, c] = states;
    check_laws(a, b, c)?;
    check_delta_laws(a, b, c)?;
    for (a, b) in [(a, b), (b, c), (c, a)] {
        prop_assert_eq!(a.version_digest() == b.version_digest(), a == b);
        check_try_merge(a, b)?;
    }
    for state in states {
        prop_assert_eq!(state.version_digest() == 0, state.is_bottom());
        let _ = state.heap_size();
    }
    check_retire(states, value)
}

/// Among replicas that keep the rules, checking first changes nothing but whether own changes may be news.
fn check_try_merge<T: Subject>(ours: &T, theirs: &T) -> Result<(), TestCaseError> {
    let stranger = ReplicaId::from_bytes([0xee; 16]);
    let mut merged = ours.clone();
    let change = merged.try_merge(theirs, stranger);
    let mut trusting = ours.clone();
    prop_assert_eq!(change, Ok(trusting.merge(theirs)));
    prop_assert_eq!(&merged, &trusting);

    for me in [A, B, C] {
        let mut merged = ours.clone();
        let refused = merged.try_merge(theirs, me).is_err();
        prop_assert_eq!(refused, theirs.changes_of(me) > ours.changes_of(me));
        prop_assert_eq!(&merged, if refused { ours } else { &trusting });
    }
    Ok(())
}

/// Rewriting leaves the value alone and commutes with merging; a state that is not ready stays what it is.
fn check_retire<T: Subject, V: PartialEq + Debug>(
    states: &[T; 3],
    value: impl Fn(&T) -> V,
) -> Result<(), TestCaseError> {
    let [a, b, c] = states;
    // Both know all that A and B ever did; what C did, removals included, one of them has not heard.
    let mut one = a.clone().merged(b);
    let mut other = one.clone().merged(c);
    let mut both = one.clone().merged(&other);
    let retirement = Retirement::new(1, [A, B].map(|replica| (replica, one.changes_of(replica))))
        .expect("few changes are made here");

    let before = value(&both);
    for state in [&mut one, &mut other, &mut both] {
        prop_assert_eq!(state.retire(&retirement), Ok(()));
    }
    prop_assert_eq!(value(&both), before);
    prop_assert_eq!(&one.merged(&other), &both);
    for replica in [A, B] {
        prop_assert_eq!(both.changes_of(replica), 0);
    }

    let early = states.iter().find(|state| (**state).clone().retire(&retirement).is_err());
    early.map_or(Ok(()), |state| check_refusal(state, &retirement))
}

fn check_refusal<T: Subject>(state: &T, retirement: &Retirement) -> Result<(), TestCaseError> {
    let mut kept = state.clone();
    prop_assert!(kept.retire(retirement).is_err());
    prop_assert_eq!(&kept, state);
    Ok(())
}

/// Runs a mutator and hands back its delta.
fn same<T: Crdt + PartialEq + Debug>(before: &T, change: impl Fn(&mut T) -> T) -> Result<T, TestCaseError> {
    let mut after = before.clone();
    let delta = change(&mut after);
    prop_assert_eq!(&before.clone().merged(&delta), &after);
    prop_assert_eq!(delta.is_bottom(), *before == after);
    Ok(delta)
}

/// A delta by A speaks of what it replaces and of A's next dot, and of nothing else.
fn minted(
    replaced: &CausalContext,
    context: &CausalContext,
    delta: &CausalContext,
) -> Result<(), TestCaseError> {
    let mut expected = replaced.clone();
    expected.insert(context.next_dot(A).expect("few dots are used here"));
    prop_assert_eq!(delta, &expected);
    Ok(())
}

fn values(register: &MvRegister<u8>) -> Vec<u8> {
    let mut values: Vec<u8> = register.values().copied().collect();
    values.sort_unstable();
    values
}

fn elements(set: &RwSet<u8>) -> (Vec<u8>, Vec<u8>) {
    (set.iter().copied().collect(), set.removed().copied().collect())
}

fn arb_forgetful() -> impl Strategy<Value = [RwSet<u8>; 3]> {
    let action = (0..3_u8, 0..4_u8, arb_context());
    arb_replicas(action, |set: &mut RwSet<u8>, me, (kind, element, cut)| match kind {
        0 => set.add(me, element).unwrap_or_default(),
        1 => set.remove(me, element).unwrap_or_default(),
        _ => set.forget_stable(&cut),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn mv_register(states in arb_mv_register(0..3_u8)) {
        check(&states, values)?;
    }

    #[test]
    fn max_register(states in arb_max_register(0..6_u8)) {
        check(&states, |register| register.get().copied())?;
    }

    #[test]
    fn min_register(states in arb_min_register(0..6_u8)) {
        check(&states, |register| register.get().copied())?;
    }

    #[test]
    fn ew_flag(states in arb_ew_flag()) {
        check(&states, EwFlag::is_enabled)?;
    }

    #[test]
    fn dw_flag(states in arb_dw_flag()) {
        check(&states, DwFlag::is_enabled)?;
    }

    #[test]
    fn two_phase_set(states in arb_two_phase_set(0..5_u8)) {
        let value = |set: &TwoPhaseSet<u8>| -> [Vec<u8>; 2] {
            [set.iter().copied().collect(), set.removed().copied().collect()]
        };
        check(&states, value)?;
    }

    #[test]
    fn rw_set(states in arb_rw_set(0..4_u8)) {
        check(&states, elements)?;
    }

    /// Whatever is forgotten, sound or not, forgetting is a change like any other.
    #[test]
    fn rw_set_that_forgets(states in arb_forgetful()) {
        check(&states, elements)?;
    }

    /// What a mutator does in place is what merging its delta does, and a delta speaks of nothing else.
    #[test]
    fn a_mutator_does_what_merging_its_delta_does(
        [register, ..] in arb_mv_register(0..3_u8),
        [ew, ..] in arb_ew_flag(),
        [dw, ..] in arb_dw_flag(),
        [two_phase, ..] in arb_two_phase_set(0..5_u8),
        [rw, ..] in arb_rw_set(0..4_u8),
        element in 0..5_u8,
        cut in arb_context(),
    ) {
        let delta = same(&register, |state| state.set(by(A), element).expect("few dots"))?;
        minted(&register.digest().live, register.context(), delta.context())?;
        let sum = |register: &mut MvRegister<u8>| register.set_with(by(A), |values| values.sum());
        let delta = same(&register, |state| sum(state).expect("few dots"))?;
        prop_assert!(delta.values().eq(&[register.values().sum::<u8>()]));
        let delta = same(&register, MvRegister::clear)?;
        prop_assert_eq!(delta.context(), &register.digest().live);

        let delta = same(&ew, |state| state.enable(by(A)).expect("few dots"))?;
        minted(&ew.digest().live, ew.context(), delta.context())?;
        let delta = same(&ew, EwFlag::disable)?;
        prop_assert_eq!(delta.context(), &ew.digest().live);
        let delta = same(&dw, |state| state.disable(by(A)).expect("few dots"))?;
        minted(&dw.digest().live, dw.context(), delta.context())?;
        let delta = same(&dw, DwFlag::enable)?;
        prop_assert_eq!(delta.context(), &dw.digest().live);

        same(&two_phase, |state| state.insert(element))?;
        same(&two_phase, |state| state.remove(&element))?;
        same(&MaxRegister::default().raise(2), |state| state.raise(element))?;
        same(&MinRegister::default().lower(2), |state| state.lower(element))?;

        let of_element: CausalContext = rw.marks(&element)
            .into_iter()
            .flat_map(|marks| marks.adds().iter().chain(marks.removals().iter()))
            .collect();
        let delta = same(&rw, |state| state.add(by(A), element).expect("few dots"))?;
        minted(&of_element, rw.context(), delta.context())?;
        let delta = same(&rw, |state| state.remove(by(A), element).expect("few dots"))?;
        minted(&of_element, rw.context(), delta.context())?;
        let delta = same(&rw, |state| state.forget_stable(&cut))?;
        prop_assert!(delta.store().is_empty() && cut.is_superset(delta.context()));
    }

    /// Each element of a two-phase set goes through absent, present, removed, and merging takes the maximum.
    #[test]
    fn two_phase_elements_merge_to_the_maximum([a, b, _] in arb_two_phase_set(0..5_u8)) {
        let stage = |set: &TwoPhaseSet<u8>, element: u8| {
            (set.removed().any(|removed| *removed == element), set.contains(&element))
        };
        let merged = a.clone().merged(&b);
        for element in 0..5 {
            prop_assert_eq!(stage(&merged, element), stage(&a, element).max(stage(&b, element)));
        }
        prop_assert_eq!(merged.len(), (0..5).filter(|element| merged.contains(element)).count());
        prop_assert_eq!(merged.is_empty(), merged.iter().next().is_none());
    }
}
