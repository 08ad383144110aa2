//! What registers that keep siblings, or the extreme value, must get right.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::cmp::Ordering;

use crdt_core::dotted::{Causal, DotFun};
use crdt_core::{
    CausalContext, Change, Crdt, DeltaCrdt, Dot, DotsExhausted, MaxRegister, MergeError, MinRegister,
    MvRegister, Replica, ReplicaId, Retire, Retirement, TryMerge, VersionDigest,
};

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xc; 16]);

type Register = MvRegister<&'static str>;

fn dot(replica: ReplicaId, counter: u64) -> Dot {
    Dot::new(replica, counter).unwrap()
}

fn values(register: &Register) -> Vec<&'static str> {
    register.values().copied().collect()
}

#[test]
fn writes_that_did_not_see_each_other_both_stay_until_one_does() {
    let (mut x, mut y) = (Register::default(), Register::default());
    x.set(by(A), "hello").unwrap();
    x.set(by(A), "world").unwrap();
    y.set(by(B), "world").unwrap();
    y.set(by(B), "hello").unwrap();

    let _ = y.merge(&x);
    assert_eq!(values(&y), ["world", "hello"], "in dot order, not in the order of the values");
    assert_eq!(y.len(), 2);

    y.set(by(B), "mars").unwrap();
    let _ = x.merge(&y);
    assert_eq!(values(&x), ["mars"]);
    assert_eq!(x, y);
}

#[test]
fn equal_values_written_apart_are_two_writes() {
    let (mut a, mut b) = (Register::default(), Register::default());
    a.set(by(A), "same").unwrap();
    b.set(by(B), "same").unwrap();

    let _ = a.merge(&b);

    assert_eq!(values(&a), ["same", "same"]);
    assert!(a.entries().eq([(dot(A, 1), &"same"), (dot(B, 1), &"same")]));
}

#[test]
fn writing_what_is_there_already_is_a_write() {
    let mut a = Register::default();
    a.set(by(A), "same").unwrap();
    let mut b = a.clone();
    let clearing = b.clear();

    let again = a.set(by(A), "same").unwrap();

    assert!(!again.is_bottom());
    assert_eq!(values(&a.merged(&clearing)), ["same"], "the clearing did not see the second write");
}

#[test]
fn a_clearing_spares_what_it_has_not_seen() {
    let mut a = Register::default();
    a.set(by(A), "seen").unwrap();
    let mut b = a.clone();
    b.set(by(B), "unseen").unwrap();

    let clearing = a.clear();

    assert!(a.is_empty());
    assert!(!a.is_bottom());
    assert_eq!(clearing.context(), &CausalContext::from(dot(A, 1)), "exactly the dots removed");
    assert_eq!(values(&b.merged(&clearing)), ["unseen"]);
    assert!(a.clear().is_bottom(), "nothing to clear, nothing to say");
}

#[test]
fn a_clearing_may_arrive_before_the_write() {
    let mut a = Register::default();
    let write = a.set(by(A), "x").unwrap();
    let clearing = a.clear();

    let early = Register::default().merged(&clearing).merged(&write);

    assert_eq!(early, a);
    assert_eq!(early, Register::default().merged(&write).merged(&clearing));
}

#[test]
fn siblings_are_resolved_by_a_write_that_saw_them() {
    let (mut a, mut b, mut c) = (Register::default(), Register::default(), Register::default());
    a.set(by(A), "a").unwrap();
    b.set(by(B), "b").unwrap();
    c.set(by(C), "c").unwrap();
    let _ = a.merge(&b);

    let resolution = a.set_with(by(A), |values| values.max().copied().unwrap_or_default()).unwrap();

    assert_eq!(values(&a), ["b"]);
    assert_eq!(resolution.context(), &CausalContext::from_iter([dot(A, 1), dot(A, 2), dot(B, 1)]));
    assert_eq!(values(&c.merged(&resolution)), ["b", "c"], "it never saw the third");

    let mut fresh = Register::default();
    fresh.set_with(by(A), |values| if values.len() == 0 { "first" } else { "later" }).unwrap();
    assert_eq!(values(&fresh), ["first"]);
}

