//! The unit of atomicity: records that enter the log together or not at all.

use alloc::vec::Vec;

use crate::{
    BatchError, Epoch, RecordKind,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_RECORD_BYTES},
    segment::{BATCH_HEADER_BYTES, frame_record, framed_bytes},
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
