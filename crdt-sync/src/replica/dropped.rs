//! Giving up a partition's data: it moved to other nodes, or was held for them for a while.

use alloc::vec::Vec;

use crdt_core::CausalContext;
use replication_log::Lsn;

use super::removal::Dead;
use super::{JournalRecord, Partition, Replica, RunError};
use crate::history::Histories;
use crate::scope::{Scope, ScopedContext};

impl Replica {
    /// Forgets all data of a partition, and what was seen of it. From here on the node writes under a fresh identity:
    /// under the old one its counters would start again from nothing, and its dots be given out twice. Hints for
    /// others stay.
    ///
    /// Returns the last of the records that make it so; they are one batch. O(n log n) in the keys of the partition.
    pub(crate) fn drop_partition(&mut self, number: u16) -> Result<Lsn, RunError> {
        if self.partitions.get(usize::from(number)).is_none() {
            return Err(RunError::UnknownPartition { partition: number });
        }
        let lsn = self.journal.append(&JournalRecord::Dropped { partition: number });
        self.empty_partition(number, lsn);
        self.renew_identity();
        Ok(self.journal.last())
    }

    pub(super) fn empty_partition(&mut self, number: u16, lsn: Lsn) {
        let scope = self.config.scope.clone();
        self.partition_mut(number).empty(&scope, lsn);
    }
}

impl Partition {
    /// What is known of forks stays: it is about identities, not about data.
    fn empty(&mut self, scope: &Scope, lsn: Lsn) {
        let items: Vec<_> = self.cells.iter().map(|(item, _)| item.clone()).collect();
        for item in &items {
            self.cells.forget(item, lsn);
        }
        // A document that is gone from here was not resolved by anybody.
        self.cells.conflicts.take_turns().for_each(drop);
        self.context = CausalContext::new();
        self.scoped = ScopedContext::default();
        let own: Vec<_> = self.histories.own_of_partial().collect();
        self.histories = Histories::within(scope);
        for id in own {
            self.histories.hold_whole(id);
        }
        self.ahead.clear();
        // Deletions were forgotten with all the rest.
        self.has_forgotten = true;
        self.covered = lsn;
        self.dead = self.dead.take().map(|_| Dead::default());
    }
}
