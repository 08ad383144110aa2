//! Documents that were forgotten on one side of a session and not yet on the other.
//!
//! A frontier says what a side has applied, whether or not anything is left of it. So when the frontier of one side
//! covers that of the other, and it holds nothing under a key where the other holds a document, then it had that
//! document once, in that form or a later one, and has forgotten it. It would not have done so had not every Active
//! member known the deletion (see the membership module): what the other side holds is the same deletion, or, on a disk
//! that was restored from a backup, an older copy. Either way it is not taken over, and the side that still holds it
//! learns so by an empty answer, and forgets it, too. It is the rule that sets live by, with frontiers in the place of
//! dots; nothing else need be kept of what was forgotten, and nothing is sent back and forth: after one session both
//! sides hold the same.
//!
//! It is enough that the other frontier covers what this one was when the document changed here last, but for entries
//! that are known to be of other keys: whatever was applied since did not touch it. The side that holds the document knows that, and says so with the state.
//!
//! Where that is not so, or not known any more, nothing can be told apart, and the document is merged as any other: a
//! tombstone may come back, to be forgotten again. A live copy cannot, with one exception: a side that holds one and
//! lacks its deletion lacks an entry that every Active member had, so it is retired, and refused; or it is new, and was
//! sent no entries of what is forgotten (see [`Partition::forget`](super::Partition)); or its disk was restored from a
//! backup. In the last case the other side's frontier covers what the copy shows, unless its owner wrote to that very
//! document before it met anybody, or dropped the entries by which it is known how far it was then.
//!
//! A state that came in a session which was given up may show more than the frontier of the side that holds it. No
//! frontier speaks of that, so it is merged as any other.
//!
//! What either side wrote itself while the session lasted is above the frontiers that are compared. It counts as held
//! where it is, and reaches the other side as entries.

use alloc::vec;
use alloc::vec::Vec;

use crdt_core::{Change, ReplicaId};
use replication_log::Lsn;

use super::{Held, ItemKey, JournalRecord, MergeOutcome, Replica};
use crate::bytes::Bytes;
use crate::cell::{Answer, Cell};
use crate::collection::Kind;
use crate::entry::Position;

/// How the frontiers of two sides of a session compare, as they were when it began, or of one of them with what the
/// other's was when a document changed there last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coverage {
    /// This side has applied all that the other has.
    pub(crate) here: bool,
    /// The other side has applied all that this one has.
    pub(crate) there: bool,
    /// The last record of this side's log then.
    pub(crate) lsn: Lsn,
}

impl Replica {
    /// Decides about a document that only one side of a session holds; `None` when it is to be merged.
    pub(super) fn settle_forgotten(
        &mut self,
        number: u16,
        key: &ItemKey,
        kind: Kind,
        (theirs, heads): (&Cell, &[(ReplicaId, Position)]),
        coverage: Coverage,
    ) -> Option<MergeOutcome> {
        if kind != Kind::Document {
            return None;
        }
        let outcome = |change, answer| Some(MergeOutcome { change, removed: Vec::new(), answer });
        let partition = self.partition(number);
        let is_ahead = |held: &Held| partition.ahead.shown_by(held.lsn, &partition.histories);
        match partition.cells.get(key) {
            None if coverage.here && !theirs.is_vacant() => {
                outcome(Change::Unchanged, Answer::Versions(Bytes::default()))
            }
            Some(held)
                if theirs.is_vacant()
                    && held.lsn <= coverage.lsn
                    && (coverage.there && !is_ahead(held) || partition.is_old_to(key, held, heads)) =>
            {
                self.forget(number, vec![key.clone()]);
                outcome(Change::Changed, Answer::Nothing)
            }
            _ => None,
        }
    }

    /// Forgets the deleted documents that changed last at or before a record; returns how many. Not more than one
    /// command may hold at a time; the rest has its turn in the next round.
    pub(crate) fn collect(&mut self, partition: u16, until: Lsn) -> usize {
        let limit = self.config.limits.max_writes;
        let documents = self.partition(partition).cells.deleted_until(until, limit);
        let count = documents.len();
        if count > 0 {
            self.forget(partition, documents);
        }
        count
    }

    /// Forgets documents, and has the log say so: written again later, such a document is a new one.
    pub(super) fn forget(&mut self, partition: u16, documents: Vec<ItemKey>) {
        let lsn = self.journal.upcoming();
        self.partition_mut(partition).forget(&documents, lsn);
        self.journal.append(&JournalRecord::Collected { partition, documents });
    }
}
