//! Appending: batches are numbered, framed and checksummed in the staging buffer.

use core::ops::RangeInclusive;

use super::{
    AppendError, Batch, BatchHeader, BatchKind, Epoch, Log, Lsn, Place, Poison, PoisonedBy, Storage,
};
use crate::{
    AppendCopyError, BatchError, LoggedBatch, RecordKind,
    batch::check_push,
    segment::{COPIED_EPOCH_BYTES, HEADER_BYTES},
};

impl<S: Storage> Log<S> {
    /// Appends `batch` behind everything else: all of it or, after a crash, none of it.
    ///
    /// It is staged in memory, written to the storage together with its neighbours, and not durable
    /// until [`sync`](Log::sync) says so. Returns the numbers its records got. O(bytes in the
    /// batch), without an allocation once the log has warmed up.
    ///
    /// Refusals leave the log as it was. When a write fails, the log is poisoned: what reached the
    /// disk is unknown, and every later call returns [`Poison`](crate::Poison) until the log is
    /// opened again.
    pub fn append(&mut self, batch: &Batch) -> Result<RangeInclusive<Lsn>, AppendError> {
        self.admit(batch.epoch())?;
        self.stage.open();
        self.stage.extend(batch.body());
        self.commit(batch.epoch(), batch.count())
    }

