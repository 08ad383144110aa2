//! The parts that several messages have, as bytes.

use alloc::{string::String, vec::Vec};

use super::FrameError;
use crate::{
    Epoch, Lsn, Malformed, Position,
    bytes::{Input, put_blob, put_number},
    checksum,
    entry::logical::FormatVersions,
    limits::MAX_NODE_NAME_BYTES,
    ship::{Marks, Stage},
};

const CHECKSUM_BYTES: usize = 4;

/// A frame of this tag, without its checksum.
pub(super) fn begin(tag: u8, stream: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.push(tag);
    bytes.extend_from_slice(&stream.to_le_bytes());
    bytes
}

/// Adds the checksum over everything so far.
pub(super) fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = checksum::extend(0, &bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The frame without its checksum, if that is right: the tag, the stream, and the rest.
pub(super) fn open(frame: &[u8]) -> Result<(u8, u64, Input<'_>), FrameError> {
    let (content, stated) =
        frame.split_last_chunk::<CHECKSUM_BYTES>().ok_or(FrameError::Damaged { bytes: frame.len() })?;
    if checksum::extend(0, content) != u32::from_le_bytes(*stated) {
        return Err(FrameError::Damaged { bytes: frame.len() });
    }
    let mut input = Input::new(content);
    let tag = input.byte()?;
    let stream = u64::from_le_bytes(input.array()?);
    Ok((tag, stream, input))
}

pub(super) fn put_lsn(bytes: &mut Vec<u8>, lsn: Lsn) {
    put_number(bytes, lsn.get());
}

pub(super) fn lsn(input: &mut Input<'_>) -> Result<Lsn, Malformed> {
    input.number().map(Lsn::new)
}

pub(super) fn put_epoch(bytes: &mut Vec<u8>, epoch: Epoch) {
    put_number(bytes, epoch.get());
}

pub(super) fn epoch(input: &mut Input<'_>) -> Result<Epoch, Malformed> {
    input.number().map(Epoch::new)
}

pub(super) fn put_position(bytes: &mut Vec<u8>, position: Position) {
    put_lsn(bytes, position.lsn);
    put_epoch(bytes, position.epoch);
    bytes.extend_from_slice(&position.checksum.to_le_bytes());
}

pub(super) fn position(input: &mut Input<'_>) -> Result<Position, Malformed> {
    let (lsn, epoch) = (lsn(input)?, epoch(input)?);
    Ok(Position { lsn, epoch, checksum: u32::from_le_bytes(input.array()?) })
}

pub(super) fn put_versions(bytes: &mut Vec<u8>, versions: FormatVersions) {
    bytes.extend_from_slice(&[versions.min, versions.max]);
}

pub(super) fn versions(input: &mut Input<'_>) -> Result<FormatVersions, Malformed> {
    let [min, max] = input.array()?;
    if min > max { Err(Malformed::Number) } else { Ok(FormatVersions { min, max }) }
}

pub(super) fn put_name(bytes: &mut Vec<u8>, name: &str) {
    put_blob(bytes, name.as_bytes());
}

pub(super) fn name(input: &mut Input<'_>) -> Result<String, Malformed> {
    input.text(MAX_NODE_NAME_BYTES, "bytes of a name")
}

/// What was received, and then how far each later stage is behind the one before it.
pub(super) fn put_marks(bytes: &mut Vec<u8>, marks: Marks) {
    let mut before = marks.at(Stage::Received);
    put_lsn(bytes, before);
    for stage in [Stage::Written, Stage::Flushed, Stage::Applied] {
        put_number(bytes, before.get() - marks.at(stage).get());
        before = marks.at(stage);
    }
}

pub(super) fn marks(input: &mut Input<'_>) -> Result<Marks, Malformed> {
    let received = lsn(input)?;
    let mut before = received.get();
    let mut next = || {
        before = before.checked_sub(input.number()?).ok_or(Malformed::Number)?;
        Ok(Lsn::new(before))
    };
    let (written, flushed, applied) = (next()?, next()?, next()?);
    Marks::new(received, written, flushed, applied).ok_or(Malformed::Number)
}

pub(super) fn flag(input: &mut Input<'_>) -> Result<bool, Malformed> {
    match input.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        tag => Err(Malformed::Tag(tag)),
    }
}
