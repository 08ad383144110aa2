//! Records inside a batch: length, kind, payload.

use alloc::vec::Vec;

use crate::{RecordKind, limits::MAX_RECORD_BYTES};

/// The bytes a payload of this length takes inside a batch.
pub(crate) fn framed_bytes(payload: usize) -> usize {
    let bits = (usize::BITS - payload.leading_zeros()).max(1) as usize;
    bits.div_ceil(7) + 1 + payload
}

/// Appends one framed record: the payload's length in LEB128, the kind, the payload.
#[expect(clippy::cast_possible_truncation, reason = "seven bits fit into a byte")]
pub(crate) fn frame_record(body: &mut Vec<u8>, kind: RecordKind, payload: &[u8]) {
    let mut rest = payload.len();
    while rest >= 0x80 {
        body.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    body.push(rest as u8);
    body.push(kind.0);
    body.extend_from_slice(payload);
}

/// Takes a batch's records off its body, one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FramedRecords {
    position: usize,
}

impl FramedRecords {
    /// The next record of `body`: `Ok(None)` at its exact end, `Err` where the bytes are not a
    /// canonical record.
    pub(crate) fn next<'b>(&mut self, body: &'b [u8]) -> Result<Option<(RecordKind, &'b [u8])>, NotARecord> {
        if self.position == body.len() {
            return Ok(None);
        }
        let length = self.length(body)?;
        let (&kind, rest) = body.get(self.position..).and_then(<[u8]>::split_first).ok_or(NotARecord)?;
        let payload = rest.get(..length).ok_or(NotARecord)?;
        self.position += 1 + length;
        Ok(Some((RecordKind(kind), payload)))
    }

    fn length(&mut self, body: &[u8]) -> Result<usize, NotARecord> {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = *body.get(self.position).ok_or(NotARecord)?;
            self.position += 1;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let overlong = byte == 0 && shift > 0;
                return if overlong || length > MAX_RECORD_BYTES { Err(NotARecord) } else { Ok(length) };
            }
        }
        Err(NotARecord)
    }
}

/// Whether a batch's body is exactly so many records. O(records).
pub(crate) fn holds_records(body: &[u8], count: u32) -> bool {
    let mut records = FramedRecords::default();
    (0..count).all(|_| matches!(records.next(body), Ok(Some(_)))) && matches!(records.next(body), Ok(None))
}

/// The bytes are not a record as this crate writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotARecord;
