//! `crdt-kit` 0.5, which merges by reference like the family.
//!
//! Its actors are 8 bytes and part of the state, so here a state changes hands by being merged into an empty one of
//! the next actor; no timed step does. It keeps the dots of what was removed as tombstones and looks for each of them
//! in every element, so removals are measured on small sets only.

use crdt_kit::{Crdt, DeltaCrdt, ORSetDelta};

use crate::workloads::{DeltaSet, Merging, MergingCounter, MergingSet, RemovingSet};

macro_rules! candidate {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $default:expr) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(pub $inner);

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }

        impl Merging for $name {
            type Rest = Self;

            fn merge_with(&mut self, other: Self) -> Self {
                self.0.merge(&other.0);
                other
            }
        }
    };
}

candidate! {
    /// Its grow-only counter.
    GCounter, crdt_kit::GCounter, crdt_kit::GCounter::new(0)
}
candidate! {
    /// Its grow-only set.
    GSet, crdt_kit::GSet<u64>, crdt_kit::GSet::new()
}
candidate! {
    /// Its OR-set.
    OrSet, crdt_kit::ORSet<u64>, crdt_kit::ORSet::new(0)
}

/// The lower half: no workload has two that differ in the upper one only.
#[expect(clippy::cast_possible_truncation, reason = "an actor of this crate is 8 bytes")]
const fn actor(replica: u128) -> u64 {
    replica as u64
}

impl MergingCounter for GCounter {
    fn count(&mut self, replica: u128, amount: u64) {
        let mut own = crdt_kit::GCounter::new(actor(replica));
        own.increment_by(amount);
        self.0.merge(&own);
    }

    fn total(&self) -> u128 {
        self.0.value().into()
    }
}

impl MergingSet for GSet {
    fn add(&mut self, _: u128, element: u64) {
        self.0.insert(element);
    }

    fn has(&self, element: u64) -> bool {
        self.0.contains(&element)
    }

    fn elements(&self) -> Vec<u64> {
        self.0.iter().copied().collect()
    }
}

impl OrSet {
    fn hand_to(&mut self, replica: u128) {
        if self.0.actor() != actor(replica) {
            let mut next = crdt_kit::ORSet::new(actor(replica));
            next.merge(&self.0);
            self.0 = next;
        }
    }
}

impl MergingSet for OrSet {
    fn add(&mut self, replica: u128, element: u64) {
        self.hand_to(replica);
        self.0.insert(element);
    }

    fn has(&self, element: u64) -> bool {
        self.0.contains(&element)
    }

    fn elements(&self) -> Vec<u64> {
        self.0.iter().copied().collect()
    }

    /// Each replica counts for itself, or else the order of the parts would show in the dots.
    fn build(adds: &[(u128, Vec<u64>)]) -> Self {
        let mut set = Self::default();
        for (replica, elements) in adds {
            let mut own = crdt_kit::ORSet::new(actor(*replica));
            for element in elements {
                own.insert(*element);
            }
            set.0.merge(&own);
        }
        set
    }
}

impl RemovingSet for OrSet {
    fn remove(&mut self, element: u64) {
        self.0.remove(&element);
    }
}

impl DeltaSet for OrSet {
    type Delta = ORSetDelta<u64>;

    fn adding(&mut self, replica: u128, elements: &[u64]) -> Self::Delta {
        let before = self.clone();
        for element in elements {
            self.add(replica, *element);
        }
        self.0.delta(&before.0)
    }

    fn removing(&mut self, elements: &[u64]) -> Self::Delta {
        let before = self.clone();
        for element in elements {
            self.remove(*element);
        }
        self.0.delta(&before.0)
    }

    fn take_in(&mut self, delta: Self::Delta) {
        self.0.apply_delta(&delta);
    }
}
