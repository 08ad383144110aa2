//! The log itself: appending, syncing, rotating, closing.

mod release;
mod rotate;
mod truncate;

pub(crate) use rotate::{CreateError, create_segment};

use alloc::{sync::Arc, vec::Vec};
use core::ops::RangeInclusive;

use crate::{
    AppendError, Batch, CloseError, Epoch, LogOptions, Lsn, OpenError, Poison, PoisonedBy, PromiseError,
    ReadError, Reader, RecoveryReport, SyncError, TruncateError, recover,
    segment::{BATCH_HEADER_BYTES, BatchHeader, BatchKind, HEADER_BYTES, Place, file_name},
    segments::{Segment, Segments},
    storage::{Storage, StorageError, StorageErrorKind, StorageFile},
};

/// An ordered, fenced, crash-safe sequence of records in a [`Storage`].
///
/// The log has two watermarks. [`written`](Log::written) is the last record handed to the storage,
/// [`durable`](Log::durable) the last one known to survive a power cut; `durable <= written`, and only
/// [`sync`](Log::sync) moves it. Nothing may be acknowledged to anyone above it.
///
/// One log has one writer. `LogHandle` (feature `std`) lets many threads share it and its syncs.
///
/// ```
/// use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, RecordKind, storage::MemoryStorage};
///
/// let (mut log, report) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// assert_eq!(report.last, Lsn::ZERO);
///
/// let batch = Batch::of(Epoch::ZERO, RecordKind(1), b"milk")?;
/// let lsns = log.append(&batch)?;
/// assert_eq!((log.written(), log.durable()), (*lsns.end(), Lsn::ZERO));
/// assert_eq!(log.sync()?, *lsns.end());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Log<S: Storage> {
    storage: S,
    options: LogOptions,
    id: u64,
    segments: Segments,
    file: Arc<S::File>,
    /// Up to where the active segment's file is known to be zero behind the last batch.
    zeroed: u64,
    durable: Lsn,
    durable_epoch: Epoch,
    /// Whether the last batch is the mark of a clean close.
    closed: bool,
    sync_under_way: bool,
    poison: Option<Poison>,
    truncations: truncate::Truncations,
    scratch: Vec<u8>,
}

impl<S: Storage> Log<S> {
    /// Opens the log in `storage`, recovers it if it was not closed, or creates it if there is none.
    ///
    /// Every batch is read and verified, so this is O(bytes in the log). A log that ends in a tear
    /// is cut there, and the [`RecoveryReport`] says so. Damage below what was durable is refused
    /// as [`OpenError::Corrupt`], and no file is touched. When this returns, all that it recovered
    /// is durable.
    pub fn open(storage: S, options: LogOptions) -> Result<(Self, RecoveryReport), OpenError> {
        recover::open(storage, options)
    }

    /// Appends `batch` behind everything else: all of it or, after a crash, none of it.
    ///
    /// It is written with one call to the storage and is not durable until [`sync`](Log::sync) says
    /// so. Returns the numbers its records got. O(bytes in the batch).
    ///
    /// Refusals leave the log as it was. When the write itself fails, the log is poisoned: what
    /// reached the disk is unknown, and every later call returns [`Poison`] until the log is opened
    /// again.
    pub fn append(&mut self, batch: &Batch) -> Result<RangeInclusive<Lsn>, AppendError> {
        self.check_poison()?;
        if batch.is_empty() {
            return Err(AppendError::Empty);
        }
        let epoch = batch.epoch();
        if epoch < self.epoch() {
            return Err(AppendError::Fenced { have: self.epoch(), got: epoch });
        }
        let first = self.segments.end().next;
        // One number stays free behind the last record, so that every place in the log has a next one.
        let last = first.advance(u64::from(batch.count()) - 1).ok_or(AppendError::Exhausted)?;
        last.next().ok_or(AppendError::Exhausted)?;
        self.make_room(batch.encoded_bytes() as u64)?;
        self.write_batch(BatchKind::Records, epoch, batch.count(), batch.body())?;
        Ok(first..=last)
    }

    /// Makes everything appended so far durable and returns the last durable record.
    ///
    /// Costs one sync of one file, or nothing when there is nothing to do. A failed sync poisons
    /// the log for good: operating systems may drop the bytes and report success the next time.
    pub fn sync(&mut self) -> Result<Lsn, SyncError> {
        let pending = self.begin_sync()?;
        let outcome = pending.run();
        self.finish_sync(pending, outcome)
    }

