//! Snapshots: the application's state as of one record, so that the log before it can go and a new
//! node need not replay it.
//!
//! A snapshot is a file beside the segments, named by the record it stands for. It is written in
//! chunks under a provisional name and gets its own name only when all of it is durable, so that a
//! snapshot with a name is whole; what was being written when the power went is removed when the
//! directory is opened. Each chunk has a checksum that continues the one before and is bound to the
//! log, the record and the place, so chunks of two attempts, of two snapshots or in another order
//! never pass for one.
//!
//! ```
//! use replication_log::{
//!     Batch, Epoch, Log, LogOptions, Lsn, RecordKind, snapshot::Snapshots, storage::MemoryStorage,
//! };
//!
//! // A node that has applied record 1 writes its state down.
//! let storage = MemoryStorage::new();
//! let (mut log, _) = Log::open(storage.clone(), LogOptions::new(0x5eed))?;
//! let milk = Batch::of(Epoch::ZERO, RecordKind(1), b"milk")?;
//! let bread = Batch::of(Epoch::ZERO, RecordKind(1), b"bread")?;
//! log.append(&milk)?;
//! log.sync()?;
//! let snapshots = Snapshots::open(storage)?;
//! let mut writer = snapshots.begin(&log, Lsn::new(1))?;
//! writer.write(b"the list: milk")?;
//! writer.finish()?;
//! log.append(&bread)?;
//! log.sync()?;
//!
//! // Another one begins with that snapshot, and a log that continues behind it.
//! let mut reader = snapshots.read(Lsn::new(1))?;
//! reader.usable_with(&log)?;
//! let mut state = Vec::new();
//! while let Some(chunk) = reader.next_chunk()? {
//!     state.extend_from_slice(chunk);
//! }
//! let options = LogOptions::new(0xcafe).starts_after(reader.identity().position);
//! let (mut copy, _) = Log::open(MemoryStorage::new(), options)?;
//! copy.append(&bread)?;
//! assert_eq!((state.as_slice(), copy.checksum()), (&b"the list: milk"[..], log.checksum()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod format;
mod reader;
mod writer;

use alloc::{format, string::String, vec::Vec};

pub use error::{BeginError, SnapshotDamage, SnapshotError, UnusableSnapshot};
pub use reader::SnapshotReader;
pub use writer::SnapshotWriter;

use crate::{
    Log, Lsn, Position,
    limits::MAX_SNAPSHOT_CHUNK_BYTES,
    storage::{Storage, StorageError},
};

/// How many bytes of state a chunk holds unless it is set.
const DEFAULT_CHUNK_BYTES: u32 = 64 << 10;

/// Which log a snapshot was taken of, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotIdentity {
    /// The id of the log. It is bound into every checksum; a copy on another node keeps it.
    pub log_id: u64,
    /// What the snapshot contains: every batch up to here.
    pub position: Position,
}

/// The snapshots in a directory.
///
/// It keeps nothing in memory: every question is answered by the directory itself. See the
/// [module](self) for an example.
#[derive(Clone, Debug)]
pub struct Snapshots<S> {
    storage: S,
    chunk_bytes: u32,
}

impl<S: Storage> Snapshots<S> {
    /// Removes what was never finished, durably. Nothing may be writing a snapshot meanwhile.
    pub fn open(storage: S) -> Result<Self, StorageError> {
        let unborn: Vec<String> =
            storage.list()?.into_iter().filter(|name| is_unborn_file_name(name)).collect();
        for name in &unborn {
            storage.remove(name)?;
        }
        if !unborn.is_empty() {
            storage.sync_directory()?;
        }
        Ok(Self { storage, chunk_bytes: DEFAULT_CHUNK_BYTES })
    }

    /// Sets how many bytes a chunk of a new snapshot holds, from 1 to
    /// [`MAX_SNAPSHOT_CHUNK_BYTES`]; what is outside is brought to the nearer end.
    pub fn chunk_bytes(mut self, bytes: u32) -> Self {
        self.chunk_bytes = bytes.clamp(1, MAX_SNAPSHOT_CHUNK_BYTES);
        self
    }

