//! The bytes: a start, then frames, each behind its length. `docs/formats.md` draws them.

use alloc::vec::Vec;

use crdt_core::{Hlc, codec};
use serde::{Deserialize, Serialize};

use super::{CheckpointError, RestoreError};
use crate::bytes::Bytes;
use crate::collection::CollectionId;
use crate::limits::MAX_CHECKPOINT_FRAME;
use crate::replica::JournalRecord;
use crate::wire::{Run, Standing};

/// What every checkpoint starts with: the magic, and the version of the format.
pub(super) const START: [u8; START_BYTES] = *b"CSYNCKPT\x01\0\0\0";
pub(super) const START_BYTES: usize = 12;
pub(super) const VERSION: u32 = 1;
/// The size of the number in front of a frame.
pub(super) const LENGTH_BYTES: usize = 4;
/// A frame is closed when it holds this much, so that where frames end depends on nothing but what is in them.
pub(super) const FULL: usize = 32 << 10;

/// A part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Frame {
    /// The first one.
    Head(Head),
    /// A partition begins. Partitions come in the order of their numbers, each once.
    Partition {
        /// Its number.
        number: u16,
        /// What it had applied, and the root of the cells to come.
        standing: Standing,
    },
    /// Entries of one origin that peers can still be served, in the partition that began last.
    Retained {
        /// They follow what was retained of this origin before, or entries between were dropped.
        run: Run,
        /// The record that holds each.
        lsns: Vec<u64>,
    },
    /// States of the partition that began last, in the order of their keys.
    Cells(CellsFrame),
    /// Nothing follows.
    End,
    /// More records like those of the head, behind it and before the first partition.
    Records(Vec<JournalRecord>),
}

/// What does not belong to one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The record the checkpoint stands for.
    pub(super) lsn: u64,
    /// Records that make, on an empty replica, everything that is told nowhere else in the checkpoint. The first is
    /// the founding.
    pub(super) records: Vec<JournalRecord>,
    /// The last stamp this node gave out.
    pub(super) issued: Hlc,
    /// The last stamp it gave out or took note of.
    pub(super) clock: Hlc,
}

/// States of one collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CellsFrame {
    pub(super) collection: CollectionId,
    /// Key, state, and the record that changed it last.
    pub(super) items: Vec<(Bytes, Bytes, u64)>,
}

/// Appends a frame.
pub(super) fn put(frame: &Frame, out: &mut Vec<u8>) -> Result<(), CheckpointError> {
    let payload = codec::encode_payload(frame);
    out.extend_from_slice(&length_of(payload.len())?);
    out.extend_from_slice(&payload);
    Ok(())
}

/// What stands in front of a frame of this size.
pub(super) fn length_of(bytes: usize) -> Result<[u8; LENGTH_BYTES], CheckpointError> {
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= MAX_CHECKPOINT_FRAME);
    let length = length.ok_or(CheckpointError::TooLarge { bytes, limit: MAX_CHECKPOINT_FRAME })?;
    Ok(length.to_le_bytes())
}

/// Checks the start of a checkpoint.
pub(super) fn check_start(start: &[u8; START_BYTES]) -> Result<(), RestoreError> {
    let (magic, version) = start.split_at(8);
    if magic != &START[..8] {
        return Err(RestoreError::NotOne);
    }
    let found = version.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
    if found == VERSION { Ok(()) } else { Err(RestoreError::OtherVersion { found, supported: VERSION }) }
}

/// The first frame of `bytes`, and how many bytes it takes up with its length; `None` when there is more to come.
pub(super) fn take(bytes: &[u8]) -> Result<Option<(Frame, usize)>, RestoreError> {
    const LIMITS: crdt_core::Limits = crdt_core::Limits {
        max_bytes: MAX_CHECKPOINT_FRAME,
        max_elements: MAX_CHECKPOINT_FRAME,
        ..crdt_core::Limits::DEFAULT
    };
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > MAX_CHECKPOINT_FRAME {
        return Err(RestoreError::TooLarge { bytes: length, limit: MAX_CHECKPOINT_FRAME });
    }
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    Ok(Some((codec::decode_payload(payload, &LIMITS)?, LENGTH_BYTES + length)))
}
