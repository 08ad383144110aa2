//! The first frame of each side.

use alloc::vec::Vec;

use super::{CHECK, PROTOCOL_VERSION, Tag, read_bound, write_bound};
use crate::merkle::ProtocolError as Form;
use crate::merkle::cells::{Cell, Lanes};
use crate::merkle::frame::reader::Reader;
use crate::merkle::frame::varint;
use crate::merkle::prf::{TreePrf, public_check};
use crate::range::limits::MAX_KEY_BYTES;
use crate::range::{KeyRange, Limits, ProtocolError};

const PROOF: usize = 8;

/// The body of `Hello` and `Welcome`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::range) struct Hello {
    pub(in crate::range) nonce: [u8; 16],
    pub(in crate::range) max_frame: usize,
    pub(in crate::range) max_open_ranges: u32,
    pub(in crate::range) max_items: u32,
    /// What the sender asks for, or agrees to: nothing where the acceptor refuses.
    pub(in crate::range) range: Option<KeyRange>,
    /// The sender's items in that range.
    pub(in crate::range) cell: Cell,
}

impl Hello {
    /// No hello is longer: two bounds at their longest, and some 60 bytes.
    pub(in crate::range) const MAX_LEN: usize = 2 * MAX_KEY_BYTES + 128;

    /// A whole hello or welcome. A welcome proves that it belongs to the hello it `answers`.
    pub(in crate::range) fn encode(&self, tag: Tag, answers: &[u8], prf: &TreePrf) -> Vec<u8> {
        let mut frame = Vec::from([tag.byte(), 0, PROTOCOL_VERSION]);
        frame.extend_from_slice(&self.nonce);
        varint::write(&mut frame, u32::try_from(self.max_frame).unwrap_or(u32::MAX));
        varint::write(&mut frame, self.max_open_ranges);
        varint::write(&mut frame, self.max_items);
        write_range(&mut frame, self.range.as_ref());
        varint::write(&mut frame, self.cell.count);
        frame.extend_from_slice(&self.cell.lanes.as_u128().to_le_bytes());
        let proof = prf.proof(&[answers, &frame].concat());
        frame.extend_from_slice(&proof);
        let check = check(&frame);
        frame.extend_from_slice(&check);
        frame
    }

    pub(in crate::range) fn decode(body: &[u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let theirs = reader.byte()?;
        if theirs != PROTOCOL_VERSION {
            return Err(ProtocolError::Version { ours: PROTOCOL_VERSION, theirs });
        }
        let nonce = reader.array()?;
        let max_frame = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
        let max_open_ranges = reader.number()?;
        let max_items = reader.number()?;
        let range = read_range(&mut reader)?;
        let count = reader.number()?;
        let lanes = Lanes::from_u128(u128::from_le_bytes(reader.array()?));
        reader.bytes(PROOF)?;
        reader.end()?;
        let cell = Cell { lanes, count };
        Self { nonce, max_frame, max_open_ranges, max_items, range, cell }.validate()
    }

    fn validate(self) -> Result<Self, ProtocolError> {
        let is_zero = self.cell == Cell::default();
        let rules = [
            ("max_frame", self.max_frame >= Limits::MIN_FRAME),
            ("max_open_ranges", (1..=1 << 20).contains(&self.max_open_ranges)),
            ("max_items", self.max_items >= Limits::MIN_ITEMS),
            ("sum", self.cell.count > 0 || is_zero),
            ("count", self.range.is_some() || is_zero),
        ];
        match rules.into_iter().find(|(_, holds)| !holds) {
            Some((field, _)) => Err(ProtocolError::Hello { field }),
            None => Ok(self),
        }
    }
}

/// Whether a hello or welcome was made by a holder of the key, and for the hello it `answers`.
pub(in crate::range) fn is_genuine(frame: &[u8], answers: &[u8], prf: &TreePrf) -> bool {
    let content = frame.len().checked_sub(CHECK).and_then(|len| frame.get(..len));
    let Some((content, proof)) = content.and_then(|content| content.split_last_chunk::<PROOF>()) else {
        return false;
    };
    prf.proof(&[answers, content].concat()) == *proof
}

/// The check of a hello, under a public key: it finds damage, so that a wrong cluster key can be
/// told from it.
pub(in crate::range) fn check(hello: &[u8]) -> [u8; CHECK] {
    public_check(b"crdt-sync ranges", hello)
}

/// Nothing (0), a start (1), or a start and an end (2).
fn write_range(out: &mut Vec<u8>, range: Option<&KeyRange>) {
    let Some(range) = range else {
        return out.push(0);
    };
    out.push(if range.end().is_some() { 2 } else { 1 });
    varint::write(out, u32::try_from(range.start().len()).unwrap_or(u32::MAX));
    out.extend_from_slice(range.start());
    if let Some(end) = range.end() {
        write_bound(out, range.start(), end);
    }
}

fn read_range(reader: &mut Reader<'_>) -> Result<Option<KeyRange>, ProtocolError> {
    let bounds = reader.byte()?;
    if bounds == 0 {
        return Ok(None);
    }
    if bounds > 2 {
        return Err(Form::NotCanonical.into());
    }
    let len = reader.number()? as usize;
    if len > MAX_KEY_BYTES {
        return Err(ProtocolError::BoundTooLong { len });
    }
    let start = reader.bytes(len)?;
    let end = if bounds == 2 { Some(read_bound(reader, start)?) } else { None };
    Ok(Some(KeyRange::between(start.into(), end)))
}
