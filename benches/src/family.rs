//! The family's own candidates.

use crdt_core::{Crdt, GCounter, OrSet, ReplicaId, Writer};

use crate::workloads::{MergingCounter, MergingSet};

impl MergingSet for OrSet<u64> {
    fn add(&mut self, replica: u128, element: u64) {
        let delta = Self::add(self, Writer::unchecked(ReplicaId::from_u128(replica)), element);
        delta.expect("no workload uses up the counters");
    }

    fn remove(&mut self, element: u64) {
        Self::remove(self, &element);
    }

    fn merge_with(&mut self, other: Self) {
        let _ = self.merge_owned(other);
    }

    fn elements(&self) -> Vec<u64> {
        self.iter().copied().collect()
    }
}

impl MergingCounter for GCounter {
    fn increment(&mut self, replica: u128, amount: u64) {
        let delta = Self::increment(self, Writer::unchecked(ReplicaId::from_u128(replica)), amount);
        delta.expect("no workload counts that far");
    }

    fn merge_with(&mut self, other: Self) {
        let _ = self.merge_owned(other);
    }

    fn total(&self) -> u128 {
        self.value()
    }
}
