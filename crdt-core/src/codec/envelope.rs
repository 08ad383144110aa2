//! The envelope around one value: what it is, in which format, how long.

use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{DecodeError, EncodeError};
use super::payload::{decode_payload, try_encode_payload};
use crate::limits::Limits;

/// The first four bytes of every envelope.
pub const MAGIC: [u8; 4] = *b"CRDT";

/// The format version this release writes, and the only one it reads.
pub const FORMAT_VERSION: u16 = 1;

/// Bytes in front of the payload.
pub const HEADER_LEN: usize = 24;

/// The baseline everything starts at: no replica has been [retired](crate::Retirement) yet.
const FIRST_BASELINE: u64 = 0;

/// A type with a place in the envelope's table of tags (`docs/formats.md`).
///
/// The tag names the container: whoever reads an `OrSet<String>` must know that the elements are
/// strings. Tags below `0x4000` belong to this family; your own types may take the rest.
pub trait Encoded: Serialize + DeserializeOwned {
    /// The tag of the type; never reused.
    const TYPE_TAG: u16;
    /// The name of the type, for messages.
    const NAME: &str;
}

/// The canonical bytes of `value` in an envelope. O(size of the value).
///
/// # Panics
///
/// If the `Serialize` of a user's own element type fails; no type of this crate does. Use
/// [`try_to_bytes`] for elements that can.
pub fn to_bytes<T: Encoded>(value: &T) -> Vec<u8> {
    try_to_bytes(value).unwrap_or_else(|error| panic!("{error}"))
}

/// The canonical bytes of `value` in an envelope, or the error of a user's own `Serialize`.
pub fn try_to_bytes<T: Encoded>(value: &T) -> Result<Vec<u8>, EncodeError> {
    try_to_bytes_at(FIRST_BASELINE, value)
}

/// [`try_to_bytes`] for a value of another baseline than the first: one in which replicas have been
/// [retired](crate::Retirement).
pub fn try_to_bytes_at<T: Encoded>(baseline: u64, value: &T) -> Result<Vec<u8>, EncodeError> {
    let payload = try_encode_payload(value)?;
    let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&T::TYPE_TAG.to_le_bytes());
    bytes.extend_from_slice(&baseline.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// The value in an envelope. Cost and guarantees are those of [`decode_payload`].
pub fn from_bytes<T: Encoded>(bytes: &[u8], limits: &Limits) -> Result<T, DecodeError> {
    from_bytes_at(FIRST_BASELINE, bytes, limits)
}

/// [`from_bytes`] for a receiver that is at this baseline. A value of any other is refused: it counts replicas that
/// this side has retired, or the other way round.
pub fn from_bytes_at<T: Encoded>(baseline: u64, bytes: &[u8], limits: &Limits) -> Result<T, DecodeError> {
    if bytes.len() > limits.max_bytes {
        return Err(DecodeError::TooLarge { found: bytes.len(), limit: limits.max_bytes });
    }
    let mut header = Header { rest: bytes };
    let magic = header.take()?;
    if magic != MAGIC {
        return Err(DecodeError::WrongMagic { found: magic });
    }
    let version = u16::from_le_bytes(header.take()?);
    if version != FORMAT_VERSION {
        return Err(DecodeError::UnsupportedVersion { found: version, supported: FORMAT_VERSION });
    }
    let tag = u16::from_le_bytes(header.take()?);
    if tag != T::TYPE_TAG {
        return Err(DecodeError::WrongType { expected: T::TYPE_TAG, name: T::NAME, found: tag });
    }
    let found = u64::from_le_bytes(header.take()?);
    if found != baseline {
        return Err(DecodeError::WrongBaseline { found, expected: baseline });
    }
    let claimed = u64::from_le_bytes(header.take()?);
    let payload = header.rest;
    if claimed != payload.len() as u64 {
        return Err(DecodeError::LengthMismatch { claimed, found: payload.len() });
    }
    decode_payload(payload, limits)
}

struct Header<'a> {
    rest: &'a [u8],
}

impl Header<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (field, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*field)
    }
}
