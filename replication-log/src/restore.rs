//! The past, restored: a new directory with the newest snapshot before a chosen point, and the log up to there.
//!
//! A log and its snapshots are a backup that goes to every point in between: a copy of the directory, a follower
//! that is told to keep its segments, or the directory itself after somebody deleted the wrong rows. What is
//! restored is a log of its own, with another id, that ends where it was told to; the original is only read.
//!
//! ```
//! use replication_log::{
//!     Batch, Epoch, Log, LogOptions, Lsn, RecordKind, restore::{Until, restore}, snapshot::Snapshots,
//!     storage::MemoryStorage,
//! };
//!
//! let disk = MemoryStorage::new();
//! let (mut log, _) = Log::open(disk.clone(), LogOptions::new(0x5eed))?;
//! for item in [&b"09:00 milk"[..], b"10:00 bread", b"11:00 all of it deleted"] {
//!     log.append(&Batch::of(Epoch::ZERO, RecordKind(1), item)?)?;
//! }
//! log.sync()?;
//!
//! // Everything that is older than 11 o'clock, by what the records say of themselves.
//! let mut too_late = |record: &replication_log::Record<'_>| record.payload >= &b"11:00"[..];
//! let fresh = LogOptions::new(0xcafe);
//! let (restored, report) =
//!     restore(&log, &Snapshots::open(disk)?, MemoryStorage::new(), fresh, Until::Record(&mut too_late))?;
//! assert_eq!((restored.last(), report.snapshot), (Lsn::new(2), None));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{
    AppendCopyError, Log, LogOptions, Lsn, OpenError, Position, PositionError, PromiseError, ReadError,
    Record, SyncError,
    snapshot::{SnapshotError, SnapshotIdentity, Snapshots},
    storage::{Storage, StorageError},
};

/// Up to where.
pub enum Until<'a> {
    /// Up to and including this record, or the last whole batch before it: batches are not divided.
    Lsn(Lsn),
    /// Up to the last whole batch before the first record of which this is true: a time that records state, for
    /// example. Where clocks were wrong, a record behind that one may be of an earlier time; it is not restored, for
    /// it may rest on what comes before it.
    Record(&'a mut dyn FnMut(&Record<'_>) -> bool),
}

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The snapshot that it begins with, if the log does not begin with its first record.
    pub snapshot: Option<Lsn>,
    /// Where it ends.
    pub end: Position,
    /// The last durable record of the original.
    pub original: Lsn,
}

