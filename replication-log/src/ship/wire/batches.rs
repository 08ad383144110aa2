//! Batches of a log in one frame, without copying them where they are read.

use alloc::vec::Vec;

use super::{
    FrameError,
    codec::{begin, epoch, lsn, put_epoch, put_lsn},
};
use crate::{
    Epoch, LoggedBatch, Lsn, Malformed,
    bytes::{Input, put_count, put_number},
    checksum,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_FRAME_BATCHES},
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
/// What is said of the batches stands in front of their records and has the frame's only checksum: the records have
/// that of the log, which the receiver has to compute anyway.
#[derive(Debug, Default)]
pub(in crate::ship) struct BatchesFrame {
    first: Lsn,
    count: usize,
    /// Epoch, number of records, length and running checksum of each batch.
    heads: Vec<u8>,
    bodies: Vec<u8>,
}

impl BatchesFrame {
    pub(in crate::ship) fn push(&mut self, batch: &LoggedBatch<'_>) {
        if self.count == 0 {
            self.first = batch.first();
        }
        self.count += 1;
        put_epoch(&mut self.heads, batch.epoch());
        put_count(&mut self.heads, batch.len());
        put_count(&mut self.heads, batch.body().len());
        self.heads.extend_from_slice(&batch.checksum().to_le_bytes());
        self.bodies.extend_from_slice(batch.body());
    }

    /// How many bytes of records it holds.
    pub(in crate::ship) fn bytes(&self) -> usize {
        self.bodies.len()
    }

    pub(in crate::ship) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a batch of so many bytes may still be added.
    pub(in crate::ship) fn has_room(&self, bytes: usize) -> bool {
        self.is_empty() || (self.count < MAX_FRAME_BATCHES && self.bodies.len() + bytes <= MAX_BATCH_BYTES)
    }

    /// The frame. What was filled in is empty again, and keeps its memory.
    pub(in crate::ship) fn take(&mut self, stream: u64, leader: Epoch, commit: Lsn, end: Lsn) -> Vec<u8> {
        let mut bytes = begin(TAG, stream);
        bytes.reserve(self.heads.len() + self.bodies.len() + 64);
        put_epoch(&mut bytes, leader);
        put_lsn(&mut bytes, commit);
        put_lsn(&mut bytes, end);
        put_lsn(&mut bytes, self.first);
        put_number(&mut bytes, self.count as u64);
        bytes.extend_from_slice(&self.heads);
        let checksum = checksum::extend(0, &bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(&self.bodies);
        self.count = 0;
        self.heads.clear();
        self.bodies.clear();
        bytes
    }
}

impl<'a> Batches<'a> {
    /// The message as a frame. O(bytes).
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = BatchesFrame::default();
        for batch in &self.batches {
            frame.push(batch);
        }
        frame.take(self.stream, self.epoch, self.commit, self.end)
    }

    pub(super) fn decode(frame: &'a [u8]) -> Result<Self, FrameError> {
        let mut input = Input::new(frame);
        // Nothing that is read before the checksum is believed, except that it is where a frame has it.
        let damaged = |_| FrameError::Damaged { bytes: frame.len() };
        let (head, heads) = Head::decode(&mut input).map_err(damaged)?;
        let covered = frame.len() - input.len();
        let stated = u32::from_le_bytes(input.array().map_err(damaged)?);
        if checksum::extend(0, &frame[..covered]) != stated {
            return Err(FrameError::Damaged { bytes: frame.len() });
        }
        let mut batches = Vec::with_capacity(heads.len());
        let mut first = head.first;
        for (epoch, count, length, checksum) in heads {
            let body = input.take(length)?;
            let batch = LoggedBatch::from_stranger(first, epoch, count, checksum, body);
            // What is said of the batch is as it was sent; its records may have been damaged on the way.
            let batch = batch.map_err(|error| match error {
                Malformed::Shape(_) => FrameError::Damaged { bytes: frame.len() },
                error => error.into(),
            })?;
            if epoch > head.leader {
                return Err(Malformed::Shape("a batch of a later epoch than its sender's").into());
            }
            first = batch.last().next().ok_or(Malformed::Number)?;
            batches.push(batch);
        }
        input.end()?;
        let Head { stream, leader: epoch, commit, end, .. } = head;
        Ok(Self { stream, epoch, commit, end, batches })
    }
}

struct Head {
    stream: u64,
    leader: Epoch,
    commit: Lsn,
    end: Lsn,
    first: Lsn,
}

type BatchHead = (Epoch, u32, usize, u32);

impl Head {
    fn decode(input: &mut Input<'_>) -> Result<(Self, Vec<BatchHead>), Malformed> {
        let _tag = input.byte()?;
        let stream = u64::from_le_bytes(input.array()?);
        let (leader, commit, end, first) = (epoch(input)?, lsn(input)?, lsn(input)?, lsn(input)?);
        let count = input.count(MAX_FRAME_BATCHES, "batches of a frame")?;
        let mut heads = Vec::new();
        for _ in 0..count {
            let epoch = epoch(input)?;
            let count = input.count(MAX_BATCH_RECORDS, "records of a batch")?;
            let count = u32::try_from(count).map_err(|_| Malformed::Number)?;
            let length = input.count(MAX_BATCH_BYTES, "bytes of a batch")?;
            heads.push((epoch, count, length, u32::from_le_bytes(input.array()?)));
        }
        Ok((Self { stream, leader, commit, end, first }, heads))
    }
}
