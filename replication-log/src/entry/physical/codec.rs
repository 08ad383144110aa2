//! The bytes of a physical entry. `docs/formats.md` draws them.

use alloc::vec::Vec;

use super::{ByteRange, PageChange, PhysicalEntry};
use crate::{
    page::{
        PageFormat, PageId,
        layout::{CHECKSUM_END, LSN_END, LSN_START},
    },
    segment::read_le,
};

const ENTRY_VERSION: u8 = 1;
const HEADER_BYTES: usize = 12;
const IMAGE: u8 = 1;
const BYTES: u8 = 2;

/// Why bytes are no physical entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The bytes end too early.
    #[error("a physical entry that ends after {bytes} bytes; nothing was applied")]
    Short {
        /// How many there are.
        bytes: usize,
    },
    /// The entry is written in another version.
    #[error("a physical entry of version {found}, this build reads {supported}; nothing was applied")]
    Version {
        /// The version it states.
        found: u8,
        /// The version this build reads and writes.
        supported: u8,
    },
    /// The entry is not as this crate writes it.
    #[error("a malformed physical entry, at byte {at}; nothing was applied")]
    Malformed {
        /// Where it stops making sense.
        at: usize,
    },
}

impl PhysicalEntry {
    /// The bytes of the entry: at most a page and a few more for each range.
    pub fn encode(&self) -> Vec<u8> {
        let [version, size_bits] = self.format.encode();
        let (kind, before) = match self.change {
            PageChange::Image(_) => (IMAGE, 0),
            PageChange::Bytes { before, .. } => (BYTES, before),
        };
        let ranges = self.change.ranges();
        let stated: usize = ranges.iter().map(|range| range.bytes.len() + 4).sum();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + 2 + stated);
        bytes.extend_from_slice(&[ENTRY_VERSION, kind, version, size_bits]);
        bytes.extend_from_slice(&self.page.get().to_le_bytes());
        bytes.extend_from_slice(&before.to_le_bytes());
        push_number(&mut bytes, self.index);
        push_number(&mut bytes, self.remaining);
        let mut end = 0;
        for range in ranges {
            push_number(&mut bytes, range.offset - end);
            #[expect(clippy::cast_possible_truncation, reason = "a range lies inside a page")]
            let length = range.bytes.len() as u32;
            push_number(&mut bytes, length);
            bytes.extend_from_slice(&range.bytes);
            end = range.offset + length;
        }
        bytes
    }

    /// The entry that has exactly these bytes. O(bytes), also in memory.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let header: &[u8; HEADER_BYTES] =
            bytes.first_chunk().ok_or(EntryError::Short { bytes: bytes.len() })?;
        if header[0] != ENTRY_VERSION {
            return Err(EntryError::Version { found: header[0], supported: ENTRY_VERSION });
        }
        let format = PageFormat::decode([header[2], header[3]]);
        let size = format.size().ok_or(EntryError::Malformed { at: 3 })?;
        let page = PageId::new(read_le!(u32, header, 4));
        if page == PageId::META {
            return Err(EntryError::Malformed { at: 4 });
        }
        let before = read_le!(u32, header, 8);
        let mut rest = Rest { bytes, at: HEADER_BYTES };
        let (index, remaining) = (rest.number()?, rest.number()?);
        let ranges = rest.ranges(size)?;
        let change = match (header[1], before) {
            (IMAGE, 0) => PageChange::Image(ranges),
            (IMAGE, _) => return Err(EntryError::Malformed { at: 8 }),
            (BYTES, before) => PageChange::Bytes { before, ranges },
            _ => return Err(EntryError::Malformed { at: 1 }),
        };
        Ok(Self { format, page, index, remaining, change })
    }
}

/// The part of an entry that is still to be read.
struct Rest<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Rest<'_> {
    /// Ranges that ascend, do not touch and spare what is not theirs, to the end of the entry.
    fn ranges(&mut self, size: u32) -> Result<Vec<ByteRange>, EntryError> {
        let mut ranges = Vec::new();
        let mut end = 0_u32;
        while self.at < self.bytes.len() {
            let malformed = EntryError::Malformed { at: self.at };
            let (gap, length) = (self.number()?, self.number()?);
            let offset = end.checked_add(gap).ok_or(malformed)?;
            let touches = gap == 0 && end > 0;
            end = offset.checked_add(length).filter(|&end| end <= size).ok_or(malformed)?;
            if length == 0 || touches || !is_content(offset as usize, end as usize) {
                return Err(malformed);
            }
            let start = self.at;
            self.at += length as usize;
            let short = EntryError::Short { bytes: self.bytes.len() };
            let bytes = self.bytes.get(start..self.at).ok_or(short)?.to_vec();
            ranges.push(ByteRange { offset, bytes });
        }
        // Nothing changed is nothing to log, and no page is all zeros.
        if ranges.is_empty() { Err(EntryError::Malformed { at: self.at }) } else { Ok(ranges) }
    }

    /// A number in LEB128, as short as possible.
    fn number(&mut self) -> Result<u32, EntryError> {
        let malformed = EntryError::Malformed { at: self.at };
        let mut number = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let short = EntryError::Short { bytes: self.bytes.len() };
            let byte = *self.bytes.get(self.at).ok_or(short)?;
            self.at += 1;
            let low = u32::from(byte & 0x7f);
            if low << shift >> shift != low {
                return Err(malformed);
            }
            number |= low << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(malformed) } else { Ok(number) };
            }
        }
        Err(malformed)
    }
}

/// Whether a range spares the checksum and the LSN.
fn is_content(start: usize, end: usize) -> bool {
    start >= CHECKSUM_END && (end <= LSN_START || start >= LSN_END)
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits fit into a byte")]
fn push_number(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