    /// Begins a sync without running it, so that it can run on another thread while this log
    /// appends further.
    ///
    /// Hand the outcome of [`PendingSync::run`] to [`finish_sync`](Log::finish_sync). Until then a
    /// second sync is refused, and so is an append that needs a new segment.
    pub fn begin_sync(&mut self) -> Result<PendingSync<S::File>, SyncError> {
        self.check_poison()?;
        if self.sync_under_way {
            return Err(SyncError::UnderWay);
        }
        self.sync_under_way = true;
        let needed = self.durable < self.written() || self.durable_epoch < self.epoch();
        Ok(PendingSync {
            file: needed.then(|| Arc::clone(&self.file)),
            lsn: self.written(),
            epoch: self.epoch(),
        })
    }

    /// Takes note of how a sync ended, and returns the last durable record.
    #[expect(clippy::needless_pass_by_value, reason = "a sync is finished once")]
    pub fn finish_sync(
        &mut self,
        pending: PendingSync<S::File>,
        outcome: Result<(), StorageError>,
    ) -> Result<Lsn, SyncError> {
        self.sync_under_way = false;
        self.check_poison()?;
        outcome.map_err(|error| self.poisoned(PoisonedBy::Sync, error))?;
        self.durable = self.durable.max(pending.lsn);
        self.durable_epoch = self.durable_epoch.max(pending.epoch);
        Ok(self.durable)
    }

    /// Promises to refuse every epoch below `epoch`, durably before it returns, and returns the
    /// last record written.
    ///
    /// Promising the present epoch again is fine and returns once it is durable. The promise makes
    /// all earlier appends durable too. After an error nothing may be granted on the strength of
    /// the promise.
    pub fn promise_epoch(&mut self, epoch: Epoch) -> Result<Lsn, PromiseError> {
        self.check_poison()?;
        if epoch < self.epoch() {
            return Err(PromiseError::Fenced { have: self.epoch(), got: epoch });
        }
        if self.sync_under_way {
            return Err(PromiseError::SyncUnderWay);
        }
        if epoch > self.epoch() {
            self.make_room(2 * BATCH_HEADER_BYTES as u64)?;
            // Twice, because nothing behind the last mark could tell that it had been there and rotted.
            self.write_batch(BatchKind::Promise, epoch, 0, &[])?;
            self.write_batch(BatchKind::Promise, epoch, 0, &[])?;
        }
        self.sync().map_err(|error| match error {
            SyncError::UnderWay => PromiseError::SyncUnderWay,
            SyncError::Poisoned(poison) => PromiseError::Poisoned(poison),
        })?;
        Ok(self.written())
    }

    /// Makes everything durable and leaves a mark that says so, after which any damage to the log
    /// is noticed when it is opened. Returns the last record.
    pub fn close(mut self) -> Result<Lsn, CloseError> {
        self.sync_for_close()?;
        if !self.closed {
            self.make_room(BATCH_HEADER_BYTES as u64)?;
            self.write_batch(BatchKind::Close, self.epoch(), 0, &[])?;
            let outcome = self.file.sync_data();
            outcome.map_err(|error| self.poisoned(PoisonedBy::Sync, error))?;
        }
        Ok(self.durable)
    }

    /// Drops whole segments that hold only records below `lsn`, oldest first, and returns the
    /// oldest record left.
    ///
    /// Never drops the active segment. One directory sync for each segment: after a crash in
    /// between, what is left is without gaps.
    pub fn truncate_before(&mut self, lsn: Lsn) -> Result<Lsn, TruncateError> {
        self.check_poison()?;
        while let Some(segment) = self.segments.droppable(lsn) {
            self.storage.remove(&file_name(segment))?;
            self.segments.drop_first();
            // A removal that is not durable could be undone by a crash after a later one that is: a
            // gap.
            let outcome = self.storage.sync_directory();
            outcome.map_err(|error| self.poisoned(PoisonedBy::Sync, error))?;
        }
        Ok(self.oldest())
    }

    /// Reads the durable records from `lsn` on, across segments.
    ///
    /// O(log segments) to find the place, then O(bytes) to read. Asking for what is not there yet
    /// gives an empty reader; asking for what was truncated is an error.
    pub fn read_from(&self, lsn: Lsn) -> Result<Reader<'_, S>, ReadError> {
        Reader::new(&self.storage, &self.segments, lsn, self.durable)
    }

    /// Reads like [`read_from`](Log::read_from), and on to the last record written, durable or not.
    ///
    /// What it returns above [`durable`](Log::durable) may be gone after a crash. Never send it to
    /// anyone.
    pub fn read_written_from(&self, lsn: Lsn) -> Result<Reader<'_, S>, ReadError> {
        Reader::new(&self.storage, &self.segments, lsn, self.written())
    }

    /// The last record handed to the storage.
    pub fn written(&self) -> Lsn {
        self.segments.end().next.previous().unwrap_or(Lsn::ZERO)
    }

    /// The last record that is known to survive a power cut.
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// The oldest record the log still holds; the next one to be written when it holds none.
    pub fn oldest(&self) -> Lsn {
        self.segments.oldest()
    }

    /// The highest epoch promised or accepted; older batches are refused.
    pub fn epoch(&self) -> Epoch {
        self.segments.end().epoch
    }

    /// The running checksum over every batch of the log since its beginning. Two logs that hold the
    /// same batches agree on it, also when one of them has dropped its oldest segments.
    pub fn checksum(&self) -> u32 {
        self.segments.end().chain
    }

    /// The failure after which the log refuses everything, if there was one.
    pub fn poison(&self) -> Option<&Poison> {
        self.poison.as_ref()
    }

    /// The storage the log lives in.
    pub fn storage(&self) -> &S {
        &self.storage
    }
}