/// Why nothing was restored. The original is as it was; what was written to the new directory is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// There is something in the new directory.
    #[error("the directory to restore to is not empty: it holds {name:?}; nothing was written")]
    NotEmpty {
        /// What it holds.
        name: alloc::string::String,
    },
    /// The new log would have the id of the original, and the two be mistaken for each other.
    #[error("a restored log needs an id of its own, not {id:#x}; nothing was written")]
    SameId {
        /// The id.
        id: u64,
    },
    /// The point lies before everything there is.
    #[error(
        "record {asked} is older than all there is: the log begins with {oldest}, snapshots with {snapshot:?}"
    )]
    TooOld {
        /// The last record that was asked for.
        asked: Lsn,
        /// The oldest record of the log.
        oldest: Lsn,
        /// The oldest snapshot, if there is one.
        snapshot: Option<Lsn>,
    },
    /// The log could not be read.
    #[error("the original could not be read: {0}")]
    Read(#[from] ReadError),
    /// The point could not be found in the log.
    #[error("the original could not be read: {0}")]
    Position(#[from] PositionError),
    /// A snapshot could not be read.
    #[error("a snapshot could not be read: {0}")]
    Snapshot(#[from] SnapshotError),
    /// The new log could not be made.
    #[error("the new log could not be made: {0}")]
    Open(#[from] OpenError),
    /// The new log could not be written.
    #[error("the new log could not be written: {0}")]
    Append(#[from] AppendCopyError),
    /// The new log could not be written.
    #[error("the new log could not be written: {0}")]
    Promise(#[from] PromiseError),
    /// The new log could not be made durable.
    #[error("the new log could not be made durable: {0}")]
    Sync(#[from] SyncError),
    /// A directory failed.
    #[error("a directory failed: {0}")]
    Storage(#[from] StorageError),
}

/// Makes a new log in `into` of what `log` and its snapshots hold up to a point. O(bytes of the snapshot and of the
/// records behind it), and with [`Until::Record`] of all records of the log.
///
/// The snapshot comes along, and the new log begins behind it; without one, with the first record. What is durable is
/// restored, no more. The new log has promised what the original had, so whoever leads with it needs a later epoch.
/// Interrupted, it leaves a log that ends too early: begin again in another directory.
pub fn restore<S: Storage, T: Storage + Clone>(
    log: &Log<S>,
    snapshots: &Snapshots<S>,
    into: T,
    options: LogOptions,
    until: Until<'_>,
) -> Result<(Log<T>, Restored), RestoreError> {
    if let Some(name) = into.list()?.into_iter().next() {
        return Err(RestoreError::NotEmpty { name });
    }
    if options.log_id == log.id() {
        return Err(RestoreError::SameId { id: log.id() });
    }
    let last = last_record(log, until)?;
    let beginning = beginning(log, snapshots, last)?;
    if let Some(identity) = beginning {
        copy_snapshot(snapshots, identity, into.clone())?;
    }
    let start = beginning.map_or(Position::ORIGIN, |identity| identity.position);
    let (mut restored, _) = Log::open(into, options.starts_after(start))?;
    restored.promise_epoch(log.epoch())?;
    if let Some(next) = start.lsn.next() {
        let mut batches = log.read_batches_from(next)?;
        while let Some(batch) = batches.next_batch()?.filter(|batch| batch.last() <= last) {
            restored.append_copy(log.epoch(), &batch)?;
        }
    }
    restored.sync()?;
    let (snapshot, end, original) =
        (beginning.map(|identity| identity.position.lsn), restored.last_position(), log.durable());
    Ok((restored, Restored { snapshot, end, original }))
}

/// The last record that is asked for.
fn last_record<S: Storage>(log: &Log<S>, until: Until<'_>) -> Result<Lsn, RestoreError> {
    let is_too_late = match until {
        Until::Lsn(lsn) => return Ok(lsn.min(log.durable())),
        Until::Record(is_too_late) => is_too_late,
    };
    let mut reader = log.read_from(log.oldest())?;
    while let Some(record) = reader.next_record()? {
        if is_too_late(&record) {
            return Ok(record.lsn.previous().unwrap_or(Lsn::ZERO));
        }
    }
    Ok(log.durable())
}

/// The newest snapshot at or before a record, from which the log goes on; `None` when everything from the first
/// record on is in the log.
fn beginning<S: Storage>(
    log: &Log<S>,
    snapshots: &Snapshots<S>,
    last: Lsn,
) -> Result<Option<SnapshotIdentity>, RestoreError> {
    let (oldest, all) = (log.oldest(), snapshots.list()?);
    let goes_on = |snapshot: &&Lsn| **snapshot <= last && snapshot.next() >= Some(oldest);
    for &snapshot in all.iter().rev().filter(goes_on) {
        let identity = snapshots.read(snapshot)?.identity();
        match log.position(snapshot) {
            Ok(here) if here == identity.position => return Ok(Some(identity)),
            // A snapshot of another history, with which this log does not go on.
            Ok(_) | Err(PositionError::InsideBatch { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let snapshot = all.first().copied();
    if oldest > Lsn::FIRST { Err(RestoreError::TooOld { asked: last, oldest, snapshot }) } else { Ok(None) }
}

fn copy_snapshot<S: Storage, T: Storage>(
    snapshots: &Snapshots<S>,
    identity: SnapshotIdentity,
    into: T,
) -> Result<(), RestoreError> {
    let mut reader = snapshots.read(identity.position.lsn)?;
    let copies = Snapshots::open(into)?;
    let mut writer = copies.receive(identity)?;
    while let Some(chunk) = reader.next_chunk()? {
        writer.write(chunk)?;
    }
    Ok(writer.finish()?)
}
