//! Documents in one file, by the embedded engine [`::redb`].
//!
//! # Why this engine
//!
//! `redb` is a copy-on-write B-tree in one file: it opens in under a millisecond whatever the file
//! holds, scans in key order four times as fast as a log-structured merge tree did, needs `libc` and
//! nothing else, starts no thread, and rolls back to its last durable commit after a crash without
//! replaying anything. What it costs is bulk loading in random key order, where `fjall` was seven
//! times as fast; that one brings 47 crates and took half a second to open the same 200,000 keys.
//!
//! # What is promised
//!
//! - A batch, its LSN and the sequences of its keys are one transaction: after a crash all of it is
//!   there, or nothing.
//! - Under [`FsyncPolicy::EveryBatch`] a batch is durable when [`apply`](Backend::apply) returns. Under
//!   [`FsyncPolicy::OnDemand`] it is durable after the next [`sync`](RedbBackend::sync), and a crash
//!   takes the store back to the last one.
//! - A file is open once, in this process and in all others.
//! - Stored bytes are checked against their version digest whenever they are read; damage is
//!   [`RedbError::Damaged`] and names the key.
//! - Whoever may have lost writes, or may not be the only one to hold this file, writes under a new
//!   [`ReplicaId`]: see [`Opened`].

mod copy;
mod error;
mod identity;
mod meta;
mod open;
mod record;
mod rows;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Bound;
use std::path::{Path, PathBuf};

use ::redb::{
    Database, Durability, ReadableDatabase, ReadableTableMetadata, TableDefinition, WriteTransaction,
};
use crdt_core::{Limits, ReplicaId};

pub use error::{OpenError, RedbError};
pub use identity::{MintReason, Minted};
pub use open::{FsyncPolicy, Opened, RedbOptions};

use self::meta::Meta;
use self::rows::{Rows, Tables};
use super::{ApplyError, Backend, Batch, ChangedKey, Entry, FillError, KeyVersion, StoredState};

/// Records by key.
const STATES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("states");
/// Digest and key by sequence.
const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
/// The one [`Meta`].
const META: TableDefinition<'_, (), &[u8]> = TableDefinition::new("meta");

/// A [`Backend`] in one file.
///
/// ```
/// use conflict_store::backend::redb::{MintReason, RedbBackend, RedbOptions};
/// use conflict_store::{Document, Store, Strategy};
/// use crdt_core::ReplicaId;
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("documents");
/// // In earnest: `ReplicaId::from_random_bytes`, new for every call.
/// let (backend, opened) = RedbBackend::open(&path, RedbOptions::new(ReplicaId::from_u128(1)))?;
/// assert_eq!(opened.minted.map(|minted| minted.because), Some(MintReason::NewStore));
///
/// let mut store = Store::<Vec<u8>, _>::new(Strategy::KeepAll, backend);
/// store.put(b"milk", None, b"1 l".to_vec(), None)?;
/// store.into_backend().close()?;
///
/// let (backend, opened) = RedbBackend::open(&path, RedbOptions::new(ReplicaId::from_u128(2)))?;
/// assert_eq!(opened.replica, ReplicaId::from_u128(1), "nothing was lost, so the writer is the same");
/// let store = Store::<Vec<u8>, _>::new(Strategy::KeepAll, backend);
/// assert_eq!(store.get(b"milk")?.value, Some(b"1 l".to_vec()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedbBackend<S> {
    database: Database,
    path: PathBuf,
    fsync: FsyncPolicy,
    limits: Limits,
    meta: Meta,
    states: PhantomData<fn() -> S>,
}

impl<S> RedbBackend<S> {
    /// Who writes into this store.
    pub fn replica(&self) -> ReplicaId {
        self.meta.replica
    }

