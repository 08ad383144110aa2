//! Deleted documents that are old enough to be forgotten.
//!
//! No document says when it was deleted. Every record of the log has a number, though, and every cell the number of the
//! record that changed it last; so it is enough to note now and then which record was the last one at what time.
//! Whatever changed last at or before a noted record is at least as old as the note.
//!
//! Who may forget a deletion is decided elsewhere: when all replicas hold the same one, which its digest says. A
//! document that changed between the question and the answer is kept.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use replication_log::Lsn;

use super::{ItemKey, JournalRecord, Replica};
use crate::time::WallTime;

/// Into so many parts the horizon is divided: a deletion is forgotten by that much later than it could be.
const STEPS: u32 = 16;
/// More notes are never kept.
const MAX_NOTES: usize = 64;

/// Which record was the last one at what time, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeNotes(Vec<(Lsn, WallTime)>);

impl TimeNotes {
    /// The notes of a record of the log; `None` when no log can hold them.
    pub(super) fn of(noted: &[(u64, WallTime)]) -> Option<Self> {
        let ascends = noted.is_sorted_by(|(lsn, time), (next, later)| lsn < next && time < later);
        (ascends && noted.len() <= MAX_NOTES)
            .then(|| Self(noted.iter().map(|(lsn, time)| (Lsn::new(*lsn), *time)).collect()))
    }

    /// The record that notes them; `None` when there are none.
    pub(super) fn record(&self) -> Option<JournalRecord> {
        let noted = self.0.iter().map(|(lsn, time)| (lsn.get(), *time));
        (!self.0.is_empty()).then(|| JournalRecord::TimeNoted(noted.collect()))
    }

    /// The last record that is known to be as old as this.
    fn by(&self, time: WallTime) -> Option<Lsn> {
        self.0.iter().rev().find(|(_, noted)| *noted <= time).map(|(lsn, _)| *lsn)
    }
}

impl Replica {
    /// Notes which record is the last one now, if there are deletions to be forgotten and the last note is a while ago.
    /// To be called now and then, a few times in the tombstone horizon. Says whether a note was made.
    pub(crate) fn note_time(&mut self, wall: WallTime) -> bool {
        let horizon = self.config.timing.tombstone_horizon;
        // A clock that stands behind what was seen of others makes nothing older.
        let now = wall.max(WallTime::from_millis(self.latest_stamp().millis()));
        let last = self.journal.last();
        let notes = &self.time_notes.0;
        let is_due = match notes.last() {
            // A clock that went back says so at once.
            Some((_, time)) => now < *time || time.saturating_add(horizon / STEPS) <= now,
            None => true,
        };
        let is_new = notes.last().is_none_or(|(lsn, _)| *lsn < last);
        if !is_due || !is_new || !self.partitions.iter().any(|partition| partition.cells.has_deleted()) {
            return false;
        }
        let mut kept: Vec<_> = notes.iter().copied().filter(|(_, time)| *time < now).collect();
        let old = kept.iter().filter(|(_, time)| time.saturating_add(horizon) <= now).count();
        kept.drain(..old.saturating_sub(1).max(kept.len().saturating_sub(MAX_NOTES - 1)));
        kept.push((last, now));
        self.time_notes = TimeNotes(kept);
        if let Some(record) = self.time_notes.record() {
            self.journal.append(&record);
        }
        true
    }

    /// Deleted documents of a partition that did not change since a time, the first `limit` of them, with their
    /// digests.
    pub(crate) fn deleted_older_than(
        &self,
        number: u16,
        horizon: WallTime,
        limit: usize,
    ) -> Vec<(ItemKey, u128)> {
        let Some(until) = self.time_notes.by(horizon) else { return Vec::new() };
        let cells = &self.partition(number).cells;
        let old = cells.deleted_until(until, limit).into_iter();
        old.filter_map(|item| cells.get(&item).map(|held| held.digest).map(|digest| (item, digest))).collect()
    }

    /// Forgets those of these documents that are deleted and have exactly these digests, and says how many that were:
    /// all of them, or the first so many that one command may hold.
    pub(crate) fn forget_deleted(&mut self, number: u16, documents: &[(ItemKey, u128)]) -> usize {
        let cells = &self.partition(number).cells;
        let is_still = |item: &ItemKey, digest: u128| {
            cells.get(item).is_some_and(|held| held.digest == digest && held.cell.is_deleted())
        };
        let same = documents.iter().filter(|(item, digest)| is_still(item, *digest));
        let same: BTreeSet<_> = same.map(|(item, _)| item.clone()).collect();
        let same: Vec<_> = same.into_iter().take(self.config.limits.max_writes).collect();
        let count = same.len();
        if count > 0 {
            self.forget(number, same);
        }
        count
    }
}
