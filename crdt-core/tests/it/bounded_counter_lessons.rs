//! What a counter that never goes below zero must get right, each a lesson from one that got it wrong.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use crdt_core::{
    BoundedCounter, CounterOverflow, Crdt, DeltaCrdt, MergeError, ReplicaId, Retire, Retirement, SpendError,
    TryMerge, VersionDigest,
};

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xc; 16]);

fn with(amount: u64) -> BoundedCounter {
    let mut counter = BoundedCounter::default();
    counter.increment(by(A), amount).unwrap();
    counter
}

#[test]
fn the_last_one_is_not_sold_twice() {
    let shop = with(1);
    let (mut a, mut b) = (shop.clone(), shop);
    a.decrement(by(A), 1).unwrap();

    // B sees one in stock, and has no right to it.
    assert_eq!(b.value(), 1);
    let refused = b.decrement(by(B), 1);
    assert_eq!(refused, Err(SpendError::InsufficientRights { replica: B, available: 0, requested: 1 }));

    assert_eq!(a.merged(&b).value(), 0);
}

#[test]
fn a_refusal_changes_nothing() {
    let mut counter = with(3);
    let before = counter.clone();
    assert!(counter.decrement(by(A), 4).is_err());
    assert!(counter.transfer(by(A), B, 4).is_err());
    assert_eq!(counter, before);
    assert_eq!(counter.version_digest(), before.version_digest());
}

#[test]
fn rights_move_and_the_value_stays() {
    let mut a = with(10);
    let transfer = a.transfer(by(A), B, 4).unwrap();
    assert_eq!((a.value(), a.rights_of(A), a.rights_of(B)), (10, 6, 4));

    let mut b = BoundedCounter::default();
    assert!(b.decrement(by(B), 1).is_err(), "they have not arrived yet");
    let _ = b.merge(&transfer);
    b.decrement(by(B), 3).unwrap();
    let _ = b.merge(&transfer);
    assert_eq!(b.rights_of(B), 1, "and arrive once, however often");
    b.transfer(by(B), C, 1).unwrap();

    let _ = a.merge(&b);
    assert_eq!((a.value(), a.rights_of(A), a.rights_of(B), a.rights_of(C)), (7, 6, 0, 1));
}

#[test]
fn handing_rights_to_oneself_makes_none() {
    let mut counter = with(5);
    let before = counter.clone();
    assert!(counter.transfer(by(A), A, 5).unwrap().is_bottom());
    assert!(counter.transfer(by(A), A, 6).is_err());
    assert_eq!(counter, before);
}

#[test]
fn counting_nothing_leaves_no_trace() {
    let mut counter = BoundedCounter::default();
    assert!(counter.increment(by(A), 0).unwrap().is_bottom());
    assert!(counter.decrement(by(A), 0).unwrap().is_bottom());
    assert!(counter.transfer(by(A), B, 0).unwrap().is_bottom());
    assert!(counter.is_bottom());
    assert_eq!(counter.version_digest(), 0);
}

#[test]
fn a_delta_brings_what_pays_for_it() {
    let mut a = with(5);
    let mut b = BoundedCounter::default().merged(&a.transfer(by(A), B, 5).unwrap());
    let mut c = BoundedCounter::default().merged(&b.transfer(by(B), C, 5).unwrap());
    let spent = c.decrement(by(C), 5).unwrap();

    // The only message that ever arrives at this replica.
    let elsewhere = BoundedCounter::default().merged(&spent);
    assert_eq!((elsewhere.increments(), elsewhere.decrements()), (5, 5), "not a debt of 5");
    assert_eq!(BoundedCounter::default().check_merge(&spent, ReplicaId::from_u128(7)), Ok(()));
}

