//! What a store knows about itself, in one row.

use alloc::string::ToString;

use ::redb::{Database, ReadableDatabase, TableError, WriteTransaction};
use crdt_core::codec::{decode_payload, encode_payload};
use crdt_core::{Limits, ReplicaId};
use serde::{Deserialize, Serialize};

use super::error::RedbError;
use super::identity::Note;
use super::open::FsyncPolicy;
use super::{CHANGES, META, STATES};
use crate::limits::SEQUENCE_JUMP;

/// The layout this release writes, and the only one it reads.
pub(super) const LAYOUT: u16 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) layout: u16,
    /// Who writes, and how many did before.
    pub(super) replica: ReplicaId,
    pub(super) incarnation: u64,
    /// How often the file was opened to write.
    pub(super) opens: u64,
    /// What lay beside the file before it was last opened.
    pub(super) note_before: Option<Note>,
    /// The file that this was written into, by device and number; where the operating system has such.
    pub(super) place: Option<(u64, u64)>,
    /// The policy under which it is open, or was when it crashed; none after a clean close.
    pub(super) open_under: Option<FsyncPolicy>,
    pub(super) applied_lsn: u64,
    pub(super) last_sequence: u64,
    pub(super) floor: u64,
}

impl Meta {
    pub(super) fn new(replica: ReplicaId) -> Self {
        Self {
            layout: LAYOUT,
            replica,
            incarnation: 0,
            opens: 0,
            note_before: None,
            place: None,
            open_under: None,
            applied_lsn: 0,
            last_sequence: 0,
            floor: 0,
        }
    }

    /// A new identity, and an end to all cursors into the feed.
    pub(super) fn reincarnated(self, replica: ReplicaId) -> Self {
        let first = self.last_sequence.saturating_add(SEQUENCE_JUMP);
        Self {
            replica,
            incarnation: self.incarnation.saturating_add(1),
            last_sequence: first,
            floor: first,
            ..self
        }
    }

    pub(super) fn next_sequence(&mut self) -> Result<u64, RedbError> {
        self.last_sequence = self.last_sequence.checked_add(1).ok_or(RedbError::SequencesExhausted)?;
        Ok(self.last_sequence)
    }

    /// What is in the file; none in one without any tables.
    pub(super) fn read(database: &Database) -> Result<Option<Self>, RedbError> {
        let table = match database.begin_read()?.open_table(META) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        let damaged = |reason| RedbError::DamagedFile { reason };
        let row = table.get(())?.ok_or_else(|| damaged("they are missing".into()))?;
        let meta =
            decode_payload(row.value(), &Limits::DEFAULT).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(meta))
    }

    pub(super) fn write(&self, transaction: &WriteTransaction) -> Result<(), RedbError> {
        let row = encode_payload(self);
        transaction.open_table(META)?.insert((), row.as_slice())?;
        Ok(())
    }

    /// The first thing written into a new file, so that readers find all tables.
    pub(super) fn found(&self, transaction: &WriteTransaction) -> Result<(), RedbError> {
        transaction.open_table(STATES)?;
        transaction.open_table(CHANGES)?;
        self.write(transaction)
    }
}
