//! The unit of atomicity: records that enter the log together or not at all.

use alloc::vec::Vec;

use crate::{
    BatchError, Epoch, Lsn, Malformed, Position, Record, RecordKind,
    bytes::within,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_RECORD_BYTES},
    segment::{BATCH_HEADER_BYTES, BatchHeader, FramedRecords, frame_record, framed_bytes, holds_records},
};

/// Records that enter the log together or not at all, under one epoch.
///
/// A batch is encoded as it is built, so appending it costs one checksum and one copy. It can be
/// cleared and used again, or appended a second time. Where neither is wanted,
/// [`Log::begin_batch`](crate::Log::begin_batch) saves the copy.
///
/// ```
/// use replication_log::{Batch, Epoch, RecordKind};
///
/// let mut batch = Batch::new(Epoch::ZERO);
/// batch.push(RecordKind(1), b"milk")?;
/// batch.push(RecordKind(1), b"bread")?;
/// assert_eq!(batch.len(), 2);
/// # Ok::<(), replication_log::BatchError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    epoch: Epoch,
    count: u32,
    body: Vec<u8>,
}

impl Batch {
    /// An empty batch under `epoch`.
    pub const fn new(epoch: Epoch) -> Self {
        Self { epoch, count: 0, body: Vec::new() }
    }

    /// A batch of one record under `epoch`.
    pub fn of(epoch: Epoch, kind: RecordKind, payload: &[u8]) -> Result<Self, BatchError> {
        let mut batch = Self::new(epoch);
        batch.push(kind, payload)?;
        Ok(batch)
    }

    /// Adds a record at the end; O(length of the payload).
    pub fn push(&mut self, kind: RecordKind, payload: &[u8]) -> Result<(), BatchError> {
        check_push(self.count, self.encoded_bytes(), payload)?;
        frame_record(&mut self.body, kind, payload);
        self.count += 1;
        Ok(())
    }

    /// Removes all records and keeps the epoch and the memory.
    pub fn clear(&mut self) {
        self.count = 0;
        self.body.clear();
    }

    /// The epoch the records are written under.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The number of records.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no record yet.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes the batch takes in a segment, framing included.
    pub fn encoded_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.body.len()
    }

    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }
}

/// A batch as a log lends it: where it stands, and what it holds. What another log is sent to become a copy.
///
/// ```
/// use replication_log::{
///     Batch, Epoch, Log, LogOptions, Lsn, Position, RecordKind, storage::MemoryStorage,
/// };
///
/// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// log.append(&Batch::of(Epoch::new(1), RecordKind(1), b"milk")?)?;
/// log.sync()?;
///
/// let (mut copy, _) = Log::open(MemoryStorage::new(), LogOptions::new(0xcafe))?;
/// copy.promise_epoch(Epoch::new(1))?;
/// let mut batches = log.read_batches_from(Lsn::FIRST)?;
/// while let Some(batch) = batches.next_batch()? {
///     assert!(batch.follows(copy.last_position()));
///     copy.append_copy(Epoch::new(1), &batch)?;
/// }
/// assert_eq!(copy.checksum(), log.checksum());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedBatch<'a> {
    first: Lsn,
    epoch: Epoch,
    count: u32,
    checksum: u32,
    body: &'a [u8],
}

impl<'a> LoggedBatch<'a> {
    /// The batch that a log has; the caller vouches for it.
    pub(crate) fn from_log(first: Lsn, epoch: Epoch, count: u32, checksum: u32, body: &'a [u8]) -> Self {
        Self { first, epoch, count, checksum, body }
    }

    /// The batch that somebody says to have. Its bytes must be as many records as it says, as this crate
    /// writes them; whether it is what a log goes on with, [`follows`](LoggedBatch::follows) tells. O(records).
    pub(crate) fn from_stranger(
        first: Lsn,
        epoch: Epoch,
        count: u32,
        checksum: u32,
        body: &'a [u8],
    ) -> Result<Self, Malformed> {
        let counted = count > 0 && first > Lsn::ZERO;
        let numbered = first.advance(u64::from(count)).filter(|next| next.next().is_some());
        if !counted || numbered.is_none() || count as usize > MAX_BATCH_RECORDS {
            return Err(Malformed::Number);
        }
        within(BATCH_HEADER_BYTES + body.len(), MAX_BATCH_BYTES, "bytes of a batch")?;
        if !holds_records(body, count) {
            return Err(Malformed::Shape("the bytes are not the records of a batch"));
        }
        Ok(Self { first, epoch, count, checksum, body })
    }