    /// Appends a batch that another log has, as part of a copy of that log: under the epoch it was written
    /// under, which may be older than what was promised since. See [`append`](Log::append) for the rest.
    ///
    /// `reign` is the epoch of whoever sends the batch, and is what fences: it must be the one this log
    /// has promised. A follower that comes back in epoch 5 promises it, and is then sent what it
    /// missed of epochs 3 and 4 by the leader of epoch 5; the leader of epoch 4 is refused.
    ///
    /// Only what goes on where this log ends is taken: by its number, its epoch, and the running checksum over all that
    /// came before and the batch itself. So whatever is done with it, a copy is a copy. O(bytes).
    ///
    /// ```
    /// use replication_log::{Batch, Epoch, Log, LogOptions, RecordKind, storage::MemoryStorage};
    ///
    /// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
    /// let milk = Batch::of(Epoch::new(3), RecordKind(1), b"milk")?;
    /// log.append(&milk)?;
    /// log.sync()?;
    ///
    /// let (mut copy, _) = Log::open(MemoryStorage::new(), LogOptions::new(0xcafe))?;
    /// copy.promise_epoch(Epoch::new(5))?;
    /// assert!(copy.append(&milk).is_err(), "nobody may write under epoch 3 any more");
    /// let mut batches = log.read_batches_from(copy.last())?;
    /// let batch = batches.next_batch()?.expect("one");
    /// assert!(copy.append_copy(Epoch::new(4), &batch).is_err(), "nor send under epoch 4");
    /// copy.append_copy(Epoch::new(5), &batch)?;
    /// assert_eq!((copy.epoch(), copy.last_position()), (Epoch::new(5), log.last_position()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_copy(
        &mut self,
        reign: Epoch,
        batch: &LoggedBatch<'_>,
    ) -> Result<RangeInclusive<Lsn>, AppendCopyError> {
        self.admit(reign)?;
        let (wanted, first) = (self.segments.end().next, batch.first());
        if first != wanted {
            return Err(AppendCopyError::NotNext { wanted, got: first });
        }
        let (promised, last, got) = (self.epoch(), self.segments.end().reign, batch.epoch());
        if reign > promised {
            return Err(AppendCopyError::NotPromised { promised, reign });
        }
        if got > reign || got < last {
            return Err(AppendCopyError::OutOfOrder { last, reign, got });
        }
        let chain = BatchHeader::chain_over(self.segments.end().chain, first, got, batch.body());
        if chain != batch.checksum() {
            return Err(AppendCopyError::Parted { end: self.last_position() });
        }
        self.stage.open();
        if got < promised {
            self.stage.extend(&got.get().to_le_bytes());
        }
        self.stage.extend(batch.body());
        Ok(self.commit_with(got, batch.count(), Some(chain))?)
    }

    /// Appends a batch of one record; see [`append`](Log::append).
    ///
    /// ```
    /// use replication_log::{Epoch, Log, LogOptions, Lsn, RecordKind, storage::MemoryStorage};
    ///
    /// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
    /// assert_eq!(log.append_record(Epoch::ZERO, RecordKind(1), b"milk")?, Lsn::FIRST);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_record(
        &mut self,
        epoch: Epoch,
        kind: RecordKind,
        payload: &[u8],
    ) -> Result<Lsn, AppendError> {
        let mut batch = self.begin_batch(epoch)?;
        batch.push(kind, payload)?;
        batch.commit().map(|lsns| *lsns.end())
    }

    /// Begins a batch that is built where it will be written from, which saves the copy that
    /// [`append`](Log::append) makes.
    pub fn begin_batch(&mut self, epoch: Epoch) -> Result<BatchWriter<'_, S>, AppendError> {
        self.admit(epoch)?;
        self.stage.open();
        Ok(BatchWriter { log: self, epoch, count: 0 })
    }

    fn admit(&self, epoch: Epoch) -> Result<(), AppendError> {
        self.check_poison()?;
        if epoch < self.epoch() {
            return Err(AppendError::Fenced { have: self.epoch(), got: epoch });
        }
        Ok(())
    }

    /// Numbers the open batch, or forgets it and says why.
    fn commit(&mut self, epoch: Epoch, count: u32) -> Result<RangeInclusive<Lsn>, AppendError> {
        self.commit_with(epoch, count, None)
    }

    /// The same for a batch behind which the running checksum is known.
    fn commit_with(
        &mut self,
        epoch: Epoch,
        count: u32,
        chain: Option<u32>,
    ) -> Result<RangeInclusive<Lsn>, AppendError> {
        let kind = if epoch < self.epoch() { BatchKind::Copied } else { BatchKind::Records };
        let lsns = self.number(count, kind).inspect_err(|_| self.stage.abandon())?;
        self.seal_batch(kind, epoch, count, chain)?;
        if self.stage.staged().len() >= self.options.staging_bytes && !self.in_flight {
            self.write_staged()?;
        }
        Ok(lsns)
    }

    /// The numbers of the open batch's records, once there is room for it.
    fn number(&mut self, count: u32, kind: BatchKind) -> Result<RangeInclusive<Lsn>, AppendError> {
        let before_last = u64::from(count).checked_sub(1).ok_or(AppendError::Empty)?;
        let first = self.segments.end().next;
        // One number stays free behind the last record, so that every place in the log has a next one.
        let last = first.advance(before_last).ok_or(AppendError::Exhausted)?;
        last.next().ok_or(AppendError::Exhausted)?;
        let bytes = self.stage.open_bytes() + self.sealer.overhead_bytes();
        // What fills a segment here must fit into one of that size where it may have to be copied to.
        let spare = if kind == BatchKind::Copied { 0 } else { COPIED_EPOCH_BYTES };
        let limit = self.options.segment_bytes - (HEADER_BYTES + spare) as u64;
        if bytes as u64 > limit {
            return Err(AppendError::TooLarge { bytes: bytes as u64, limit });
        }
        self.make_room(bytes)?;
        Ok(first..=last)
    }

    /// Stages a batch without records. The caller has made room.
    pub(super) fn stage_mark(&mut self, kind: BatchKind, epoch: Epoch) -> Result<(), Poison> {
        self.stage.open();
        self.seal_batch(kind, epoch, 0, None)
    }

    /// Seals the open batch's body and writes its header, which makes it the end of the log. `epoch` is that of
    /// its records, with which the body of a copied batch begins.
    #[expect(clippy::cast_possible_truncation, reason = "a batch is smaller than MAX_BATCH_BYTES")]
    fn seal_batch(
        &mut self,
        kind: BatchKind,
        epoch: Epoch,
        count: u32,
        chain: Option<u32>,
    ) -> Result<(), Poison> {
        let (end, identity) = (self.segments.end(), self.segments.active().identity);
        let body = self.stage.open_body();
        let chain_over =
            |records| chain.unwrap_or_else(|| BatchHeader::chain_over(end.chain, end.next, epoch, records));
        let (reign, chain) = match kind {
            BatchKind::Records => (epoch, chain_over(body)),
            BatchKind::Copied => (epoch, chain_over(&body[COPIED_EPOCH_BYTES..])),
            BatchKind::Promise | BatchKind::Close | BatchKind::Unknown(_) => (end.reign, end.chain),
        };
        let epoch = epoch.max(end.epoch);
        let mut header = BatchHeader {
            kind,
            flags: 0,
            length: body.len() as u32,
            count,
            first: end.next,
            epoch,
            durable: self.durable,
            chain,
        };
        match self.sealer.seal(&mut header, identity, end.offset, body) {
            Ok(None) => {}
            Ok(Some(sealed)) => self.stage.replace_body(sealed),
            Err(error) => {
                self.stage.abandon();
                return Err(self.poisoned(PoisonedBy::Sealing, error));
            }
        }
        let offset = end.offset + self.stage.open_bytes() as u64;
        self.stage.seal(&header.encode(identity, end.offset));
        let next = header.next().unwrap_or(end.next);
        self.segments.extend(Place { offset, next, epoch, reign, chain });
        self.zeroed = self.zeroed.max(offset);
        self.closed = kind == BatchKind::Close;
        Ok(())
    }
}

