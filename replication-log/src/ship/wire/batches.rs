//! Batches of a log in one frame, without copying them where they are read.

use alloc::vec::Vec;

use super::{
    FrameError,
    codec::{begin, epoch, put_epoch},
};
use crate::{
    Epoch, LoggedBatch, Lsn, Malformed,
    bytes::{Input, put_count, within},
    checksum,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_FRAME_BATCHES},
    segment::read_le,
};

pub(super) const TAG: u8 = 0x12;

/// Batches of a log, in order and without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batches<'a> {
    /// The conversation it belongs to.
    pub stream: u64,
    /// The epoch of the leader; no batch is of a later one.
    pub epoch: Epoch,
    /// The last record that is committed.
    pub commit: Lsn,
    /// The last record that is durable at the leader.
    pub end: Lsn,
    /// The batches.
    pub batches: Vec<LoggedBatch<'a>>,
}

/// A frame of batches while it is filled.
///
/// Each batch stands behind what is said of it, so that its records are copied once, and what is known only in the end
/// is said in the end. The frame's checksum is over all but the records: those have that of the log, which the receiver
/// has to compute anyway.
#[derive(Debug)]
pub(in crate::ship) struct BatchesFrame {
    stream: u64,
    first: Lsn,
    count: u32,
    bytes: Vec<u8>,
    checksum: u32,
    /// How many of the bytes are records.
    records: usize,
}

impl BatchesFrame {
    pub(in crate::ship) fn new(stream: u64) -> Self {
        let bytes = begin(TAG, stream);
        let checksum = checksum::extend(0, &bytes);
        Self { stream, first: Lsn::ZERO, count: 0, bytes, checksum, records: 0 }
    }

    pub(in crate::ship) fn push(&mut self, batch: &LoggedBatch<'_>) {
        if self.count == 0 {
            self.first = batch.first();
        }
        let head = self.bytes.len();
        put_epoch(&mut self.bytes, batch.epoch());
        put_count(&mut self.bytes, batch.len());
        put_count(&mut self.bytes, batch.body().len());
        self.bytes.extend_from_slice(&batch.checksum().to_le_bytes());
        self.checksum = checksum::extend(self.checksum, &self.bytes[head..]);
        self.bytes.extend_from_slice(batch.body());
        self.count += 1;
        self.records += batch.body().len();
    }

    /// How many bytes of records it holds.
    pub(in crate::ship) fn bytes(&self) -> usize {
        self.records
    }

    pub(in crate::ship) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a batch of so many bytes may still be added.
    pub(in crate::ship) fn has_room(&self, bytes: usize) -> bool {
        let is_one_more = (self.count as usize) < MAX_FRAME_BATCHES;
        self.is_empty() || (is_one_more && self.records + bytes <= MAX_BATCH_BYTES)
    }

    /// Forgets what was filled in.
    pub(in crate::ship) fn clear(&mut self) {
        *self = Self::new(self.stream);
    }

    /// The frame. What was filled in is empty again.
    pub(in crate::ship) fn take(&mut self, leader: Epoch, commit: Lsn, end: Lsn) -> Vec<u8> {
        let mut next = Self::new(self.stream);
        next.bytes.reserve(self.bytes.len());
        let Self { first, count, mut bytes, checksum, .. } = core::mem::replace(self, next);
        let trailer = bytes.len();
        for number in [leader.get(), commit.get(), end.get(), first.get()] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&count.to_le_bytes());
        let checksum = checksum::extend(checksum, &bytes[trailer..]);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }
}

impl<'a> Batches<'a> {
    /// The message as a frame. O(bytes).
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = BatchesFrame::new(self.stream);
        for batch in &self.batches {
            frame.push(batch);
        }
        frame.take(self.epoch, self.commit, self.end)
    }

    pub(super) fn decode(frame: &'a [u8]) -> Result<Self, FrameError> {
        // Nothing is believed before the checksum, except that things are where a frame has them: where they are not,
        // it is damaged.
        let damaged = FrameError::Damaged { bytes: frame.len() };
        let Some((content, trailer)) = frame.split_last_chunk::<TRAILER_BYTES>() else { return Err(damaged) };
        let parts = parts_of(content, read_le!(u32, trailer, 32)).map_err(|_| damaged.clone())?;
        let covered = parts.iter().fold(checksum::extend(0, &content[..PREFIX_BYTES]), |checksum, part| {
            checksum::extend(checksum, part.said)
        });
        let checksum = checksum::extend(covered, &trailer[..TRAILER_BYTES - 4]);
        if checksum != read_le!(u32, trailer, TRAILER_BYTES - 4) {
            return Err(damaged);
        }
        let (leader, commit) = (Epoch::new(read_le!(u64, trailer, 0)), Lsn::new(read_le!(u64, trailer, 8)));
        let (end, mut first) = (Lsn::new(read_le!(u64, trailer, 16)), Lsn::new(read_le!(u64, trailer, 24)));
        let mut batches = Vec::with_capacity(parts.len());
        for Part { epoch, count, checksum, body, .. } in parts {
            let batch = LoggedBatch::from_stranger(first, epoch, count, checksum, body);
            // What is said of the batch is as it was sent; its records may have been damaged on the way.
            let batch = batch.map_err(|error| match error {
                Malformed::Shape(_) => damaged.clone(),
                error => error.into(),
            })?;
            if epoch > leader {
                return Err(Malformed::Shape("a batch of a later epoch than its sender's").into());
            }
            first = batch.last().next().ok_or(Malformed::Number)?;
            batches.push(batch);
        }
        let stream = read_le!(u64, content, 1);
        Ok(Self { stream, epoch: leader, commit, end, batches })
    }
}

/// The tag and the stream.
const PREFIX_BYTES: usize = 9;

/// Epoch, commit mark, last durable and first record, number of batches, checksum.
const TRAILER_BYTES: usize = 4 * 8 + 4 + 4;

/// A batch in a frame, and the bytes that say something of it.
struct Part<'a> {
    said: &'a [u8],
    epoch: Epoch,
    count: u32,
    checksum: u32,
    body: &'a [u8],
}

fn parts_of(content: &[u8], count: u32) -> Result<Vec<Part<'_>>, Malformed> {
    let mut input = Input::new(content);
    input.take(PREFIX_BYTES)?;
    let count = usize::try_from(count).map_err(|_| Malformed::Number)?;
    within(count, MAX_FRAME_BATCHES, "batches of a frame")?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let start = content.len() - input.len();
        let epoch = epoch(&mut input)?;
        let records = input.count(MAX_BATCH_RECORDS, "records of a batch")?;
        let length = input.count(MAX_BATCH_BYTES, "bytes of a batch")?;
        let checksum = u32::from_le_bytes(input.array()?);
        let said = &content[start..content.len() - input.len()];
        let count = u32::try_from(records).map_err(|_| Malformed::Number)?;
        parts.push(Part { said, epoch, count, checksum, body: input.take(length)? });
    }
    input.end()?;
    Ok(parts)
}
