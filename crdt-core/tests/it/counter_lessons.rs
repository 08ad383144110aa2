//! What counters must get right, each a lesson from a counter that got it wrong.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::cmp::Ordering;

use crdt_core::{CounterOverflow, Crdt, DeltaCrdt, GCounter, PnCounter, ReplicaId, VersionDigest};

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xc; 16]);

fn counted(entries: &[(ReplicaId, u64)]) -> GCounter {
    let mut counter = GCounter::default();
    for &(replica, amount) in entries {
        counter.increment(by(replica), amount).unwrap();
    }
    counter
}

#[test]
fn the_sum_goes_past_64_bits() {
    let sum = counted(&[(A, u64::MAX)]).merged(&counted(&[(B, 1)]));
    assert_eq!(sum.value(), 1 << 64);
}

#[test]
fn a_full_entry_refuses_more_and_stays_as_it_is() {
    let mut counter = counted(&[(A, u64::MAX), (B, 5)]);
    let before = counter.clone();

    let refused = counter.increment(by(A), 1);

    assert_eq!(refused, Err(CounterOverflow { replica: A, current: u64::MAX, amount: 1 }));
    assert_eq!(counter, before);
    assert_eq!(counter.version_digest(), before.version_digest());
    counter.increment(by(B), 1).unwrap();
    assert_eq!(counter.entry(B), 6, "other entries are not affected");
}

#[test]
fn counting_nothing_leaves_no_trace() {
    let mut counter = GCounter::default();
    let delta = counter.increment(by(A), 0).unwrap();
    assert!(delta.is_bottom());
    assert!(counter.is_bottom());
    assert_eq!(counter.entries().count(), 0);
    assert_eq!(counter.compare(&GCounter::default()), Some(Ordering::Equal));
    assert_eq!(counter.version_digest(), 0);

    counter.increment(by(A), u64::MAX).unwrap();
    assert!(counter.increment(by(A), 0).unwrap().is_bottom(), "not even a full entry minds");
}

#[test]
fn decrement_then_increment_comes_back_to_zero() {
    let mut counter = PnCounter::default();
    counter.decrement(by(A), 1).unwrap();
    counter.increment(by(A), 1).unwrap();
    assert_eq!(counter.value(), 0);
    assert!(!counter.is_bottom(), "zero again is not never touched");

    let mut counter = PnCounter::default();
    counter.decrement(by(A), 1).unwrap();
    counter.decrement(by(A), 1).unwrap();
    assert_eq!(counter.value(), -2);
}

#[test]
fn deltas_may_come_late_twice_and_in_any_order() {
    let mut a = GCounter::default();
    let first = a.increment(by(A), 1).unwrap();
    let second = a.increment(by(A), 2).unwrap();

    let mut b = GCounter::default();
    assert!(b.merge(&second).is_changed());
    assert!(!b.merge(&first).is_changed(), "what the second one says includes it");
    assert!(!b.merge(&second).is_changed());
    assert_eq!(b.value(), 3);
}

#[test]
fn both_directions_are_exact_at_their_extremes() {
    let mut counter = PnCounter::default();
    counter.increment(by(A), u64::MAX).unwrap();
    counter.increment(by(B), u64::MAX).unwrap();
    counter.decrement(by(C), u64::MAX).unwrap();
    assert_eq!(counter.value(), i128::from(u64::MAX));

    let mut counter = PnCounter::default();
    counter.decrement(by(A), i64::MIN.unsigned_abs()).unwrap();
    assert_eq!(counter.value(), i128::from(i64::MIN));
    counter.decrement(by(B), u64::MAX).unwrap();
    counter.decrement(by(C), u64::MAX).unwrap();
    assert_eq!(counter.value(), i128::from(i64::MIN) - 2 * i128::from(u64::MAX));
}

#[test]
fn a_full_direction_refuses_whatever_the_other_holds() {
    let mut counter = PnCounter::default();
    counter.increment(by(A), u64::MAX).unwrap();
    counter.decrement(by(A), u64::MAX).unwrap();
    let before = counter.clone();
    assert!(counter.increment(by(A), 1).is_err());
    assert!(counter.decrement(by(A), 1).is_err());
    assert_eq!(counter, before);
    assert_eq!(counter.value(), 0);
}

#[test]
fn opposite_directions_of_one_replica_are_concurrent_knowledge() {
    let up = PnCounter::default().increment(by(A), 1).unwrap();
    let down = PnCounter::default().decrement(by(A), 1).unwrap();
    assert_eq!(up.compare(&down), None);
    assert_ne!(up.version_digest(), down.version_digest());
}

#[test]
fn a_delta_holds_only_what_the_receiver_lacks() {
    let ahead = counted(&[(A, 5), (B, 2), (C, 1)]);
    let behind = counted(&[(A, 5), (B, 1)]);

    let delta = ahead.delta_since(&behind.digest());

    assert_eq!(delta, counted(&[(B, 2), (C, 1)]));
    assert_eq!(behind.merged(&delta), ahead);
    assert!(ahead.delta_since(&ahead.digest()).is_bottom());
}

#[test]
fn parts_are_one_per_replica_and_direction() {
    let mut counter = PnCounter::default();
    counter.increment(by(A), 1).unwrap();
    counter.increment(by(B), 2).unwrap();
    counter.decrement(by(A), 3).unwrap();

    let parts = counter.split();

    assert_eq!(parts.len(), 3);
    let whole = parts.iter().fold(PnCounter::default(), PnCounter::merged);
    assert_eq!(whole, counter);
}
