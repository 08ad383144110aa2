//! What a counter that is reset must get right, each a lesson from a counter that got it wrong.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use crdt_core::dotted::{Causal, DotRuns};
use crdt_core::{
    CausalContext, Crdt, DeltaCrdt, Dot, DotsExhausted, HeapSize, MergeError, ReplicaId, ResetCounter,
    Retire, Retirement, TryMerge,
};

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);

fn dot(replica: ReplicaId, counter: u64) -> Dot {
    Dot::new(replica, counter).unwrap()
}

/// Counted by A.
fn counted(times: u64, amount: u64) -> ResetCounter {
    let mut counter = ResetCounter::default();
    for _ in 0..times {
        counter.increment(by(A), amount).unwrap();
    }
    counter
}

#[test]
fn a_reset_covers_exactly_the_increments_it_saw() {
    let mut a = ResetCounter::default();
    a.increment(by(A), 5).unwrap();
    let mut b = a.clone();
    let counted = a.increment(by(A), 2).unwrap();
    let reset = b.reset();

    assert_eq!(reset.context(), &CausalContext::from(dot(A, 1)), "and says nothing of anything else");
    assert_eq!(a.clone().merged(&b).value(), 2, "a counter that keeps totals gives 7");
    assert_eq!(b.merged(&counted), a.merged(&reset));
}

#[test]
fn down_and_up_again_is_zero() {
    let mut counter = ResetCounter::default();
    counter.decrement(by(A), 1).unwrap();
    counter.increment(by(A), 1).unwrap();
    assert_eq!(counter.value(), 0);
    counter.decrement(by(A), 1).unwrap();
    counter.decrement(by(A), 1).unwrap();
    assert_eq!(counter.value(), -2);
}

#[test]
fn counting_nothing_leaves_no_trace() {
    let mut counter = ResetCounter::default();
    for delta in [counter.increment(by(A), 0), counter.decrement(by(A), 0), counter.add(by(A), 0)] {
        assert!(delta.unwrap().is_bottom());
    }
    assert!(counter.reset().is_bottom());
    assert!(counter.is_bottom());
}

#[test]
fn amounts_are_exact_to_both_ends() {
    let mut counter = ResetCounter::default();
    let delta = counter.increment(by(A), u64::MAX).unwrap();
    assert_eq!(counter.value(), i128::from(u64::MAX));
    assert_eq!(delta.value(), counter.value(), "in as many dots as it takes");
    counter.decrement(by(A), u64::MAX).unwrap();
    counter.add(by(A), i64::MIN).unwrap();
    assert_eq!(counter.value(), i128::from(i64::MIN));
}

#[test]
fn a_hundred_thousand_equal_increments_are_one_run() {
    let mut counter = counted(100_000, 1);
    assert_eq!((counter.value(), counter.store().run_count()), (100_000, 1));
    assert_eq!(counter.heap_size(), 0, "it fits into the value itself");
    assert_eq!(counter.split().len(), 1);

    let reset = counter.clone().reset();
    assert_eq!(reset.context().range_count(), 1);
    assert!(counter.merge(&reset).is_changed());
    assert_eq!((counter.value(), counter.store().run_count()), (0, 0));
}

#[test]
fn amounts_that_alternate_take_an_entry_each_until_a_reset() {
    let mut counter = ResetCounter::default();
    for turn in 0..1_000 {
        counter.increment(by(A), 1 + turn % 2).unwrap();
    }
    assert_eq!((counter.value(), counter.store().run_count()), (1_500, 1_000));
    counter.reset();
    assert_eq!((counter.value(), counter.heap_size()), (0, 0));
}

#[test]
fn deltas_in_any_order_close_to_one_run() {
    let mut a = ResetCounter::default();
    let deltas: Vec<_> = (0..100).map(|_| a.increment(by(A), 3).unwrap()).collect();

    let mut b = ResetCounter::default();
    for delta in deltas.iter().step_by(2).chain(deltas.iter().skip(1).step_by(2)).chain(&deltas) {
        let _ = b.merge(delta);
    }
    assert_eq!(b, a);
    assert_eq!(b.store().run_count(), 1);
}

#[test]
fn a_partial_reset_cuts_a_run() {
    let mut a = counted(9, 1);
    let middle =
        ResetCounter::from(Causal::delta(DotRuns::new(), (4..=5).map(|counter| dot(A, counter)).collect()));
    assert!(a.merge(&middle).is_changed());
    assert!(!a.merge(&middle).is_changed());
    let runs: Vec<_> = a.store().iter().map(|(_, counters, _)| counters).collect();
    assert_eq!(runs, [1..=3, 6..=9]);
    assert_eq!(a.value(), 7);
}

#[test]
fn without_counters_left_nothing_is_counted() {
    let mut full = CausalContext::new();
    full.insert_range(A, 1..=u64::MAX - 2);
    let mut counter = ResetCounter::from(Causal::delta(DotRuns::new(), full));
    let before = counter.clone();

    assert_eq!(counter.increment(by(A), u64::MAX), Err(DotsExhausted { replica: A }), "would take three");
    assert_eq!(counter, before, "all or nothing");
    counter.increment(by(A), 1).unwrap();
    counter.add(by(A), -1).unwrap();
    assert_eq!(counter.add(by(A), 1), Err(DotsExhausted { replica: A }));
    assert_eq!(counter.increment(by(A), 0), Ok(ResetCounter::default()), "nothing takes no counter");
    counter.increment(by(B), 1).unwrap();
    assert_eq!(counter.value(), 1);
}