/// What recovery hands over.
pub(crate) struct Recovered<S: Storage> {
    pub(crate) storage: S,
    pub(crate) options: LogOptions,
    pub(crate) id: u64,
    pub(crate) segments: Segments,
    pub(crate) file: Arc<S::File>,
    pub(crate) zeroed: u64,
    pub(crate) closed: bool,
}

impl<S: Storage> Log<S> {
    /// A log whose every record and whose epoch are durable.
    pub(crate) fn from_recovered(recovered: Recovered<S>) -> Self {
        let Recovered { storage, options, id, segments, file, zeroed, closed } = recovered;
        let end = segments.end();
        Self {
            storage,
            options,
            id,
            file,
            zeroed,
            durable: end.next.previous().unwrap_or(Lsn::ZERO),
            durable_epoch: end.epoch,
            closed,
            sync_under_way: false,
            poison: None,
            truncations: truncate::Truncations::default(),
            scratch: Vec::new(),
            segments,
        }
    }

    /// The segment that holds record `lsn`, or would.
    #[cfg(feature = "std")]
    pub(crate) fn segment_of(&self, lsn: Lsn) -> &Segment {
        self.segments.get(self.segments.find(lsn)).unwrap_or(self.segments.active())
    }

    /// Writes one batch at the end. The caller has checked everything and made room.
    #[expect(clippy::cast_possible_truncation, reason = "a batch is smaller than MAX_BATCH_BYTES")]
    fn write_batch(&mut self, kind: BatchKind, epoch: Epoch, count: u32, body: &[u8]) -> Result<(), Poison> {
        let end = self.segments.end();
        let chain = match kind {
            BatchKind::Records => BatchHeader::chain_over(end.chain, end.next, epoch, body),
            BatchKind::Promise | BatchKind::Close => end.chain,
        };
        let header = BatchHeader {
            kind,
            length: body.len() as u32,
            count,
            first: end.next,
            epoch,
            durable: self.durable,
            chain,
        };
        self.scratch.clear();
        self.scratch.extend_from_slice(&header.encode(self.segments.active().identity, end.offset));
        self.scratch.extend_from_slice(body);
        self.file
            .write_at(end.offset, &self.scratch)
            .map_err(|error| self.poisoned(PoisonedBy::Write, error))?;
        self.segments.extend(Place {
            offset: end.offset + self.scratch.len() as u64,
            next: header.next().unwrap_or(end.next),
            epoch,
            chain,
        });
        self.zeroed = self.zeroed.max(self.segments.end().offset);
        self.closed = kind == BatchKind::Close;
        Ok(())
    }

    fn sync_for_close(&mut self) -> Result<(), CloseError> {
        match self.sync() {
            Ok(_) => Ok(()),
            Err(SyncError::UnderWay) => Err(CloseError::SyncUnderWay),
            Err(SyncError::Poisoned(poison)) => Err(CloseError::Poisoned(poison)),
        }
    }

    fn check_poison(&self) -> Result<(), Poison> {
        self.poison.clone().map_or(Ok(()), Err)
    }

    /// From here on every call returns the same error.
    fn poisoned(&mut self, by: PoisonedBy, error: StorageError) -> Poison {
        self.poison.get_or_insert(Poison { by, error }).clone()
    }
}

/// A sync that has begun. Run it on any thread, then give its outcome back to the log.
#[derive(Debug)]
#[must_use = "the log accepts no other sync until this one is finished"]
pub struct PendingSync<F> {
    file: Option<Arc<F>>,
    lsn: Lsn,
    epoch: Epoch,
}

impl<F: StorageFile> PendingSync<F> {
    /// The last record that is durable once this succeeds.
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// Waits for the disk. Does nothing when everything was durable already.
    pub fn run(&self) -> Result<(), StorageError> {
        self.file.as_ref().map_or(Ok(()), |file| file.sync_data())
    }
}
