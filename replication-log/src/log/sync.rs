//! From the staging buffer to the storage, and from there to the disk.

use super::{Arc, Epoch, Log, Lsn, Poison, PoisonedBy, Storage, StorageError, StorageFile, SyncError, Vec};
use crate::storage::StorageOperation;

impl<S: Storage> Log<S> {
    /// Hands everything staged to the storage in one write, and returns the last record written.
    ///
    /// What is written survives the process, but not the machine: for that there is
    /// [`sync`](Log::sync), which needs no flush before it. Refused while a sync is under way that
    /// has taken staged bytes along.
    pub fn flush(&mut self) -> Result<Lsn, SyncError> {
        self.check_poison()?;
        if self.in_flight {
            return Err(SyncError::UnderWay);
        }
        self.write_staged()?;
        Ok(self.written)
    }

    /// Makes everything appended so far durable and returns the last durable record.
    ///
    /// Costs one write of what is staged and one sync of one file, or nothing when there is nothing
    /// to do. A failed sync poisons the log for good: operating systems may drop the bytes and
    /// report success the next time.
    pub fn sync(&mut self) -> Result<Lsn, SyncError> {
        let pending = self.begin_sync()?;
        let outcome = pending.run();
        self.finish_sync(pending, outcome)
    }

    /// Begins a sync without running it, so that it can run on another thread while this log
    /// appends further.
    ///
    /// It takes along what is staged, and further appends fill another buffer. Hand the outcome of
    /// [`PendingSync::run`] to [`finish_sync`](Log::finish_sync). Until then a second sync is
    /// refused, and so is an append that needs a new segment or more than
    /// [`MAX_STAGED_BYTES`](crate::limits::MAX_STAGED_BYTES) of that buffer.
    pub fn begin_sync(&mut self) -> Result<PendingSync<S::File>, SyncError> {
        self.check_poison()?;
        if self.sync_under_way {
            return Err(SyncError::UnderWay);
        }
        self.sync_under_way = true;
        let needed = self.durable < self.last() || self.durable_epoch < self.epoch();
        let bytes = if needed { self.stage.take() } else { Vec::new() };
        self.in_flight = !bytes.is_empty();
        Ok(PendingSync {
            file: needed.then(|| Arc::clone(&self.file)),
            offset: self.segments.end().offset - bytes.len() as u64,
            bytes,
            lsn: self.last(),
            epoch: self.epoch(),
        })
    }

    /// Takes note of how a sync ended, and returns the last durable record.
    pub fn finish_sync(
        &mut self,
        pending: PendingSync<S::File>,
        outcome: Result<(), StorageError>,
    ) -> Result<Lsn, SyncError> {
        (self.sync_under_way, self.in_flight) = (false, false);
        self.stage.give_back(pending.bytes);
        self.check_poison()?;
        outcome.map_err(|error| {
            let wrote = error.operation == StorageOperation::Write;
            self.poisoned(if wrote { PoisonedBy::Write } else { PoisonedBy::Sync }, error)
        })?;
        self.written = self.written.max(pending.lsn);
        self.durable = self.durable.max(pending.lsn);
        self.durable_epoch = self.durable_epoch.max(pending.epoch);
        Ok(self.durable)
    }

    /// Writes what is staged. No sync may have earlier bytes of the same segment to write.
    pub(super) fn write_staged(&mut self) -> Result<(), Poison> {
        let staged = self.stage.staged();
        if !staged.is_empty() {
            let offset = self.segments.end().offset - staged.len() as u64;
            let outcome = self.file.write_at(offset, staged);
            outcome.map_err(|error| self.poisoned(PoisonedBy::Write, error))?;
            self.stage.written();
        }
        self.written = self.last();
        Ok(())
    }
}

/// A sync that has begun. Run it on any thread, then give its outcome back to the log.
#[derive(Debug)]
#[must_use = "the log accepts no other sync until this one is finished"]
pub struct PendingSync<F> {
    file: Option<Arc<F>>,
    /// What was staged when it began.
    bytes: Vec<u8>,
    offset: u64,
    lsn: Lsn,
    epoch: Epoch,
}

impl<F: StorageFile> PendingSync<F> {
    /// The last record that is durable once this succeeds.
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// Writes what it took along and waits for the disk. Does nothing when everything was durable
    /// already.
    pub fn run(&self) -> Result<(), StorageError> {
        let Some(file) = &self.file else { return Ok(()) };
        if !self.bytes.is_empty() {
            file.write_at(self.offset, &self.bytes)?;
        }
        file.sync_data()
    }
}
