//! The log itself: appending, syncing, rotating, closing.

mod append;
mod boundary;
mod position;
mod prepare;
mod release;
mod rotate;
mod stage;
mod sync;
mod truncate;

pub use append::BatchWriter;
pub use position::Position;
pub use prepare::PendingSegment;
pub(crate) use rotate::{CreateError, create_segment};
pub use sync::PendingSync;

use alloc::{sync::Arc, vec::Vec};

use prepare::Ahead;
use stage::Stage;

use crate::{
    AppendError, Batch, Batches, CloseError, Epoch, LogOptions, Lsn, OpenError, Poison, PoisonedBy,
    PromiseError, ReadError, Reader, RecoveryReport, SegmentId, SyncError, TruncateError, install, recover,
    seal::{Sealer, Sealing},
    segment::{BATCH_HEADER_BYTES, BatchHeader, BatchKind, HEADER_BYTES, Place, file_name, spare_file_name},
    segments::{Segment, Segments},
    storage::{Storage, StorageError, StorageFile},
};

/// An ordered, fenced, crash-safe sequence of records in a [`Storage`].
///
/// The log has three watermarks. [`last`](Log::last) is the last record that was appended,
/// [`written`](Log::written) the last one handed to the storage, which survives the process, and
/// [`durable`](Log::durable) the last one known to survive a power cut: `durable <= written <= last`.
/// Only [`sync`](Log::sync) moves `durable`, and nothing may be acknowledged to anyone above it.
///
/// Dropping a log drops what is staged, as a crash of the process would; [`close`](Log::close) does not.
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
/// assert_eq!((log.last(), log.durable()), (*lsns.end(), Lsn::ZERO));
/// assert_eq!(log.sync()?, *lsns.end());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Log<S: Storage> {
    storage: Arc<S>,
    options: LogOptions,
    id: u64,
    segments: Segments,
    file: Arc<S::File>,
    /// Up to where the active segment's file is known to be zero behind the last batch.
    zeroed: u64,
    written: Lsn,
    durable: Lsn,
    durable_epoch: Epoch,
    /// Whether the last batch is the mark of a clean close.
    closed: bool,
    sync_under_way: bool,
    /// Whether that sync has bytes to write that come before everything staged.
    in_flight: bool,
    poison: Option<Poison>,
    stage: Stage,
    sealer: Sealer,
    ahead: Ahead<S::File>,
    truncations: truncate::Truncations,
}

impl<S: Storage> Log<S> {
    /// Opens the log in `storage`, recovers it if it was not closed, or creates it if there is none.
    ///
    /// Every batch is read and verified, so this is O(bytes in the log). A log that ends in a tear
    /// is cut there, and the [`RecoveryReport`] says so. Damage below what was durable is refused
    /// as [`OpenError::Corrupt`], and no file is touched. When this returns, all that it recovered
    /// is durable.
    pub fn open(storage: S, options: LogOptions) -> Result<(Self, RecoveryReport), OpenError> {
        if install::is_under_way(&storage)? {
            return Err(OpenError::InstallUnderWay);
        }
        recover::open(storage, options)
    }

