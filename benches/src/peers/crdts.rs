//! `crdts` 7.3.2, with 16-byte actors like the family's replicas.

use crdts::{CmRDT, CvRDT, GCounter, Orswot};

use crate::workloads::{MergingCounter, MergingSet};

impl MergingSet for Orswot<u64, u128> {
    fn add(&mut self, replica: u128, element: u64) {
        let add = self.read_ctx().derive_add_ctx(replica);
        self.apply(Self::add(self, element, add));
    }

    fn remove(&mut self, element: u64) {
        let remove = self.contains(&element).derive_rm_ctx();
        self.apply(self.rm(element, remove));
    }

    fn merge_with(&mut self, other: Self) {
        self.merge(other);
    }

    fn elements(&self) -> Vec<u64> {
        let mut elements: Vec<u64> = self.iter().map(|read| *read.val).collect();
        elements.sort_unstable();
        elements
    }
}

impl MergingCounter for GCounter<u128> {
    fn increment(&mut self, replica: u128, amount: u64) {
        self.apply(self.inc_many(replica, amount));
    }

    fn merge_with(&mut self, other: Self) {
        self.merge(other);
    }

    fn total(&self) -> u128 {
        let total = self.read().try_into();
        total.expect("no workload counts that far")
    }
}
