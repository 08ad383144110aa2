//! What flags that several replicas switch must get right.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::cmp::Ordering;

use crdt_core::dotted::{Causal, DotSet};
use crdt_core::{
    CausalContext, Crdt, DeltaCrdt, Dot, DotsExhausted, DwFlag, EwFlag, MergeError, Replica, ReplicaId,
    Retire, Retirement, TryMerge, VersionDigest,
};

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xc; 16]);

fn dot(replica: ReplicaId, counter: u64) -> Dot {
    Dot::new(replica, counter).unwrap()
}

#[test]
fn a_flag_nobody_touched_loses_against_the_word_that_wins() {
    assert!(!EwFlag::initially_disabled().is_enabled());
    assert!(DwFlag::initially_enabled().is_enabled());
    assert!(EwFlag::initially_disabled().is_bottom() && DwFlag::initially_enabled().is_bottom());
}

#[test]
fn of_a_concurrent_enabling_and_disabling_the_named_one_wins() {
    let mut ew = EwFlag::default();
    ew.enable(by(A)).unwrap();
    let mut other = ew.clone();
    ew.enable(by(A)).unwrap();
    other.disable();
    assert!(ew.clone().merged(&other).is_enabled());
    assert_eq!(ew.clone().merged(&other), other.merged(&ew));

    let mut dw = DwFlag::default();
    dw.disable(by(A)).unwrap();
    let mut other = dw.clone();
    dw.disable(by(A)).unwrap();
    other.enable();
    assert!(!dw.clone().merged(&other).is_enabled());
    assert_eq!(dw.clone().merged(&other), other.merged(&dw));
}

#[test]
fn one_that_saw_the_other_undoes_it() {
    let mut ew = EwFlag::default();
    let enabling = ew.enable(by(A)).unwrap();
    let mut other = EwFlag::default().merged(&enabling);
    let disabling = other.disable();
    assert!(!ew.merged(&disabling).is_enabled());

    let mut dw = DwFlag::default();
    let disabling = dw.disable(by(A)).unwrap();
    let mut other = DwFlag::default().merged(&disabling);
    let enabling = other.enable();
    assert!(dw.merged(&enabling).is_enabled());
}

#[test]
fn a_flag_up_on_both_sides_can_still_be_down_for_both() {
    let (mut a, mut b) = (EwFlag::default(), EwFlag::default());
    a.enable(by(A)).unwrap();
    let c = a.clone();
    a.disable();
    b.enable(by(B)).unwrap();
    let _ = a.merge(&b);
    b.disable();

    // `a` holds B's enabling and dropped its own, `c` the other way round, and `b` dropped B's.
    assert!(a.is_enabled() && c.is_enabled());
    for [first, second, third] in [[&a, &b, &c], [&b, &c, &a], [&c, &a, &b], [&c, &b, &a]] {
        assert!(!first.clone().merged(second).merged(third).is_enabled());
    }
}

#[test]
fn a_disabling_that_comes_again_does_not_touch_a_later_enabling() {
    let mut a = EwFlag::default();
    a.enable(by(A)).unwrap();
    let mut peer = a.clone();
    let disabling = a.disable();
    let _ = peer.merge(&disabling);
    peer.enable(by(B)).unwrap();

    assert!(!peer.merge(&disabling).is_changed());
    assert!(peer.is_enabled());
}

#[test]
fn an_undoing_may_arrive_before_what_it_undoes() {
    let mut a = DwFlag::default();
    let disabling = a.disable(by(A)).unwrap();
    let enabling = a.enable();

    let early = DwFlag::default().merged(&enabling);
    assert!(early.is_enabled() && !early.is_bottom());
    let early = early.merged(&disabling);

    assert!(early.is_enabled());
    assert_eq!(early, a);
}

