//! The disk of a node: a log on a storage that can lose power.
//!
//! What is appended is written at once, to memory; making it durable takes time, and appends made meanwhile
//! share the next sync. This is how a driver uses the log, in simulated time.

mod checkpoints;
mod shared;

use std::collections::VecDeque;

use replication_log::snapshot::{BeginError, SnapshotError, UnusableSnapshot};
use replication_log::storage::{FaultFile, FaultStorage, Storage, StorageError, Survivors};
use replication_log::{
    AppendError, Batch, BatchError, Epoch, Log, LogOptions, Lsn, OpenError, PendingSync, ReadError,
    RecordKind, SyncError, TruncateError,
};
use thiserror::Error;

use crate::topology::Topology;
use shared::Shared;
pub(crate) use shared::{Mistakes, Replacement};

/// Small, so that logs of a short run have several segments, and checkpoints let some of them go.
const SEGMENT_BYTES: u64 = 4 << 10;
const PREALLOCATE_BYTES: u64 = 1 << 10;
/// The log does not look at the kind of a record; the engine's records say themselves what they are.
const KIND: RecordKind = RecordKind(1);

/// A log, the storage under it, and the sync that is under way.
#[derive(Debug)]
pub(crate) struct Disk {
    storage: FaultStorage,
    log: Option<Log<FaultStorage>>,
    sync: Option<PendingSync<FaultFile>>,
    /// Batches that need a new segment and wait for the sync that is under way.
    waiting: VecDeque<Batch>,
    shared: Shared,
    options: LogOptions,
    /// The machine was told to stop at some operation.
    stopping: bool,
    /// A sync was told to fail.
    failing: bool,
    /// There is no room: whatever is appended fails, be it that it only overwrites.
    full: bool,
}

