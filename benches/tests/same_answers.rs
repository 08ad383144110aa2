//! Speed is compared only where the answers are the same.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crdt_benches::sessions::Replica;
use crdt_benches::workloads::{Divergence, MergingCounter, MergingSet, diverged_counters, diverged_sets};
use crdt_core::{GCounter, OrSet};

#[test]
fn sets_hold_the_same_before_and_after_merging() {
    for (divergence, name) in Divergence::ALL {
        let ours = set_answers::<OrSet<u64>>(divergence);
        assert_eq!(ours, set_answers::<crdts::Orswot<u64, u128>>(divergence), "{name}");
        assert_eq!(ours[0] == ours[1], divergence == Divergence::None, "{name}");
    }
}

#[test]
fn counters_count_the_same() {
    for replicas in [1, 16, 300] {
        let ours = counter_answer::<GCounter>(replicas);
        assert_eq!(ours, counter_answer::<crdts::GCounter<u128>>(replicas));
    }
}

#[test]
fn a_session_finds_exactly_the_items_that_differ() {
    let (mut here, mut there) = (Replica::new(3_000).unwrap(), Replica::new(3_000).unwrap());
    assert_eq!(here.compare(&mut there).unwrap().found, 0);
    for key in 0..50 {
        here.set(key, 2).unwrap();
    }
    assert_eq!(here.compare(&mut there).unwrap().found, 100, "on each side its own version");
}

/// Left, right, and the two merged.
fn set_answers<S: MergingSet>(divergence: Divergence) -> [Vec<u64>; 3] {
    let [mut left, right] = diverged_sets::<S>(1_000, divergence);
    let apart = [left.elements(), right.elements()];
    left.merge_with(right);
    let [left_elements, right_elements] = apart;
    [left_elements, right_elements, left.elements()]
}

fn counter_answer<C: MergingCounter>(replicas: u128) -> u128 {
    let [mut left, right] = diverged_counters::<C>(replicas);
    left.merge_with(right);
    left.total()
}
