//! Speed is compared only where the answers are the same.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crdt_benches::maps;
use crdt_benches::peers::{crdt_kit, crdts, dson};
use crdt_benches::sessions::Replica;
use crdt_benches::workloads::{
    Acquaintance, DeltaSet, Deltas, Divergence, MergingCounter, MergingSet, diverged_counters, diverged_sets,
    forked_sets, grown_sets, shuffled_sets,
};
use crdt_core::{Crdt, GCounter, GSet, OrSet, PnCounter};

#[test]
fn sets_hold_the_same_before_and_after_merging() {
    for (divergence, name) in Divergence::ALL {
        let ours = merged(diverged_sets::<OrSet<u64>>(800, divergence));
        assert_eq!(ours, merged(diverged_sets::<crdts::OrSet>(800, divergence)), "{name}");
        assert_eq!(ours, merged(diverged_sets::<crdt_kit::OrSet>(800, divergence)), "{name}");
        assert_eq!(ours, merged(diverged_sets::<dson::OrSet>(800, divergence)), "{name}");
        assert_eq!(ours[0] == ours[1], divergence == Divergence::None, "{name}");
    }
}

#[test]
fn sets_that_only_grow_hold_the_same() {
    for (divergence, name) in Divergence::ALL {
        let ours = merged(grown_sets::<GSet<u64>>(800, divergence));
        assert_eq!(ours, merged(shuffled_sets::<GSet<u64>>(800, divergence)), "{name}");
        assert_eq!(ours, merged(forked_sets::<GSet<u64>>(800, divergence)), "{name}");
        assert_eq!(ours, merged(grown_sets::<::crdts::GSet<u64>>(800, divergence)), "{name}");
        assert_eq!(ours, merged(grown_sets::<crdt_kit::GSet>(800, divergence)), "{name}");
        assert_eq!(ours[0] == ours[1], divergence == Divergence::None, "{name}");
    }
}

#[test]
fn maps_of_counters_count_everything_once() {
    let [mut left, mut right] = maps::diverged(700);
    let delta = maps::count(&mut right, 2, 7);
    assert!(left.merge(&delta).is_changed());
    assert!(left.merge(&right).is_changed());
    let counted: i128 = maps::keys(700).map(|key| maps::total(&left, key)).sum();
    assert_eq!((counted, maps::total(&left, 7)), (700 + 7 + 7, 1));
}

#[test]
fn sides_are_as_far_apart_as_their_names_say() {
    let common = |divergence| {
        let [left, right, all] = merged(diverged_sets::<OrSet<u64>>(1_000, divergence));
        (
            left.len(),
            left.len() + right.len() - left.iter().filter(|element| right.contains(element)).count(),
            all.len(),
        )
    };
    assert_eq!(common(Divergence::None), (1_000, 1_000, 1_000));
    assert_eq!(common(Divergence::Slight), (1_000, 1_020, 1_000));
    assert_eq!(common(Divergence::Half), (1_000, 1_500, 1_500));
    assert_eq!(common(Divergence::All), (1_000, 2_000, 2_000));
}

#[test]
fn changes_that_travel_alone_arrive_alike() {
    let ours = changed::<OrSet<u64>>();
    assert_eq!(ours, changed::<crdts::OrSet>());
    assert_eq!(ours, changed::<crdt_kit::OrSet>());
    assert_eq!(ours, changed::<dson::OrSet>());
    assert_eq!(ours.map(|elements| elements.len()), [550, 450]);
}

#[test]
fn counters_count_the_same() {
    for (acquaintance, name) in Acquaintance::ALL {
        for replicas in [2, 16, 300] {
            let ours = total::<GCounter>(replicas, acquaintance);
            assert_eq!(ours, total::<::crdts::GCounter<u128>>(replicas, acquaintance), "{name}");
            assert_eq!(ours, total::<crdt_kit::GCounter>(replicas, acquaintance), "{name}");
            let ours = total::<PnCounter>(replicas, acquaintance);
            assert_eq!(ours, total::<::crdts::PNCounter<u128>>(replicas, acquaintance), "{name}");
        }
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
fn merged<S: MergingSet>([mut left, right]: [S; 2]) -> [Vec<u64>; 3] {
    let apart = [left.elements(), right.elements()];
    left.merge_with(right);
    assert!(apart.iter().flatten().filter(|element| left.has(**element)).count() >= left.elements().len());
    let [left_elements, right_elements] = apart;
    [left_elements, right_elements, left.elements()]
}

/// A set of 500 after five changes of ten elements: adds, and removals.
fn changed<S: DeltaSet>() -> [Vec<u64>; 2] {
    let Deltas { set, adds, removals } = Deltas::<S>::new(500, 5);
    [adds, removals].map(|deltas| {
        let mut set = set.clone();
        for delta in deltas {
            set.take_in(delta);
        }
        set.elements()
    })
}

fn total<C: MergingCounter>(replicas: usize, acquaintance: Acquaintance) -> u128 {
    let [mut left, right] = diverged_counters::<C>(replicas, acquaintance);
    left.merge_with(right);
    left.total()
}
