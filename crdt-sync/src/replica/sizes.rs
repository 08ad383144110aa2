//! What states of a peer may make grow: the records of the log and its batches, and the context of the partition.

use alloc::vec::Vec;

use crdt_core::{Change, ReplicaId};
use replication_log::Lsn;

use super::told::Told;
use super::{JournalRecord, Replica, RunError};
use crate::bytes::Bytes;
use crate::time::WallTime;
use crate::wire::{MergedState, Standing};

/// So many dots take less than 7 MiB. With the largest state beside them they fit into a record.
pub(super) const DOTS_OF_RECORD: usize = 1 << 18;

/// What the states of a part may show ahead of the frontier, until it is noted.
pub(super) struct Unnoted {
    pub(super) bounds: Vec<(ReplicaId, u64)>,
    /// The first record that may show it.
    pub(super) since: Lsn,
}

impl MergedState {
    /// The same in records that the log takes: joined one after the other they do what this does. The first has the
    /// state, the others take away what else was removed.
    fn in_records(mut self) -> Vec<Self> {
        let fits = self.removed.len().min(DOTS_OF_RECORD);
        let rest = self.removed.split_off(fits);
        let mut records = Vec::from([self]);
        for dots in rest.chunks(DOTS_OF_RECORD) {
            let Self { partition, collection, ref key, .. } = records[0];
            let (key, state, removed) = (key.clone(), Bytes::default(), dots.to_vec());
            records.push(Self { partition, collection, key, state, removed });
        }
        records
    }
}

impl Replica {
    /// Has the log say what was merged under a key, and returns the last record that says so.
    ///
    /// A part may cause more than one batch holds. It is as well if only its first states are merged, and of the last
    /// of them only some of what it takes away: the part will be sent again, as nobody says that it arrived. But what
    /// they may show must be known with them.
    pub(super) fn append_merged(&mut self, merged: MergedState, unnoted: &mut Unnoted) -> Lsn {
        let number = merged.partition;
        let mut last = self.journal.last();
        for record in merged.in_records() {
            last = self.journal.append(&JournalRecord::StateMerge(record));
            if self.journal.is_large() {
                self.note_ahead(number, unnoted);
                self.journal.part();
            }
        }
        last
    }

    /// Joins what another replica told and one record does not hold, piece by piece as a replay does.
    pub(super) fn merge_in_records(
        &mut self,
        number: u16,
        told: &Told,
        wall: WallTime,
    ) -> Result<(Change, Lsn), RunError> {
        let mut merged = (Change::Unchanged, self.rests_on(number, &told.item));
        for piece in told.merged_state(number).in_records() {
            let (change, lsn) = self.merge_removal(&piece, told.removes.as_ref(), wall)?;
            merged = (merged.0 | change, merged.1.max(lsn));
            if self.journal.is_large() {
                self.journal.part();
            }
        }
        Ok(merged)
    }

    /// Whether what was seen here stays within its bounds if a peer's standing is taken over. O(ranges).
    pub(crate) fn can_keep(&self, number: u16, standing: &Standing) -> bool {
        let partition = self.partition(number);
        let mut scoped = partition.scoped.clone();
        scoped.merge(&standing.scoped);
        let left = scoped.beyond(&partition.context).beyond(&standing.context);
        left.size() <= self.config.limits.max_context_ranges
            && self.check_room(number, &standing.context).is_ok()
    }
}