#[test]
fn parts_are_paid_for_and_none_is_spare() {
    let mut state = with(5);
    state.increment(by(C), 1).unwrap();
    state.transfer(by(A), B, 2).unwrap();
    state.decrement(by(B), 1).unwrap();

    let parts = state.split();

    assert_eq!(parts.len(), 2, "B with A who paid for it, and C");
    for part in &parts {
        assert_eq!(BoundedCounter::default().check_merge(part, ReplicaId::from_u128(7)), Ok(()));
    }
    assert_eq!(parts.iter().fold(BoundedCounter::default(), Crdt::merged), state);
}

#[test]
fn each_entry_is_counted_to_its_end_and_no_further() {
    let mut counter = with(u64::MAX);
    let overflow = CounterOverflow { replica: A, current: u64::MAX, amount: 1 };
    assert_eq!(counter.increment(by(A), 1), Err(overflow));
    counter.increment(by(B), 1).unwrap();
    assert_eq!(counter.value(), 1 << 64, "the sum goes past 64 bits");

    counter.transfer(by(B), A, 1).unwrap();
    assert_eq!(counter.rights_of(A), 1 << 64);
    counter.decrement(by(A), u64::MAX).unwrap();
    let full = counter.clone();
    assert_eq!(counter.decrement(by(A), 1), Err(SpendError::Overflow(overflow)));
    assert_eq!(counter, full);
    assert_eq!(counter.value(), 1);
}

#[test]
fn spending_what_one_does_not_have_is_refused() {
    let honest = with(5);
    let mut forger = honest.clone();
    forger.transfer(by(A), B, 5).unwrap();
    forger.decrement(by(B), 5).unwrap();

    let mut victim = honest.clone();
    let mut funded = honest.clone();
    funded.transfer(by(A), B, 5).unwrap();
    let lone_row = forger.delta_since(&funded.digest());
    assert_eq!(victim.try_merge(&lone_row, C), Err(MergeError::Overspent { replica: B }));
    assert_eq!(victim, honest);
    assert!(victim.try_merge(&forger, C).unwrap().is_changed(), "with what pays for it, it is welcome");

    // Merged unchecked it is no panic and no wrap.
    assert_eq!(BoundedCounter::default().merged(&lone_row).value(), 0);
}

#[test]
fn two_rows_of_one_replica_of_which_neither_follows_are_a_fork() {
    let start = with(5);
    let (mut left, mut right) = (start.clone(), start);
    left.decrement(by(A), 2).unwrap();
    right.transfer(by(A), B, 1).unwrap();
    let before = left.clone();

    assert!(matches!(left.try_merge(&right, C), Err(MergeError::ForkedReplica { .. })));
    assert_eq!(left, before);
    let refused = left.try_merge(&right, A);
    assert_eq!(refused, Err(MergeError::OwnChangesClaimed { replica: A, claimed: 6, issued: 7 }));
}

#[test]
fn an_older_copy_of_oneself_does_not_spend_again() {
    let mut counter = with(5);
    let mut backup = counter.clone();
    counter.decrement(by(A), 5).unwrap();

    let refused = backup.try_merge(&counter, A);
    assert_eq!(refused, Err(MergeError::OwnChangesClaimed { replica: A, claimed: 10, issued: 5 }));
    assert!(backup.try_merge(&counter, B).unwrap().is_changed(), "under another name all is well");
}

#[test]
fn rights_that_a_retired_replica_still_has_are_spent_by_nobody() {
    let mut state = with(5);
    state.transfer(by(A), B, 2).unwrap();
    state.increment(by(C), 1).unwrap();
    let retirement = Retirement::new(1, [(A, state.changes_to_retire(A))]).unwrap();

    state.retire(&retirement).unwrap();

    assert_eq!((state.value(), state.rights_of(B), state.rights_of(C)), (6, 2, 1));
    assert_eq!((state.rights_of(A), state.rights_of(retirement.archive())), (0, 3));
    state.decrement(by(B), 2).unwrap();
    assert_eq!(state.value(), 4);
}