#[test]
fn a_delta_speaks_of_exactly_the_dots_concerned() {
    let (mut a, mut b) = (EwFlag::default(), EwFlag::default());
    a.enable(by(A)).unwrap();
    b.enable(by(B)).unwrap();
    b.disable();
    let _ = a.merge(&b);

    let again = a.enable(by(A)).unwrap();
    assert_eq!(again.context(), &CausalContext::from_iter([dot(A, 1), dot(A, 2)]), "nothing about B");
    assert_eq!(a.store(), &DotSet::from(dot(A, 2)));

    let disabling = a.disable();
    assert_eq!(disabling.context(), &CausalContext::from(dot(A, 2)));
    assert!(a.disable().is_bottom(), "nothing to disable, nothing to say");
}

#[test]
fn switching_to_and_fro_keeps_nothing_but_a_range() {
    let mut flag = EwFlag::default();
    for _ in 0..1000 {
        flag.enable(by(A)).unwrap();
        flag.disable();
    }
    assert_eq!((flag.context().range_count(), flag.store().len()), (1, 0));
}

#[test]
fn equal_contexts_are_not_equal_flags() {
    let mut a = EwFlag::default();
    a.enable(by(A)).unwrap();
    let mut b = a.clone();
    a.disable();

    assert_eq!(a.context(), b.context());
    assert_eq!(b.compare(&a), Some(Ordering::Less));
    assert_ne!(a.version_digest(), b.version_digest());
    assert!(b.merge(&a.delta_since(&b.digest())).is_changed());
    assert_eq!(a, b);
    assert!(a.delta_since(&b.digest()).is_bottom());
}

#[test]
fn a_change_in_ones_own_name_is_refused_and_nothing_merged() {
    let mut device = Replica::new(A, DwFlag::default()).unwrap();
    device.edit(DwFlag::disable).unwrap();
    let backup = device.state().clone();
    device.edit(DwFlag::disable).unwrap();

    let mut restored = backup.clone();
    let refused = MergeError::OwnChangesClaimed { replica: A, claimed: 2, issued: 1 };
    assert_eq!(restored.try_merge(device.state(), A), Err(refused));
    assert_eq!(restored, backup);

    // Under a fresh id the changes are a stranger's, and merge.
    assert!(restored.try_merge(device.state(), C).unwrap().is_changed());
    assert_eq!(restored, *device.state());
}

#[test]
fn two_uses_of_one_dot_say_the_same_in_a_flag() {
    // An enabling has no content to differ in: a cloned device does no harm here, and is told by no check.
    let (mut original, mut clone) = (EwFlag::default(), EwFlag::default());
    original.enable(by(A)).unwrap();
    clone.enable(by(A)).unwrap();
    assert!(!original.try_merge(&clone, B).unwrap().is_changed());
}

#[test]
fn without_a_counter_left_nothing_is_switched() {
    let mut everything = CausalContext::new();
    everything.insert_range(A, 1..=u64::MAX);
    let full = Causal::delta(DotSet::from(dot(A, u64::MAX)), everything);
    let (mut ew, mut dw) = (EwFlag::from(full.clone()), DwFlag::from(full));
    let before = (ew.clone(), dw.clone());

    assert_eq!(ew.enable(by(A)), Err(DotsExhausted { replica: A }));
    assert_eq!(dw.disable(by(A)), Err(DotsExhausted { replica: A }));
    assert_eq!((&ew, &dw), (&before.0, &before.1));

    // The way that mints nothing is still open.
    ew.disable();
    dw.enable();
    assert!(!ew.is_enabled() && dw.is_enabled());
}

#[test]
fn retiring_does_not_switch_a_flag() {
    let (mut a, mut b) = (DwFlag::default(), DwFlag::default());
    a.disable(by(A)).unwrap();
    let late = b.clone();
    let _ = b.merge(&a);
    b.enable();
    b.disable(by(B)).unwrap();
    let retirement = Retirement::new(1, [(A, 1)]).unwrap();

    let mut not_ready = late.clone();
    assert!(not_ready.retire(&retirement).is_err());
    assert_eq!(not_ready, late);

    let mut merged = a.clone().merged(&b);
    for flag in [&mut a, &mut b, &mut merged] {
        flag.retire(&retirement).unwrap();
        assert!(!flag.is_enabled());
    }
    assert_eq!(a.context(), &CausalContext::from(dot(retirement.archive(), 1)));
    assert_eq!(a.merged(&b), merged);
}