#[test]
fn a_lost_write_takes_nothing_along() {
    let mut a = Register::default();
    a.set(by(A), "one").unwrap();
    let b = a.clone();
    let lost = a.set(by(A), "two").unwrap();
    let late = a.set(by(A), "three").unwrap();

    // The last write replaced the second only, which never came.
    let ahead = b.merged(&late);
    assert_eq!(values(&ahead), ["one", "three"]);
    assert_eq!(ahead.merged(&lost), a);
}

#[test]
fn equal_contexts_are_not_equal_registers() {
    let mut a = Register::default();
    a.set(by(A), "x").unwrap();
    let b = a.clone();
    a.clear();

    assert_eq!(a.context(), b.context());
    assert_eq!(b.compare(&a), Some(Ordering::Less));
    assert_ne!(a.version_digest(), b.version_digest());
    assert!(b.delta_since(&a.digest()).is_bottom());
    assert_eq!(b.clone().merged(&a.delta_since(&b.digest())), a);
}

#[test]
fn one_dot_with_two_values_is_a_fork_and_with_one_value_a_repetition() {
    let (mut original, mut clone) = (Register::default(), Register::default());
    original.set(by(A), "left").unwrap();
    clone.set(by(A), "right").unwrap();
    let before = original.clone();

    assert_eq!(original.try_merge(&clone, C), Err(MergeError::ForkedReplica { dot: dot(A, 1) }));
    assert_eq!(original, before);
    assert_eq!(original.try_merge(&before, C), Ok(Change::Unchanged));
    assert_eq!(original.len(), 1);
}

#[test]
fn a_restored_backup_is_noticed_and_goes_on_under_a_fresh_id() {
    let mut device = Replica::new(A, Register::default()).unwrap();
    device.edit(|register, me| register.set(me, "one")).unwrap();
    let backup = device.state().clone();
    device.edit(|register, me| register.set(me, "two")).unwrap();
    let peer = device.state().clone();

    // The backup must not start under the old id, and one that did all the same is told by its peers.
    assert_eq!(Replica::new(A, backup.clone()).unwrap_err().changes, 1);
    let mut restored = backup.clone();
    assert_eq!(
        restored.try_merge(&peer, A),
        Err(MergeError::OwnChangesClaimed { replica: A, claimed: 2, issued: 1 })
    );
    assert_eq!(restored, backup, "nothing was merged");
    restored.set(by(A), "other two").unwrap();
    assert_eq!(peer.clone().try_merge(&restored, B), Err(MergeError::ForkedReplica { dot: dot(A, 2) }));

    let mut renamed = Replica::new(C, backup).unwrap();
    renamed.edit(|register, me| register.set(me, "after the restore")).unwrap();
    assert!(renamed.merge(&peer).unwrap().is_changed());
    assert_eq!(values(renamed.state()), ["two", "after the restore"], "both survive");
    assert_eq!(peer.merged(renamed.state()), *renamed.state());
}

#[test]
fn a_forged_history_exhausts_nobody_who_checks() {
    let mut everything = CausalContext::new();
    everything.insert_range(A, 1..=u64::MAX);
    let forged = Register::from(Causal::delta(DotFun::new(), everything));
    let mut mine = Register::default();
    mine.set(by(A), "mine").unwrap();
    let before = mine.clone();

    let claimed = u128::from(u64::MAX);
    let refused = MergeError::OwnChangesClaimed { replica: A, claimed, issued: 1 };
    assert_eq!(mine.try_merge(&forged, A), Err(refused));
    assert_eq!(mine, before);

    // Whoever merges it all the same is out of counters, and learns so without a change or a call.
    let _ = mine.merge(&forged);
    let after = mine.clone();
    assert_eq!(mine.set(by(A), "more"), Err(DotsExhausted { replica: A }));
    let resolved = mine.set_with(by(A), |_| unreachable!("there is no counter for what this would return"));
    assert_eq!(resolved, Err(DotsExhausted { replica: A }));
    assert_eq!(mine, after);
    mine.set(by(B), "fresh id").unwrap();
    assert_eq!(values(&mine), ["fresh id"]);
}

