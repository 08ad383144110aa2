//! A set of positions below a known bound, as Rice-coded gaps (Rice and Plaunt, 1971).
//!
//! The parameter follows from the bound and the number of members, so it is not written, and there
//! is one form only: close to the entropy for sparse sets, the plain bitmap for dense ones.

use alloc::vec::Vec;

use super::reader::Reader;
use super::varint;
use crate::merkle::ProtocolError;

/// A set that lies, checked, in the bytes of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexSet<'a> {
    universe: u32,
    len: u32,
    bits: &'a [u8],
}

impl<'a> IndexSet<'a> {
    /// Reads `universe, len, bits` and checks every member. O(universe / 2^parameter + len), at
    /// most eight steps per byte of the frame.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, ProtocolError> {
        let universe = reader.number()?;
        let len = reader.number()?;
        if len > universe {
            return Err(ProtocolError::PositionOutOfRange);
        }
        let mut members = Members::new(universe, len, reader.rest());
        for _ in 0..len {
            members.read()?;
        }
        let used = members.used_bytes()?;
        Ok(Self { universe, len, bits: reader.bytes(used)? })
    }

    /// The bound: every member is smaller.
    pub(crate) fn universe(&self) -> u32 {
        self.universe
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The members in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        let mut members = Members::new(self.universe, self.len, self.bits);
        (0..self.len).map_while(move |_| members.read().ok())
    }
}

/// Writes `universe, len, bits` of ascending `members`, all below `universe`.
pub(crate) fn write(out: &mut Vec<u8>, universe: u32, members: impl ExactSizeIterator<Item = u32>) {
    let len = u32::try_from(members.len()).unwrap_or(u32::MAX);
    varint::write(out, universe);
    varint::write(out, len);
    let parameter = parameter(universe, len);
    let mut bits = BitWriter { out, used: 8 };
    let mut next = 0;
    for member in members {
        let gap = member - next;
        for _ in 0..gap >> parameter {
            bits.push(false);
        }
        bits.push(true);
        for bit in 0..parameter {
            bits.push(gap >> bit & 1 == 1);
        }
        next = member + 1;
    }
}

/// The gaps of a random set average `universe / len`; the best parameter is close to its logarithm.
fn parameter(universe: u32, len: u32) -> u32 {
    universe.checked_div(len).and_then(u32::checked_ilog2).unwrap_or(0)
}

struct Members<'a> {
    universe: u32,
    parameter: u32,
    bits: &'a [u8],
    /// The position of the next bit.
    at: usize,
    /// The smallest position that can come next.
    next: u32,
}

impl<'a> Members<'a> {
    fn new(universe: u32, len: u32, bits: &'a [u8]) -> Self {
        Self { universe, parameter: parameter(universe, len), bits, at: 0, next: 0 }
    }

    fn read(&mut self) -> Result<u32, ProtocolError> {
        let mut member = u64::from(self.next);
        while !self.bit()? {
            member += 1 << self.parameter;
        }
        for bit in 0..self.parameter {
            member += u64::from(self.bit()?) << bit;
        }
        let member = u32::try_from(member).ok().filter(|member| *member < self.universe);
        let member = member.ok_or(ProtocolError::PositionOutOfRange)?;
        self.next = member + 1;
        Ok(member)
    }

    fn bit(&mut self) -> Result<bool, ProtocolError> {
        let byte = self.bits.get(self.at / 8).ok_or(ProtocolError::Truncated)?;
        let bit = byte >> (self.at % 8) & 1 == 1;
        self.at += 1;
        Ok(bit)
    }

    /// The bytes read so far, the last of which must be filled up with zeros.
    fn used_bytes(&self) -> Result<usize, ProtocolError> {
        let filler = match (self.bits.get(self.at / 8), self.at % 8) {
            (Some(byte), used @ 1..) => byte >> used,
            _ => 0,
        };
        if filler == 0 { Ok(self.at.div_ceil(8)) } else { Err(ProtocolError::NotCanonical) }
    }
}

/// Appends bits, low ones first.
struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    /// How many bits of the last byte are taken.
    used: u32,
}

impl BitWriter<'_> {
    fn push(&mut self, bit: bool) {
        if self.used == 8 {
            self.out.push(0);
            self.used = 0;
        }
        if let Some(byte) = self.out.last_mut() {
            *byte |= u8::from(bit) << self.used;
        }
        self.used += 1;
    }
}