#[test]
fn what_retired_replicas_handed_each_other_is_forgotten() {
    let mut state = with(5);
    state.transfer(by(A), B, 2).unwrap();
    state.transfer(by(B), C, 1).unwrap();
    state.transfer(by(C), A, 1).unwrap();
    let retirement =
        Retirement::new(1, [A, B].map(|replica| (replica, state.changes_to_retire(replica)))).unwrap();

    state.retire(&retirement).unwrap();

    let mut expected = BoundedCounter::default();
    expected.increment(by(retirement.archive()), 5).unwrap();
    expected.transfer(by(retirement.archive()), C, 1).unwrap();
    expected.transfer(by(C), retirement.archive(), 1).unwrap();
    assert_eq!(state, expected);
}

#[test]
fn who_lacks_a_row_is_not_rewritten() {
    let mut state = with(5);
    let before = state.clone();
    let retirement = Retirement::new(1, [(A, 5), (B, 1)]).unwrap();
    assert_eq!(state.retire(&retirement).unwrap_err().replica, B);
    assert_eq!(state, before);
}

#[cfg(feature = "proptest")]
mod interleavings {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Increment(usize, u64),
        Decrement(usize, u64),
        Transfer(usize, usize, u64),
        /// Any delta so far, at any replica, any number of times, or never.
        Deliver(usize, usize),
        Catch(usize, usize),
    }

    fn arb_step() -> impl Strategy<Value = Step> {
        let at = || 0_usize..3;
        prop_oneof![
            2 => (at(), 0_u64..4).prop_map(|(at, amount)| Step::Increment(at, amount)),
            4 => (at(), 0_u64..4).prop_map(|(at, amount)| Step::Decrement(at, amount)),
            3 => (at(), at(), 0_u64..4).prop_map(|(at, to, amount)| Step::Transfer(at, to, amount)),
            6 => (0_usize..40, at()).prop_map(|(delta, to)| Step::Deliver(delta, to)),
            1 => (at(), at()).prop_map(|(from, to)| Step::Catch(from, to)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]

        #[test]
        fn whatever_is_lost_late_or_repeated_nothing_is_spent_twice(steps in vec(arb_step(), 0..60)) {
            let ids = [A, B, C];
            let mut replicas: [BoundedCounter; 3] = Default::default();
            let mut deltas: Vec<BoundedCounter> = Vec::new();
            let (mut added, mut taken) = (0_u128, 0_u128);
            for step in steps {
                match step {
                    Step::Increment(at, amount) => {
                        deltas.push(replicas[at].increment(by(ids[at]), amount).unwrap());
                        added += u128::from(amount);
                    }
                    Step::Decrement(at, amount) => {
                        let rights = replicas[at].rights_of(ids[at]);
                        let spent = replicas[at].decrement(by(ids[at]), amount);
                        prop_assert_eq!(spent.is_ok(), rights >= u128::from(amount));
                        if let Ok(delta) = spent {
                            deltas.push(delta);
                            taken += u128::from(amount);
                        }
                    }
                    Step::Transfer(at, to, amount) => {
                        deltas.extend(replicas[at].transfer(by(ids[at]), ids[to], amount));
                    }
                    Step::Deliver(delta, to) => {
                        if let Some(delta) = deltas.get(delta) {
                            // Checked: what honest replicas send is never refused.
                            prop_assert!(replicas[to].try_merge(delta, ids[to]).is_ok());
                        }
                    }
                    Step::Catch(from, to) => {
                        let missing = replicas[from].delta_since(&replicas[to].digest());
                        prop_assert!(replicas[to].try_merge(&missing, ids[to]).is_ok());
                    }
                }
                for replica in &replicas {
                    prop_assert!(replica.increments() >= replica.decrements());
                    let rights: u128 = ids.iter().map(|id| replica.rights_of(*id)).sum();
                    prop_assert_eq!(rights, replica.value(), "every unit is somebody's to spend");
                }
            }
            let merged = replicas.iter().fold(BoundedCounter::default(), Crdt::merged);
            prop_assert_eq!(merged.value(), added - taken);
        }
    }
}