#[test]
fn retiring_writers_keeps_their_siblings() {
    let (mut a, mut b) = (Register::default(), Register::default());
    a.set(by(A), "old").unwrap();
    a.set(by(A), "a").unwrap();
    b.set(by(B), "b").unwrap();
    let early = b.clone();
    let _ = a.merge(&b);
    let _ = b.merge(&a);
    b.set(by(C), "c").unwrap();
    let retirement = Retirement::new(1, [(A, 2), (B, 1)]).unwrap();

    let mut not_ready = early.clone();
    assert_eq!(not_ready.retire(&retirement).unwrap_err().replica, A);
    assert_eq!(not_ready, early);

    let mut merged = a.clone().merged(&b);
    for register in [&mut a, &mut b, &mut merged] {
        register.retire(&retirement).unwrap();
    }
    assert_eq!((values(&a), values(&b)), (vec!["a", "b"], vec!["c"]));
    assert_eq!(a.context().highest(retirement.archive()), 3);
    assert_eq!(a.merged(&b), merged);
}

#[test]
fn the_extreme_value_stays_whatever_comes_later() {
    let mut highest = MaxRegister::default();
    let mut lowest = MinRegister::default();
    for reading in [20, 35, -4, 35, 0] {
        highest.raise(reading);
        lowest.lower(reading);
    }
    assert_eq!((highest.get(), lowest.get()), (Some(&35), Some(&-4)));
    assert!(highest.raise(35).is_bottom() && highest.raise(34).is_bottom());
    assert!(lowest.lower(-4).is_bottom() && lowest.lower(-3).is_bottom());
}

#[test]
fn a_register_never_written_is_behind_every_value() {
    let nothing = MinRegister::<u8>::default();
    let mut greatest = MinRegister::default();

    let delta = greatest.lower(u8::MAX);

    assert!(!delta.is_bottom(), "the worst value is still a value");
    assert_eq!(nothing.compare(&greatest), Some(Ordering::Less));
    assert_eq!(nothing.merged(&delta).get(), Some(&u8::MAX));

    let mut least = MaxRegister::default();
    assert_eq!(MaxRegister::default().merged(&least.raise(0)).get(), Some(&0_u8));
    assert_ne!(least.version_digest(), 0);
}

#[test]
fn it_does_not_matter_who_merges_whom() {
    let [mut low, mut high] = [MaxRegister::default(), MaxRegister::default()];
    low.raise("a");
    high.raise("b");
    assert_eq!(low.clone().merged(&high), high.clone().merged(&low));
    let (mut into_low, mut into_high) = (low.clone(), high.clone());
    assert!(into_low.merge_owned(high.clone()).is_changed());
    assert!(!into_high.merge_owned(low.clone()).is_changed());
    assert_eq!((&into_low, &into_high), (&high, &high));

    assert_eq!(high.delta_since(&low.digest()), high);
    assert!(low.delta_since(&high.digest()).is_bottom());
    assert_eq!((high.split(), MaxRegister::<u8>::default().split()), (vec![high], vec![]));
}

#[test]
fn an_extreme_value_names_nobody() {
    let mut mine = MaxRegister::default();
    mine.raise(3);
    let mut theirs = MaxRegister::default();
    theirs.raise(9);

    assert_eq!((mine.changes_of(A), mine.try_merge(&theirs, A)), (0, Ok(Change::Changed)));
    mine.retire(&Retirement::new(1, [(A, 7)]).unwrap()).unwrap();
    assert_eq!(mine, theirs);
}