    /// How many identities this store and those it was copied from have had before this one.
    pub fn incarnation(&self) -> u64 {
        self.meta.incarnation
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes everything applied so far durable. It is already under [`FsyncPolicy::EveryBatch`].
    pub fn sync(&mut self) -> Result<(), RedbError> {
        self.commit_meta(&self.meta)
    }

    /// Makes everything durable and notes that nothing is missing, so that the next open need not
    /// suspect a crash. Dropping the backend does not.
    pub fn close(self) -> Result<(), RedbError> {
        self.commit_meta(&Meta { open_under: None, ..self.meta })
    }

    fn commit_meta(&self, meta: &Meta) -> Result<(), RedbError> {
        let transaction = begin(&self.database, FsyncPolicy::EveryBatch)?;
        meta.write(&transaction)?;
        Ok(transaction.commit()?)
    }

    /// Runs `change` in one transaction and commits it with the meta data it leaves, or does nothing.
    fn transact<E: From<RedbError>>(
        &mut self,
        fsync: FsyncPolicy,
        change: impl FnOnce(&mut Tables<'_>, &mut Meta) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut meta = self.meta;
        let transaction = begin(&self.database, fsync)?;
        change(&mut Tables::open(&transaction, self.limits)?, &mut meta)?;
        meta.write(&transaction)?;
        transaction.commit().map_err(RedbError::from)?;
        self.meta = meta;
        Ok(())
    }
}

fn begin(database: &Database, fsync: FsyncPolicy) -> Result<WriteTransaction, RedbError> {
    let mut transaction = database.begin_write()?;
    if fsync == FsyncPolicy::OnDemand {
        transaction.set_durability(Durability::None)?;
    }
    Ok(transaction)
}

impl<S: StoredState> Backend<[u8], S> for RedbBackend<S> {
    type Error = RedbError;

    /// O(log n), and decoding the state.
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, S>>, RedbError> {
        let table = self.database.begin_read()?.open_table(STATES)?;
        let Some(record) = table.get(key)? else { return Ok(None) };
        record::decode_state(key, record.value(), &self.limits).map(|state| Some(Cow::Owned(state)))
    }

    /// Reads what was there when it began, one state at a time.
    fn scan<'a>(&'a self, from: Bound<&[u8]>) -> impl Iterator<Item = Result<Entry<'a, [u8], S>, RedbError>>
    where
        S: 'a,
    {
        let range = || {
            let table = self.database.begin_read()?.open_table(STATES)?;
            Ok(table.range::<&[u8]>((from, Bound::Unbounded))?)
        };
        Rows::new(range(), |key, record| {
            let (key, record) = (key.value(), record.value());
            let state = record::decode_state(key, record, &self.limits)?;
            Ok((Cow::Owned(key.to_vec()), Cow::Owned(state)))
        })
    }

    /// O(log n).
    fn version(&self, key: &[u8]) -> Result<Option<KeyVersion>, RedbError> {
        let table = self.database.begin_read()?.open_table(STATES)?;
        let Some(record) = table.get(key)? else { return Ok(None) };
        record::split(key, record.value()).map(|(version, _)| Some(version))
    }

    fn changed_past<'a>(
        &'a self,
        sequence: u64,
    ) -> impl Iterator<Item = Result<ChangedKey<Vec<u8>>, RedbError>> + 'a
    where
        S: 'a,
    {
        let range = || {
            let table = self.database.begin_read()?.open_table(CHANGES)?;
            Ok(table.range((Bound::Excluded(sequence), Bound::Unbounded))?)
        };
        Rows::new(range(), |sequence, row| {
            let (digest, key) = record::split_change(row.value())?;
            let version = KeyVersion { sequence: sequence.value(), digest };
            Ok(ChangedKey { key: key.to_vec(), version })
        })
    }

    fn last_sequence(&self) -> u64 {
        self.meta.last_sequence
    }

    fn floor(&self) -> u64 {
        self.meta.floor
    }

    /// O(batch · log n), and one fsync under [`FsyncPolicy::EveryBatch`].
    ///
    /// After a failure of the disk the engine refuses every further write; drop the backend and open
    /// the file again.
    fn apply(&mut self, lsn: u64, batch: Batch<[u8], S>) -> Result<(), ApplyError<RedbError>> {
        if lsn <= self.meta.applied_lsn {
            return Err(ApplyError::Stale { applied: self.meta.applied_lsn, given: lsn });
        }
        self.transact(self.fsync, |tables, meta| {
            for (key, write) in batch {
                tables.write(meta, &key, write)?;
            }
            meta.applied_lsn = lsn;
            Ok(())
        })
        .map_err(ApplyError::Backend)
    }

    /// One transaction, durable whatever the policy.
    fn fill<X>(
        &mut self,
        lsn: u64,
        floor: u64,
        states: impl Iterator<Item = Result<(Vec<u8>, S), X>>,
    ) -> Result<(), FillError<RedbError, X>> {
        if self.meta.applied_lsn > 0 || self.meta.last_sequence > 0 {
            return Err(FillError::NotNew);
        }
        self.transact(FsyncPolicy::EveryBatch, |tables, meta| {
            (meta.applied_lsn, meta.last_sequence, meta.floor) = (lsn, floor, floor);
            for entry in states {
                let (key, state) = entry.map_err(FillError::Source)?;
                tables.put(meta, &key, &state)?;
            }
            Ok(())
        })
    }

    fn applied_lsn(&self) -> u64 {
        self.meta.applied_lsn
    }

    /// O(1).
    fn len(&self) -> Result<usize, RedbError> {
        let table = self.database.begin_read()?.open_table(STATES)?;
        Ok(usize::try_from(table.len()?).unwrap_or(usize::MAX))
    }
}

impl<X> From<RedbError> for FillError<RedbError, X> {
    fn from(error: RedbError) -> Self {
        Self::Backend(error)
    }
}

impl<S> fmt::Debug for RedbBackend<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbBackend")
            .field("path", &self.path)
            .field("fsync", &self.fsync)
            .field("replica", &self.meta.replica)
            .field("applied_lsn", &self.meta.applied_lsn)
            .finish_non_exhaustive()
    }
}
