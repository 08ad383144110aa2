//! What a member has to remember, as a journal of changes to it in a `replication-log`.
//!
//! Votes, entries, cuts and snapshots are records; each is durable before it counts. From time to time everything that
//! is remembered is written as one record, and what lies before it is dropped. It is little: a few hundred entries of
//! some hundred bytes each, because snapshots follow each other closely and hold one register.

use std::collections::BTreeMap;

use replication_log::storage::Storage;
use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, RecordKind};
use serde::{Deserialize, Serialize};

use crate::types::{Entry, LogId, Meta, Vote};

/// Tells the journal from other logs.
const LOG_ID: u64 = 0x7261_6674;
const CHANGE: RecordKind = RecordKind(1);
/// After so many changes all is written as one.
const MOST_CHANGES: u32 = 2_000;
/// What lies before is dropped by whole files of this size, and
const SEGMENT: u64 = 1 << 20;
/// this much fits into one.
const MOST_WHOLE: usize = 1 << 19;

/// The journal cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the journal of the Raft: {0}")]
pub(crate) struct JournalError(String);

impl JournalError {
    pub(crate) fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// All that is remembered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) vote: Option<Vote>,
    /// Up to here entries are in the snapshot only.
    pub(crate) purged: Option<LogId>,
    pub(crate) entries: BTreeMap<u64, Entry>,
    pub(crate) snapshot: Option<(Meta, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    Vote(Vote),
    Append(Vec<Entry>),
    /// From this index on.
    Truncate(u64),
    /// Up to this one.
    Purge(LogId),
    Snapshot(Meta, String),
    Whole(Kept),
}

impl Kept {
    fn change(&mut self, change: Change) {
        match change {
            Change::Vote(vote) => self.vote = Some(vote),
            Change::Append(entries) => {
                self.entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
            }
            Change::Truncate(index) => drop(self.entries.split_off(&index)),
            Change::Purge(upto) => {
                self.entries = self.entries.split_off(&(upto.index + 1));
                self.purged = Some(upto);
            }
            Change::Snapshot(meta, state) => self.snapshot = Some((meta, state)),
            Change::Whole(kept) => *self = kept,
        }
    }
}

pub(crate) struct Journal<S: Storage> {
    log: Log<S>,
    kept: Kept,
    changes: u32,
}

impl<S: Storage> Journal<S> {
    pub(crate) fn open(storage: S) -> Result<Self, JournalError> {
        let options =
            LogOptions::new(LOG_ID).segment_bytes(SEGMENT).preallocate_bytes(SEGMENT).prepare_bytes(0);
        let (log, report) = Log::open(storage, options).map_err(JournalError::of)?;
        let (mut kept, mut changes) = (Kept::default(), 0);
        let mut reader = log.read_from(report.oldest).map_err(JournalError::of)?;
        while let Some(record) = reader.next_record().map_err(JournalError::of)? {
            kept.change(serde_json::from_slice(record.payload).map_err(JournalError::of)?);
            changes += 1;
        }
        drop(reader);
        Ok(Self { log, kept, changes })
    }

    pub(crate) const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Makes a change, durably.
    pub(crate) fn change(&mut self, change: Change) -> Result<(), JournalError> {
        self.write(&encoded(&change)?)?;
        self.kept.change(change);
        if self.changes >= MOST_CHANGES { self.write_whole() } else { Ok(()) }
    }

    fn write_whole(&mut self) -> Result<(), JournalError> {
        let whole = encoded(&Change::Whole(self.kept.clone()))?;
        self.changes = 0;
        // Unless snapshots do not come, which is no reason to stop.
        if whole.len() <= MOST_WHOLE {
            let at = self.write(&whole)?;
            self.log.truncate_before(at).map_err(JournalError::of)?;
        }
        Ok(())
    }

    fn write(&mut self, change: &[u8]) -> Result<Lsn, JournalError> {
        let batch = Batch::of(Epoch::new(1), CHANGE, change).map_err(JournalError::of)?;
        let lsns = self.log.append(&batch).map_err(JournalError::of)?;
        self.log.sync().map_err(JournalError::of)?;
        self.changes += 1;
        Ok(*lsns.start())
    }
}

fn encoded(change: &Change) -> Result<Vec<u8>, JournalError> {
    serde_json::to_vec(change).map_err(JournalError::of)
}

#[cfg(test)]
mod tests {
    use replication_log::storage::MemoryStorage;

    use super::*;

    #[test]
    fn what_was_kept_is_there_after_a_start_and_old_changes_are_dropped() {
        let storage = MemoryStorage::new();
        let mut journal = Journal::open(storage.clone()).unwrap();
        journal.change(Change::Vote(Vote::new(7, 3))).unwrap();
        for round in 0..MOST_CHANGES + 7 {
            let state = format!("{round}{}", "-".repeat(1_000));
            journal.change(Change::Snapshot(Meta::default(), state)).unwrap();
        }
        drop(journal);
        let journal = Journal::open(storage).unwrap();
        assert_eq!(journal.kept().vote, Some(Vote::new(7, 3)));
        assert!(journal.kept().snapshot.as_ref().unwrap().1.starts_with(&(MOST_CHANGES + 6).to_string()));
        assert!(journal.log.read_from(Lsn::FIRST).is_err(), "the first one is gone");
    }
}