    /// Promises to refuse every epoch below `epoch`, durably before it returns, and returns the
    /// last record, however recently it was staged.
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
            self.make_room(2 * BATCH_HEADER_BYTES)?;
            // Twice, because nothing behind the last mark could tell that it had been there and rotted.
            self.stage_mark(BatchKind::Promise, epoch)?;
            self.stage_mark(BatchKind::Promise, epoch)?;
        }
        self.sync().map_err(|error| match error {
            SyncError::UnderWay => PromiseError::SyncUnderWay,
            SyncError::Poisoned(poison) => PromiseError::Poisoned(poison),
        })?;
        Ok(self.last())
    }

    /// Makes everything durable and leaves a mark that says so, after which any damage to the log
    /// is noticed when it is opened. Returns the last record.
    pub fn close(mut self) -> Result<Lsn, CloseError> {
        self.sync_for_close()?;
        if !self.closed {
            self.make_room(BATCH_HEADER_BYTES)?;
            self.stage_mark(BatchKind::Close, self.epoch())?;
            self.write_staged()?;
            let outcome = self.file.sync_data();
            outcome.map_err(|error| self.poisoned(PoisonedBy::Sync, error))?;
        }
        self.discard_ahead();
        Ok(self.durable)
    }

    /// Drops whole segments that hold only records below `lsn`, oldest first, and returns the
    /// oldest record left.
    ///
    /// Never drops the active segment. One directory sync for each segment: after a crash in
    /// between, what is left is without gaps. Up to [`LogOptions::recycle`] of the files are kept
    /// and become segments again; their records are gone all the same.
    pub fn truncate_before(&mut self, lsn: Lsn) -> Result<Lsn, TruncateError> {
        self.check_poison()?;
        while let Some(segment) = self.segments.droppable(lsn) {
            if self.ahead.spares.len() < self.options.recycle {
                self.storage.rename(&file_name(segment), &spare_file_name(segment))?;
                self.ahead.spares.push_back(segment);
            } else {
                self.storage.remove(&file_name(segment))?;
            }
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
        Reader::new(&self.storage, &self.segments, self.sealing(), lsn, self.durable)
    }

    /// Reads like [`read_from`](Log::read_from), and on to the last record written, durable or not.
    /// What is only staged it does not see; [`flush`](Log::flush) first to read that too.
    ///
    /// What it returns above [`durable`](Log::durable) may be gone after a crash. Never send it to
    /// anyone.
    pub fn read_written_from(&self, lsn: Lsn) -> Result<Reader<'_, S>, ReadError> {
        Reader::new(&self.storage, &self.segments, self.sealing(), lsn, self.written)
    }

    /// Reads the durable batches from the one that holds `lsn` on, across segments; otherwise like
    /// [`read_from`](Log::read_from).
    pub fn read_batches_from(&self, lsn: Lsn) -> Result<Batches<'_, S>, ReadError> {
        self.read_from(lsn).map(Batches::new)
    }

    /// The last record appended, be it in memory only.
    pub fn last(&self) -> Lsn {
        self.segments.end().next.previous().unwrap_or(Lsn::ZERO)
    }

    /// The last record handed to the storage.
    pub fn written(&self) -> Lsn {
        self.written
    }

    /// The last record that is known to survive a power cut.
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// The oldest record the log still holds; the next one to be written when it holds none.
    pub fn oldest(&self) -> Lsn {
        self.segments.oldest()
    }

    /// How many bytes the segments take up from the one on that holds record `lsn`, or would. O(log
    /// segments).
    ///
    /// Whole files, with the zeros written ahead of the records: whoever keeps record `lsn` keeps them all,
    /// because only whole segments can be [dropped](Log::truncate_before). The active segment is always one
    /// of them. Below the oldest record it is the whole log. Segments prepared or kept to be used again hold
    /// nothing and do not count.
    ///
    /// ```
    /// use replication_log::{Epoch, Log, LogOptions, Lsn, RecordKind, storage::MemoryStorage};
    ///
    /// let options = LogOptions::new(0x5eed).segment_bytes(1024).preallocate_bytes(1024);
    /// let (mut log, _) = Log::open(MemoryStorage::new(), options)?;
    /// for _ in 0..3 {
    ///     log.append_record(Epoch::ZERO, RecordKind(1), &[b'x'; 600])?; // one fits into a segment
    /// }
    /// assert_eq!(log.bytes_from(Lsn::FIRST), 3 * 1024);
    /// assert_eq!(log.bytes_from(log.last()), 1024);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bytes_from(&self, lsn: Lsn) -> u64 {
        self.segments.sealed_bytes_from(lsn).saturating_add(self.file_bytes())
    }

    /// The oldest record that [`truncate_before`](Log::truncate_before) this one would leave.
    pub(crate) fn oldest_from(&self, lsn: Lsn) -> Lsn {
        self.segments.oldest_from(lsn)
    }

    /// The bytes of the active segment's file, those that are still staged included.
    fn file_bytes(&self) -> u64 {
        self.zeroed.max(self.segments.end().offset)
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

    /// The id the log was created with.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The failure after which the log refuses everything, if there was one.
    pub fn poison(&self) -> Option<&Poison> {
        self.poison.as_ref()
    }

    /// The storage the log lives in.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The storage, for whoever reads outside the log.
    #[cfg(feature = "std")]
    pub(crate) fn shared_storage(&self) -> Arc<S> {
        Arc::clone(&self.storage)
    }

    /// How the log is read.
    pub(crate) fn sealing(&self) -> &Sealing {
        self.sealer.sealing()
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
        let (end, sealing) = (segments.end(), options.sealing.clone());
        let last = end.next.previous().unwrap_or(Lsn::ZERO);
        Self {
            storage: Arc::new(storage),
            options,
            id,
            file,
            zeroed,
            written: last,
            durable: last,
            durable_epoch: end.epoch,
            closed,
            sync_under_way: false,
            in_flight: false,
            poison: None,
            stage: Stage::default(),
            sealer: Sealer::new(sealing),
            ahead: Ahead::default(),
            truncations: truncate::Truncations::default(),
            segments,
        }
    }

    /// The segment that holds record `lsn`, or would.
    #[cfg(feature = "std")]
    pub(crate) fn segment_of(&self, lsn: Lsn) -> &Segment {
        self.segments.get(self.segments.find(lsn)).unwrap_or(self.segments.active())
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
