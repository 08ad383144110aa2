//! `dson` 0.3.0. It has no set and no counter: its map from elements to registers stands in for an OR-set, which also
//! carries a value for each element. Building it takes long, so it is measured at 1,000 elements only.

use dson::crdts::mvreg::MvRegValue;
use dson::{CausalDotStore, Identifier, OrMap};

use crate::workloads::{DeltaSet, Merging, MergingSet, RemovingSet};

type Map = OrMap<u64>;

/// A map whose keys are the elements.
#[derive(Clone, Default)]
pub struct OrSet(CausalDotStore<Map>);

/// No workload has more than eight writers.
fn identifier(replica: u128) -> Identifier {
    Identifier::new(replica.try_into().expect("writers are numbered from 1 to 8"), 0)
}

impl OrSet {
    fn addition(&self, replica: u128, element: u64) -> CausalDotStore<Map> {
        let Self(map) = self;
        let write = |register: &dson::MvReg, context: &dson::CausalContext, id| {
            register.write(MvRegValue::Bool(true), context, id)
        };
        map.store.apply_to_register(write, element, &map.context, identifier(replica))
    }

    /// The map does not look at who removes.
    fn removal(&self, element: u64) -> CausalDotStore<Map> {
        self.0.store.remove(&element, &self.0.context, identifier(1))
    }

    fn join(&mut self, CausalDotStore { store, context }: CausalDotStore<Map>) {
        self.0.join_or_replace_with(store, &context);
    }
}

impl Merging for OrSet {
    type Rest = ();

    fn merge_with(&mut self, other: Self) {
        self.join(other.0);
    }
}

impl MergingSet for OrSet {
    fn add(&mut self, replica: u128, element: u64) {
        self.join(self.addition(replica, element));
    }

    fn has(&self, element: u64) -> bool {
        self.0.store.get(&element).is_some()
    }

    fn elements(&self) -> Vec<u64> {
        let mut elements: Vec<u64> = self.0.store.inner().keys().copied().collect();
        elements.sort_unstable();
        elements
    }
}

impl RemovingSet for OrSet {
    fn remove(&mut self, element: u64) {
        self.join(self.removal(element));
    }
}

impl DeltaSet for OrSet {
    type Delta = Vec<CausalDotStore<Map>>;

    fn adding(&mut self, replica: u128, elements: &[u64]) -> Self::Delta {
        let add = |element: &u64| {
            let delta = self.addition(replica, *element);
            self.join(delta.clone());
            delta
        };
        elements.iter().map(add).collect()
    }

    fn removing(&mut self, elements: &[u64]) -> Self::Delta {
        let remove = |element: &u64| {
            let delta = self.removal(*element);
            self.join(delta.clone());
            delta
        };
        elements.iter().map(remove).collect()
    }

    fn take_in(&mut self, delta: Self::Delta) {
        for delta in delta {
            self.join(delta);
        }
    }
}
