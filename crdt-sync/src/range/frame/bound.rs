//! Bounds of ranges: how much of the bound before is kept, and what follows.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::merkle::ProtocolError as Form;
use crate::merkle::frame::reader::Reader;
use crate::merkle::frame::varint;
use crate::range::ProtocolError;
use crate::range::limits::MAX_KEY_BYTES;
use crate::range::tree::common_prefix;

/// The low bits of a head hold the length of a short rest.
const LEN_BITS: u32 = 3;
const SHORT: u32 = 1 << LEN_BITS;

/// Writes a bound that is above `previous`.
pub(in crate::range) fn write_bound(out: &mut Vec<u8>, previous: &[u8], bound: &[u8]) {
    let shared = common_prefix(previous, bound);
    let rest = &bound[shared..];
    let [shared, len] = [shared, rest.len()].map(|len| u32::try_from(len).unwrap_or(u32::MAX));
    if len < SHORT {
        varint::write(out, shared << LEN_BITS | len);
    } else {
        varint::write(out, shared << LEN_BITS);
        varint::write(out, len);
    }
    out.extend_from_slice(rest);
}

/// Reads a bound, which must be above `previous` and in its one shortest form.
pub(in crate::range) fn read_bound(
    reader: &mut Reader<'_>,
    previous: &[u8],
) -> Result<Arc<[u8]>, ProtocolError> {
    let head = reader.number()?;
    let kept = previous.get(..(head >> LEN_BITS) as usize).ok_or(ProtocolError::BoundsOutOfOrder)?;
    let len = match head % SHORT {
        0 => reader.number()?,
        len => len,
    };
    if (len < SHORT) != (head % SHORT > 0) {
        return Err(Form::NotCanonical.into());
    }
    let len = len as usize;
    if kept.len() + len > MAX_KEY_BYTES {
        return Err(ProtocolError::BoundTooLong { len: kept.len() + len });
    }
    let rest = reader.bytes(len)?;
    // Where the bound before goes on, this one must go on higher; a byte in common would have been
    // kept.
    match rest.first().cmp(&previous.get(kept.len())) {
        core::cmp::Ordering::Greater => Ok([kept, rest].concat().into()),
        core::cmp::Ordering::Equal => Err(Form::NotCanonical.into()),
        core::cmp::Ordering::Less => Err(ProtocolError::BoundsOutOfOrder),
    }
}