/// Why the log can no longer be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum DiskError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Sync(#[from] SyncError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    BeginSnapshot(#[from] BeginError),
    #[error(transparent)]
    Unusable(#[from] UnusableSnapshot),
    #[error(transparent)]
    Truncate(#[from] TruncateError),
    #[error("{0}")]
    Task(String),
    #[error("record {got} was to be appended where record {expected} comes next")]
    OutOfOrder { expected: Lsn, got: Lsn },
    #[error("there is no room on the disk")]
    Full,
    #[error("the log is to be cut where it is not any more")]
    CutTooFar,
    #[error("the log is not open")]
    Closed,
}

impl Disk {
    /// A disk for a node of this topology.
    pub(crate) fn of(topology: Topology, log_id: u64) -> Self {
        let mut disk = Self::new(log_id);
        if topology == Topology::Leaderless {
            // What a coordinator is asked for at once, states and hints of several keys, is one batch.
            disk.options = disk.options.segment_bytes(2 * SEGMENT_BYTES);
        }
        // Who begins with nothing is sent the log from its first record.
        disk.shared.keeps_all = topology == Topology::SingleLeader;
        disk
    }

    pub(crate) fn new(log_id: u64) -> Self {
        Self {
            storage: FaultStorage::new(),
            log: None,
            sync: None,
            waiting: VecDeque::new(),
            shared: Shared::default(),
            options: LogOptions::new(log_id)
                .segment_bytes(SEGMENT_BYTES)
                .preallocate_bytes(PREALLOCATE_BYTES)
                // Written at once, so that a crash finds sectors that are written and not yet synced.
                .staging_bytes(0),
            stopping: false,
            failing: false,
            full: false,
        }
    }

    /// Opens the log and reads what it holds.
    pub(crate) fn open(&mut self) -> Result<Vec<(Lsn, Vec<u8>)>, DiskError> {
        let known_durable = self.snapshots()?.newest()?.unwrap_or(Lsn::ZERO);
        let (log, _) = Log::open(self.storage.clone(), self.options.clone().known_durable(known_durable))?;
        let records = log
            .read_from(log.oldest())?
            .into_iter()
            .map(|record| record.map(|record| (record.lsn, record.payload)))
            .collect::<Result<_, _>>()?;
        self.log = Some(log);
        self.serve_snapshots()?;
        Ok(records)
    }

    /// Writes a batch; it is durable after the next sync that begins after this.
    pub(crate) fn append(&mut self, first: Lsn, records: &[Vec<u8>]) -> Result<(), DiskError> {
        if self.full {
            return Err(DiskError::Full);
        }
        let mut batch = Batch::new(Epoch::ZERO);
        for record in records {
            batch.push(KIND, record)?;
        }
        let waiting: u64 = self.waiting.iter().map(|batch| batch.len() as u64).sum();
        let log = self.log.as_ref().ok_or(DiskError::Closed)?;
        let expected = Lsn::new(log.last().get() + waiting + 1);
        if expected != first {
            return Err(DiskError::OutOfOrder { expected, got: first });
        }
        self.waiting.push_back(batch);
        self.write_waiting()
    }

    /// Begins a sync if there is something to make durable and none is under way; returns whether it did.
    pub(crate) fn begin_sync(&mut self) -> Result<bool, DiskError> {
        let Some(log) = &mut self.log else { return Ok(false) };
        if self.sync.is_some() || log.durable() == log.last() {
            return Ok(false);
        }
        self.sync = Some(log.begin_sync()?);
        Ok(true)
    }

    /// Finishes the sync under way: what was written before it began is durable, or the log is over.
    pub(crate) fn finish_sync(&mut self) -> Result<Lsn, DiskError> {
        let (Some(log), Some(sync)) = (&mut self.log, self.sync.take()) else {
            return Err(DiskError::Closed);
        };
        let outcome = sync.run();
        let durable = log.finish_sync(sync, outcome)?;
        self.has_synced();
        self.write_waiting()?;
        self.carry_waiting()?;
        Ok(durable)
    }

    /// The process is gone: what it wrote is still there, what it held is not.
    pub(crate) fn abandon(&mut self) {
        self.log = None;
        self.sync = None;
        self.waiting.clear();
        self.shared.forget();
    }

    /// The power is gone, and everything unsynced but the survivors with it.
    pub(crate) fn lose_power(&mut self, survivors: Survivors) {
        self.abandon();
        self.bring_back_former();
        self.storage.crash(survivors);
        self.stopping = false;
        self.has_failed();
        if self.full {
            self.fill();
        }
    }

    /// Lets the next sync fail.
    pub(crate) fn fail_next_sync(&mut self) {
        self.storage.fail_syncs(1);
        self.shared.beside().for_each(|storage| storage.fail_syncs(1));
        self.failing = true;
    }

    /// Lets the machine stop after this many more operations.
    pub(crate) fn stop_after(&mut self, operations: u64) {
        self.storage.stop_after(operations);
        self.shared.beside().for_each(|storage| storage.stop_after(operations));
        self.stopping = true;
    }

    /// From now on nothing can grow.
    pub(crate) fn fill(&mut self) {
        self.storage.limit_space(Some(0));
        self.full = true;
    }

    /// There is room again.
    pub(crate) fn make_room(&mut self) {
        self.storage.limit_space(None);
        self.full = false;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether no error is on order.
    pub(crate) fn is_sound(&self) -> bool {
        !self.stopping && !self.failing && !self.full
    }

    /// Whether a sync is under way.
    pub(crate) fn is_syncing(&self) -> bool {
        self.sync.is_some()
    }

    /// Whether something was appended that is not durable.
    pub(crate) fn awaits_sync(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.durable() < log.last())
    }

    /// What a tool that reads all files makes of this disk: another one, with the log closed.
    pub(crate) fn copy(&self) -> Self {
        let storage = FaultStorage::new();
        for name in self.storage.list().unwrap_or_default() {
            storage.set_bytes(&name, self.storage.bytes(&name).unwrap_or_default());
        }
        Self {
            storage,
            log: None,
            sync: None,
            waiting: VecDeque::new(),
            shared: self.shared.of_copy(),
            options: self.options.clone(),
            stopping: false,
            failing: false,
            full: false,
        }
    }

    /// Flips a bit somewhere, where the choices say, and returns in which file; `None` if there is nothing to rot.
    pub(crate) fn rot(&mut self, mut below: impl FnMut(u64) -> u64) -> Option<(String, usize)> {
        let names = self.storage.list().ok()?;
        let at = usize::try_from(below(names.len() as u64)).ok()?;
        let name = names.get(at)?;
        let bytes = self.storage.bytes(name)?;
        // Zeros at the end are room for what comes; it is what was written that rots.
        let used = bytes.iter().rposition(|byte| *byte != 0)? + 1;
        let bit = usize::try_from(below(8 * used as u64)).ok()?;
        self.storage.flip_bit(name, bit);
        Some((name.clone(), bit))
    }

    /// Whether there is a file of this name.
    pub(crate) fn has_file(&self, name: &str) -> bool {
        self.storage.bytes(name).is_some()
    }

    /// Whether the machine was told to stop: who meets an error is not there any more to see it.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether a sync was told to fail.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing
    }

    /// The sync that was told to fail has failed, or something else has before it came to that.
    pub(crate) fn has_failed(&mut self) {
        self.storage.fail_syncs(0);
        self.failing = false;
    }

    fn write_waiting(&mut self) -> Result<(), DiskError> {
        let log = self.log.as_mut().ok_or(DiskError::Closed)?;
        while let Some(batch) = self.waiting.front() {
            match log.append(batch) {
                Ok(_) => self.waiting.pop_front(),
                Err(AppendError::SyncUnderWay) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(disk: &mut Disk, number: u64) {
        disk.append(Lsn::new(number), &[vec![7; 900]]).unwrap();
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_began() {
        let mut disk = Disk::new(1);
        assert_eq!(disk.open().unwrap(), []);
        append(&mut disk, 1);
        append(&mut disk, 2);
        assert!(disk.begin_sync().unwrap());
        append(&mut disk, 3);
        assert!(!disk.begin_sync().unwrap(), "one at a time");
        assert_eq!(disk.finish_sync(), Ok(Lsn::new(2)));
    }

    #[test]
    fn a_batch_that_needs_a_new_segment_waits_for_the_sync_under_way() {
        let mut disk = Disk::new(1);
        disk.open().unwrap();
        append(&mut disk, 1);
        disk.begin_sync().unwrap();
        (2..80).for_each(|number| append(&mut disk, number));
        assert!(!disk.waiting.is_empty());
        disk.finish_sync().unwrap();
        assert!(disk.waiting.is_empty());
    }

    #[test]
    fn power_takes_what_was_not_synced_and_a_killed_process_leaves_it() {
        let mut disk = Disk::new(1);
        disk.open().unwrap();
        append(&mut disk, 1);
        disk.abandon();
        assert_eq!(disk.open().unwrap().len(), 1, "in the cache of the operating system");
        append(&mut disk, 2);
        disk.lose_power(Survivors::NOTHING);
        assert_eq!(disk.open().unwrap().len(), 1, "recovery made the first one durable");
    }

    #[test]
    fn a_failed_sync_ends_the_log() {
        let mut disk = Disk::new(1);
        disk.open().unwrap();
        append(&mut disk, 1);
        disk.begin_sync().unwrap();
        disk.fail_next_sync();
        assert!(matches!(disk.finish_sync(), Err(DiskError::Sync(_))));
        assert!(disk.append(Lsn::new(2), &[vec![0]]).is_err());
    }
}
