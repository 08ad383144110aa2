//! A grow-only set beside the plainest set there is, and what the layout must not show.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use crdt_core::{Crdt, DeltaCrdt, GSet, HeapSize, VersionDigest};
use proptest::collection::vec;
use proptest::prelude::*;

/// What happens to a few replicas.
#[derive(Clone, Debug)]
enum Step {
    Insert { at: usize, element: u16 },
    InsertAll { at: usize, elements: Vec<u16> },
    Merge { from: usize, to: usize },
    MergeOwned { from: usize, to: usize },
    Catch { from: usize, to: usize },
    Track { at: usize },
}

const REPLICAS: usize = 3;

fn arb_step() -> impl Strategy<Value = Step> {
    let at = || 0..REPLICAS;
    prop_oneof![
        4 => (at(), 0_u16..400).prop_map(|(at, element)| Step::Insert { at, element }),
        2 => (at(), vec(0_u16..400, 0..60)).prop_map(|(at, elements)| Step::InsertAll { at, elements }),
        2 => (at(), at()).prop_map(|(from, to)| Step::Merge { from, to }),
        1 => (at(), at()).prop_map(|(from, to)| Step::MergeOwned { from, to }),
        1 => (at(), at()).prop_map(|(from, to)| Step::Catch { from, to }),
        1 => at().prop_map(|at| Step::Track { at }),
    ]
}

#[derive(Clone, Default)]
struct Pair {
    set: GSet<u16>,
    naive: BTreeSet<u16>,
}

impl Pair {
    fn insert(&mut self, elements: &[u16], insert: impl FnOnce(&mut GSet<u16>) -> GSet<u16>) {
        let new: BTreeSet<u16> =
            elements.iter().copied().filter(|element| !self.naive.contains(element)).collect();
        let delta = insert(&mut self.set);
        assert!(delta.to_sorted().into_iter().eq(&new));
        assert!(delta.scrub());
        self.naive.extend(new);
    }

    fn check(&self) {
        assert!(self.set.to_sorted().into_iter().eq(&self.naive));
        assert_eq!(self.set.len(), self.naive.len());
        assert!(self.set.scrub());
        let untracked: GSet<u16> = self.naive.iter().copied().collect();
        assert_eq!(self.set.version_digest(), untracked.version_digest());
        assert_eq!(self.set, untracked);
    }
}

fn run(pairs: &mut [Pair; REPLICAS], step: Step) {
    match step {
        Step::Insert { at, element } => pairs[at].insert(&[element], |set| set.insert(element)),
        Step::InsertAll { at, elements } => {
            pairs[at].insert(&elements, |set| set.insert_all(elements.clone()));
        }
        Step::Merge { from, to } => {
            let from = pairs[from].clone();
            let grew = !from.naive.is_subset(&pairs[to].naive);
            assert_eq!(pairs[to].set.merge(&from.set).is_changed(), grew);
            pairs[to].naive.extend(from.naive);
        }
        Step::MergeOwned { from, to } => {
            let from = pairs[from].clone();
            let grew = !from.naive.is_subset(&pairs[to].naive);
            assert_eq!(pairs[to].set.merge_owned(from.set).is_changed(), grew);
            pairs[to].naive.extend(from.naive);
        }
        Step::Catch { from, to } => {
            let from = pairs[from].clone();
            let delta = from.set.delta_since(&pairs[to].set);
            assert!(delta.to_sorted().into_iter().eq(from.naive.difference(&pairs[to].naive)));
            let _ = pairs[to].set.merge(&delta);
            pairs[to].naive.extend(from.naive);
        }
        Step::Track { at } => pairs[at].set.track_version_digest(),
    }
}

fn naive_order(left: &BTreeSet<u16>, right: &BTreeSet<u16>) -> Option<Ordering> {
    match (left.is_subset(right), right.is_subset(left)) {
        (true, true) => Some(Ordering::Equal),
        (true, false) => Some(Ordering::Less),
        (false, true) => Some(Ordering::Greater),
        (false, false) => None,
    }
}

proptest! {
    #[test]
    fn it_does_what_an_ordinary_set_does(steps in vec(arb_step(), 0..40)) {
        let mut pairs: [Pair; REPLICAS] = Default::default();
        for step in steps {
            run(&mut pairs, step);
            for left in &pairs {
                left.check();
                for right in &pairs {
                    prop_assert_eq!(left.set.compare(&right.set), naive_order(&left.naive, &right.naive));
                    prop_assert_eq!(left.set == right.set, left.naive == right.naive);
                }
            }
        }
    }
}

#[test]
fn sets_that_learned_the_same_in_another_order_are_equal_and_encode_alike() {
    let there: GSet<u32> = (0..1_000).collect();
    let back: GSet<u32> = (0..1_000).rev().collect();
    assert_eq!(there, back);
    assert_eq!(there.compare(&back), Some(Ordering::Equal));
    assert!(!there.clone().merge(&back).is_changed());
    assert_eq!(there.version_digest(), back.version_digest());
    #[cfg(feature = "serde")]
    assert_eq!(crdt_core::codec::to_bytes(&there), crdt_core::codec::to_bytes(&back));
}

#[test]
fn what_is_tracked_stays_current_through_every_way_to_grow() {
    let mut tracked: GSet<u32> = (0..10).collect();
    tracked.track_version_digest();
    tracked.insert(10);
    tracked.insert_all(5..20);
    let _ = tracked.merge(&(15..30).collect());
    let _ = tracked.merge_owned((0..1_000).collect());
    let mut larger: GSet<u32> = (0..2_000).collect();
    larger.track_version_digest();
    let _ = tracked.merge_owned(larger);
    assert!(tracked.scrub());
    assert_eq!(tracked.version_digest(), (0..2_000).collect::<GSet<u32>>().version_digest());
}

#[test]
fn a_delta_of_one_element_allocates_nothing() {
    let mut set: GSet<u64> = (0..1_000).collect();
    let allocations = allocation_counter::measure(|| {
        let delta = set.insert(1_000);
        assert_eq!(delta.heap_size(), 0);
    });
    assert_eq!(allocations.count_total, 0);
}

/// All in one place of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SameHash(u16);

impl Hash for SameHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(0);
    }
}

/// Equal fingerprints never decide that sets are equal.
#[test]
fn hashes_that_collide_cost_time_and_not_elements() {
    let low: GSet<SameHash> = (0..50).map(SameHash).collect();
    let high: GSet<SameHash> = (50..100).map(SameHash).collect();
    assert_ne!(low, high);
    assert_eq!(low.compare(&high), None);
    let mut all: GSet<SameHash> = (0..40).map(SameHash).collect();
    assert!(all.merge(&high).is_changed() && all.merge(&low).is_changed());
    assert_eq!(all.len(), 100);
    assert!(all.scrub());
}