    /// The records there are snapshots of, ascending.
    pub fn list(&self) -> Result<Vec<Lsn>, StorageError> {
        // Sixteen digits each, so the order of the names is that of the numbers.
        Ok(self.storage.list()?.iter().filter_map(|name| parse_file_name(name)).collect())
    }

    /// The record of the newest snapshot.
    pub fn newest(&self) -> Result<Option<Lsn>, StorageError> {
        Ok(self.list()?.pop())
    }

    /// Begins a snapshot of the state after the durable record `lsn` of `log`, which must be the
    /// last of its batch: batches are atomic, also in a snapshot.
    pub fn begin<L: Storage>(&self, log: &Log<L>, lsn: Lsn) -> Result<SnapshotWriter<&S>, BeginError> {
        let position = log.position(lsn)?;
        Ok(self.receive(SnapshotIdentity { log_id: log.id(), position })?)
    }

    /// Begins a copy of a snapshot that was taken elsewhere. With the same chunk size it becomes
    /// the same file.
    ///
    /// Fails with `AlreadyExists` while another snapshot of the same record is being written. A
    /// finished one is replaced in one step.
    pub fn receive(&self, identity: SnapshotIdentity) -> Result<SnapshotWriter<&S>, StorageError> {
        SnapshotWriter::create(&self.storage, identity, self.chunk_bytes)
    }

    /// The same, into a writer that can be kept while other things are done.
    pub fn receive_at_leisure(&self, identity: SnapshotIdentity) -> Result<SnapshotWriter<S>, StorageError>
    where
        S: Clone,
    {
        SnapshotWriter::create(self.storage.clone(), identity, self.chunk_bytes)
    }

    /// Opens the snapshot of record `lsn`. Reads its two ends; O(1).
    pub fn read(&self, lsn: Lsn) -> Result<SnapshotReader<S::File>, SnapshotError> {
        SnapshotReader::open(self.storage.open(&file_name(lsn))?, lsn)
    }

    /// Removes the snapshots of records below `lsn`, oldest first and durably, and returns them.
    ///
    /// Verify the one that is to be kept before: nothing here reads it.
    pub fn remove_before(&self, lsn: Lsn) -> Result<Vec<Lsn>, StorageError> {
        self.remove_if(|snapshot| snapshot < lsn)
    }

    /// Removes the snapshots of records after `lsn`, durably, and returns them: before those records are cut off the
    /// log.
    pub fn remove_after(&self, lsn: Lsn) -> Result<Vec<Lsn>, StorageError> {
        self.remove_if(|snapshot| snapshot > lsn)
    }

    /// Removes the snapshots of records that are chosen, oldest first and durably, and returns them.
    pub fn remove_if(&self, is_chosen: impl Fn(Lsn) -> bool) -> Result<Vec<Lsn>, StorageError> {
        let chosen: Vec<Lsn> = self.list()?.into_iter().filter(|snapshot| is_chosen(*snapshot)).collect();
        for &snapshot in &chosen {
            self.storage.remove(&file_name(snapshot))?;
        }
        if !chosen.is_empty() {
            self.storage.sync_directory()?;
        }
        Ok(chosen)
    }
}

fn file_name(lsn: Lsn) -> String {
    format!("{:016x}.snapshot", lsn.get())
}

/// The name a snapshot has until all of it is durable.
fn unborn_file_name(lsn: Lsn) -> String {
    format!("{:016x}.snapshot.new", lsn.get())
}

/// The record whose snapshot has this name, if it is one in its canonical spelling.
fn parse_file_name(name: &str) -> Option<Lsn> {
    let lsn = Lsn::new(u64::from_str_radix(name.strip_suffix(".snapshot")?, 16).ok()?);
    (file_name(lsn) == name).then_some(lsn)
}

fn is_unborn_file_name(name: &str) -> bool {
    name.strip_suffix(".new").is_some_and(|name| parse_file_name(name).is_some())
}