    /// Its first record.
    pub const fn first(&self) -> Lsn {
        self.first
    }

    /// Its last record.
    pub fn last(&self) -> Lsn {
        self.first.advance(u64::from(self.count) - 1).unwrap_or(self.first)
    }

    /// Where a log is that ends with it.
    pub fn end(&self) -> Position {
        Position { lsn: self.last(), epoch: self.epoch, checksum: self.checksum }
    }

    /// The epoch it was written under.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How many records it has; at least one.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Never: a batch has records.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The running checksum of a log up to and including the batch.
    pub const fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The records as they are framed in a log: what is sent.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Whether a log that ends at `position` goes on with this batch: number, epoch, and the checksum over all that
    /// came before and the batch itself. O(bytes).
    pub fn follows(&self, position: Position) -> bool {
        position.lsn.next() == Some(self.first)
            && position.epoch <= self.epoch
            && BatchHeader::chain_over(position.checksum, self.first, self.epoch, self.body) == self.checksum
    }

    /// Its records, in order.
    pub fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let (body, mut framed) = (self.body, FramedRecords::default());
        (self.first.get()..self.first.get() + u64::from(self.count)).map_while(move |lsn| {
            let (kind, payload) = framed.next(body).ok()??;
            Some(Record { lsn: Lsn::new(lsn), kind, payload })
        })
    }

    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// The bytes the batch takes in a segment, framing included.
    pub const fn encoded_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.body.len()
    }

    /// The same records as a batch of their own. O(bytes).
    pub fn to_batch(&self) -> Batch {
        Batch { epoch: self.epoch, count: self.count, body: self.body.to_vec() }
    }

    /// The batch with its place, to be kept. O(bytes).
    pub fn to_copy(&self) -> BatchCopy {
        let Self { first, epoch, count, checksum, body } = *self;
        BatchCopy { first, epoch, count, checksum, body: body.to_vec() }
    }
}

/// A [`LoggedBatch`] that is nobody's: what a host carries from a log to a [`Sender`](crate::ship::Sender), or from a
/// [`Receiver`](crate::ship::Receiver) to a log, where the two are not at hand at the same time.
///
/// ```
/// use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, RecordKind, storage::MemoryStorage};
///
/// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// log.append(&Batch::of(Epoch::new(1), RecordKind(1), b"milk")?)?;
/// log.sync()?;
/// let batch = log.read_batches_from(Lsn::FIRST)?.next_batch()?.expect("one").to_copy();
///
/// let (mut copy, _) = Log::open(MemoryStorage::new(), LogOptions::new(0xcafe))?;
/// copy.promise_epoch(Epoch::new(1))?;
/// copy.append_copy(Epoch::new(1), &batch.lend())?;
/// assert_eq!(copy.checksum(), log.checksum());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchCopy {
    first: Lsn,
    epoch: Epoch,
    count: u32,
    checksum: u32,
    body: Vec<u8>,
}

impl BatchCopy {
    /// The batch as logs, senders and receivers take it.
    pub fn lend(&self) -> LoggedBatch<'_> {
        let Self { first, epoch, count, checksum, ref body } = *self;
        LoggedBatch { first, epoch, count, checksum, body }
    }
}

/// Whether one more record may join a batch that has `count` of them in `bytes`, framing included.
pub(crate) fn check_push(count: u32, bytes: usize, payload: &[u8]) -> Result<(), BatchError> {
    if payload.len() > MAX_RECORD_BYTES {
        return Err(BatchError::RecordTooLarge { bytes: payload.len(), limit: MAX_RECORD_BYTES });
    }
    if count as usize == MAX_BATCH_RECORDS {
        return Err(BatchError::TooManyRecords { limit: MAX_BATCH_RECORDS });
    }
    let bytes = bytes + framed_bytes(payload.len());
    if bytes > MAX_BATCH_BYTES {
        return Err(BatchError::BatchTooLarge { bytes, limit: MAX_BATCH_BYTES });
    }
    Ok(())
}