#[test]
fn one_dot_with_two_amounts_is_a_fork() {
    let (mut one, mut other) = (counted(3, 2), counted(3, 2));
    one.increment(by(A), 1).unwrap();
    other.increment(by(A), 9).unwrap();
    let before = one.clone();

    assert_eq!(one.try_merge(&other, B), Err(MergeError::ForkedReplica { dot: dot(A, 4) }));
    assert_eq!(one, before);
    assert_eq!(one.compare(&other), None, "neither takes the other in");
}

#[test]
fn own_increments_that_were_never_made_are_refused() {
    let mut backup = counted(2, 1);
    let refused = backup.try_merge(&counted(3, 1), A);
    assert_eq!(refused, Err(MergeError::OwnChangesClaimed { replica: A, claimed: 3, issued: 2 }));
    assert!(backup.try_merge(&counted(3, 1), B).unwrap().is_changed());
}

#[test]
fn a_retired_replicas_increments_stay_one_run() {
    let mut counter = counted(500, 2);
    counter.increment(by(B), 2).unwrap();
    let retirement = Retirement::new(1, [(A, counter.changes_to_retire(A)), (B, 1)]).unwrap();
    counter.retire(&retirement).unwrap();

    let runs: Vec<_> = counter.store().iter().map(|(replica, counters, _)| (replica, counters)).collect();
    assert_eq!(runs, [(retirement.archive(), 1..=501)]);
    assert_eq!(counter.value(), 1_002);
}

#[cfg(feature = "serde")]
mod forged {
    use super::*;
    use crdt_core::dotted::DotStore;
    use crdt_core::{Limits, OrMap, codec};

    /// All dots of a replica there are, each with the greatest amount: half of what a sum can hold.
    fn everything(replica: ReplicaId, amount: i64) -> ResetCounter {
        let last = u64::MAX;
        let runs =
            (vec![(replica, vec![(0_u64, last - 1, amount)])], vec![(replica, vec![(0_u64, last - 1)])]);
        codec::decode_payload(&codec::encode_payload(&runs), &Limits::default()).unwrap()
    }

    #[test]
    fn a_run_of_every_dot_there_is_costs_as_much_as_one() {
        let mut counter = everything(A, 1);
        assert_eq!(counter.value(), i128::from(u64::MAX));
        assert_eq!(counter.store().len(), u128::from(u64::MAX));
        assert!(counter.increment(by(A), 1).is_err());
        counter.increment(by(B), 1).unwrap();
        assert!(!counter.merge(&everything(A, 1)).is_changed());
        assert_eq!(counter.split().len(), 2);
        assert_eq!(counter.delta_since(&everything(A, 1).digest()).value(), 1);
        assert_eq!(
            counter.check_merge(&everything(A, 2), B),
            Err(MergeError::ForkedReplica { dot: dot(A, 1) })
        );
        let retirement = Retirement::new(1, [(A, u64::MAX.into())]).unwrap();
        counter.retire(&retirement).unwrap();
        assert_eq!(counter.reset().context().range_count(), 2);
    }

    #[test]
    fn amounts_beyond_any_sum_are_refused_and_do_not_wrap() {
        let (mut left, right) = (everything(A, i64::MAX), everything(B, i64::MAX));
        let before = left.clone();
        let refused = left.try_merge(&right, ReplicaId::from_u128(7));
        assert!(matches!(refused, Err(MergeError::Overflow { .. })), "{refused:?}");
        assert_eq!(left, before);

        // Merging unchecked ends at the bound, the same one whichever way.
        let merged = left.clone().merged(&right);
        assert_eq!(merged.value(), i128::MAX);
        assert_eq!(right.clone().merged(&left), merged);
        let below = everything(A, -i64::MAX).merged(&everything(B, -i64::MAX));
        assert_eq!(below.value(), i128::MIN);

        // Also under a key.
        let nest = |counter: ResetCounter| {
            let (store, context) = Causal::from(counter).into_parts();
            OrMap::<u8, ResetCounter>::from(Causal::delta([(1, store)].into_iter().collect(), context))
        };
        let refused = nest(left).check_merge(&nest(right), ReplicaId::from_u128(7));
        assert!(matches!(refused, Err(MergeError::Overflow { .. })), "{refused:?}");
    }

    #[test]
    fn the_dots_of_a_forged_run_are_never_walked() {
        let nested = OrMap::<u8, ResetCounter>::from(Causal::delta(
            [(1, Causal::from(everything(A, 1)).into_parts().0)].into_iter().collect(),
            CausalContext::new(),
        ));
        let bytes = codec::to_bytes(&nested);
        let mut map: OrMap<u8, ResetCounter> = codec::from_bytes(&bytes, &Limits::default()).unwrap();
        assert_eq!(map.digest().live.range_count(), 1);
        assert_eq!(map.check_merge(&nested, B), Ok(()));
        let copy = map.clone();
        map.update_with(1, ResetCounter::reset);
        assert!(map.is_empty());
        assert!(copy.merged(&map).store().dots().is_empty());
    }
}
