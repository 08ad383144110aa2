//! `crdts` 7.3.2, with 16-byte actors like the family's replicas. Its merges use up what is merged in.

use crdts::{CmRDT, CvRDT, GCounter, GSet, Orswot, PNCounter, orswot};

use crate::workloads::{DeltaSet, Merging, MergingCounter, MergingSet, RemovingSet};

/// Its OR-set.
pub type OrSet = Orswot<u64, u128>;

macro_rules! merging {
    ($($candidate:ty),*) => {$(
        impl Merging for $candidate {
            type Rest = ();

            fn merge_with(&mut self, other: Self) {
                self.merge(other);
            }
        }
    )*};
}

merging!(GCounter<u128>, PNCounter<u128>, GSet<u64>, OrSet);

impl MergingCounter for GCounter<u128> {
    fn count(&mut self, replica: u128, amount: u64) {
        self.apply(self.inc_many(replica, amount));
    }

    fn total(&self) -> u128 {
        self.read().try_into().expect("no workload counts that far")
    }
}

impl MergingCounter for PNCounter<u128> {
    fn count(&mut self, replica: u128, amount: u64) {
        self.apply(self.inc_many(replica, amount));
        self.apply(self.dec_many(replica, amount / 2));
    }

    fn total(&self) -> u128 {
        self.read().try_into().expect("more was counted up than down")
    }
}

impl MergingSet for GSet<u64> {
    fn add(&mut self, _: u128, element: u64) {
        self.insert(element);
    }

    fn has(&self, element: u64) -> bool {
        self.contains(&element)
    }

    fn elements(&self) -> Vec<u64> {
        self.read().into_iter().collect()
    }
}

impl MergingSet for OrSet {
    fn add(&mut self, replica: u128, element: u64) {
        let add = self.read_ctx().derive_add_ctx(replica);
        self.apply(Self::add(self, element, add));
    }

    fn has(&self, element: u64) -> bool {
        self.contains(&element).val
    }

    fn elements(&self) -> Vec<u64> {
        let mut elements: Vec<u64> = self.iter().map(|read| *read.val).collect();
        elements.sort_unstable();
        elements
    }
}

impl RemovingSet for OrSet {
    fn remove(&mut self, element: u64) {
        let remove = self.contains(&element).derive_rm_ctx();
        self.apply(self.rm(element, remove));
    }
}

/// It has no deltas: the operations travel one by one.
impl DeltaSet for OrSet {
    type Delta = Vec<orswot::Op<u64, u128>>;

    fn adding(&mut self, replica: u128, elements: &[u64]) -> Self::Delta {
        let add = |element: &u64| {
            let op = Self::add(self, *element, self.read_ctx().derive_add_ctx(replica));
            self.apply(op.clone());
            op
        };
        elements.iter().map(add).collect()
    }

    fn removing(&mut self, elements: &[u64]) -> Self::Delta {
        let remove = |element: &u64| {
            let op = self.rm(*element, self.contains(element).derive_rm_ctx());
            self.apply(op.clone());
            op
        };
        elements.iter().map(remove).collect()
    }

    fn take_in(&mut self, delta: Self::Delta) {
        for op in delta {
            self.apply(op);
        }
    }
}