/// A batch under construction at the end of a log, invisible until [`commit`](BatchWriter::commit).
///
/// Dropped without it, it leaves no trace.
///
/// ```
/// use replication_log::{Epoch, Log, LogOptions, Lsn, RecordKind, storage::MemoryStorage};
///
/// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// let mut batch = log.begin_batch(Epoch::ZERO)?;
/// batch.push(RecordKind(1), b"milk")?;
/// batch.push(RecordKind(1), b"bread")?;
/// assert_eq!(batch.commit()?, Lsn::new(1)..=Lsn::new(2));
///
/// log.begin_batch(Epoch::ZERO)?.push(RecordKind(1), b"on second thoughts, no")?;
/// assert_eq!(log.last(), Lsn::new(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a batch that is not committed leaves no trace"]
pub struct BatchWriter<'a, S: Storage> {
    log: &'a mut Log<S>,
    epoch: Epoch,
    count: u32,
}

impl<S: Storage> BatchWriter<'_, S> {
    /// Adds a record at the end; O(length of the payload). The bounds are those of
    /// [`Batch::push`], and after an error the batch is as it was.
    pub fn push(&mut self, kind: RecordKind, payload: &[u8]) -> Result<(), BatchError> {
        check_push(self.count, self.encoded_bytes(), payload)?;
        self.log.stage.push(kind, payload);
        self.count += 1;
        Ok(())
    }

    /// Appends the batch and returns the numbers its records got; see [`Log::append`]. A batch that
    /// does not fit into the rest of the segment moves to the next one. After an error nothing is
    /// left of it.
    pub fn commit(self) -> Result<RangeInclusive<Lsn>, AppendError> {
        self.log.commit(self.epoch, self.count)
    }

    /// The number of records so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes the batch takes in a segment, framing included.
    pub fn encoded_bytes(&self) -> usize {
        self.log.stage.open_bytes()
    }
}

impl<S: Storage> Drop for BatchWriter<'_, S> {
    fn drop(&mut self) {
        self.log.stage.abandon();
    }
}

impl<S: Storage> core::fmt::Debug for BatchWriter<'_, S> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("BatchWriter")
            .field("epoch", &self.epoch)
            .field("len", &self.count)
            .finish_non_exhaustive()
    }
}
