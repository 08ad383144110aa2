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
//! that are known to be of other keys: whatever was applied since did not touch it. The side that holds the document
//! knows that, and says so with the state.
//!
//! A document may have been written anew since under the same key. Then the old one is not merged into it either: the
//! side that has applied all that the old one shows answers with the whole new one, which takes its place. Where all
//! that the old one ends in is part of the new one, it is merged: it brings no old end back, and may know more of the
//! past, which both sides are to hold.
//!
//! Where that is not so, or not known any more, nothing can be told apart, and the document is merged as any other: a
//! tombstone may come back, to be forgotten again. A live copy cannot, with one exception: a side that holds one and
//! lacks its deletion lacks an entry that every Active member had, so it is retired, and refused; or it is new, and
//! was sent no entries of what is forgotten (see [`Partition::forget`](super::Partition)); or its disk was restored
//! from a backup. In the last case the other side's frontier covers what the copy shows, unless its owner wrote to
//! that very document or took in what others had written to it before it had caught up, or dropped the entries by
//! which it is known how far it was then; or unless a node that had never heard of the document was sent it from that
//! disk, and passes it on while it shows more than others have, from a session that is under way or was given up: that
//! this document rests on none of it nobody can tell. A partial replica keeps no entries of others, and can hardly ever
//! tell; and it is compared with nobody while no entries are missing.
//!
//! A state that came in a session which was given up may show more than the frontier of the side that holds it. No
//! frontier speaks of that, so it is merged as any other, and its deletion is not forgotten before the frontier has
//! come that far: else one side after the other would forget it and have it back. Of a retired identity no frontier
//! comes further than where it ends, so a deletion is not kept for what lies beyond it. What lives is: it is what was
//! seen of it, and there is no deletion that says it should go. That bound is never reached, so whatever changed at
//! that node since may show it for good: if its disk is replaced by an older one that has the bound, and a document
//! from after it that was deleted since, that document is merged as any other, and is back.
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

/// Bytes of keys that are forgotten at a time, give or take one key: they are named in one record.
const FORGOTTEN_BYTES: usize = 1 << 20;

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
    /// This side has applied all that the state which arrived may show.
    pub(crate) is_old: bool,
}

/// Whether a document ends in a version that another state does not know.
fn shows_more(ours: &Cell, theirs: &Cell) -> bool {
    match (ours, theirs) {
        (Cell::Document(ours), Cell::Document(theirs)) => {
            ours.leaves().iter().any(|leaf| theirs.get(leaf.id()).is_none())
        }
        _ => false,
    }
}

/// How many of these documents have keys of so many bytes together, or just more.
fn how_many_fit(documents: &[ItemKey], bytes: usize) -> usize {
    let mut room = bytes;
    let fits = |document: &&ItemKey| {
        let had_room = room > 0;
        room = room.saturating_sub(document.key.len());
        had_room
    };
    documents.iter().take_while(fits).count()
}

impl Replica {
    /// Decides about a document of which one side of a session may have forgotten what the other holds; `None` when it
    /// is to be merged.
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
        let is_ahead = |held: &Held| partition.shown_ahead(held).next().is_some();
        let is_old = |held: &Held| held.lsn <= coverage.lsn && partition.is_old_to(key, held, heads);
        match partition.cells.get(key) {
            // What is held was written since. The peer drops its own for all of it, by the next arm. Where each is old
            // to the other nobody can tell which was forgotten; and where all that the peer's ends in is known here, it
            // brings nothing back, and may know more of what came before.
            Some(held)
                if coverage.is_old
                    && !theirs.is_vacant()
                    && shows_more(theirs, &held.cell)
                    && !is_old(held) =>
            {
                outcome(Change::Unchanged, Answer::Whole)
            }
            Some(held)
                if !coverage.is_old
                    && !theirs.is_vacant()
                    && shows_more(&held.cell, theirs)
                    && is_old(held) =>
            {
                self.forget(number, vec![key.clone()]);
                None
            }
            None if coverage.here && !theirs.is_vacant() => {
                outcome(Change::Unchanged, Answer::Versions(Bytes::default()))
            }
            Some(held)
                if theirs.is_vacant()
                    && (coverage.there && held.lsn <= coverage.lsn && !is_ahead(held) || is_old(held)) =>
            {
                self.forget(number, vec![key.clone()]);
                outcome(Change::Changed, Answer::Nothing)
            }
            _ => None,
        }
    }

    /// Forgets the deleted documents that changed last at or before a record and show nothing ahead of the frontier;
    /// returns how many. Not more than one command may hold at a time, nor than a record should name; the rest has its
    /// turn in the next round.
    pub(crate) fn collect(&mut self, partition: u16, until: Lsn) -> usize {
        let (limit, held) = (self.config.limits.max_writes, self.partition(partition));
        let until = held.ahead.settled_until(&held.histories).map_or(until, |settled| until.min(settled));
        let mut documents = held.cells.deleted_until(until, limit);
        documents.truncate(how_many_fit(&documents, FORGOTTEN_BYTES));
        let count = documents.len();
        if count > 0 {
            self.forget(partition, documents);
        }
        // Other partitions may have their turn in the same round, and each can do without the others.
        if self.journal.is_large() {
            self.journal.part();
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
