//! A set of positions below a known bound, as Rice-coded gaps.
//!
//! The parameter follows from the bound and the number of members, so it is not written, and there
//! is one form only: close to the entropy for sparse sets, the plain bitmap for dense ones.

use alloc::vec::Vec;

use super::bits::{BitReader, BitWriter};
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
        let used = members.bits.used_bytes()?;
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
    let mut bits = BitWriter::new(out);
    let mut next = 0;
    for member in members {
        bits.gap(u64::from(member - next), parameter);
        next = member + 1;
    }
    bits.finish();
}

/// The gaps of a random set average `universe / len`; the best parameter is close to its logarithm.
fn parameter(universe: u32, len: u32) -> u8 {
    let logarithm = universe.checked_div(len).and_then(u32::checked_ilog2).unwrap_or(0);
    u8::try_from(logarithm).unwrap_or(0)
}

struct Members<'a> {
    universe: u32,
    parameter: u8,
    bits: BitReader<'a>,
    /// The smallest position that can come next.
    next: u32,
}

impl<'a> Members<'a> {
    fn new(universe: u32, len: u32, bits: &'a [u8]) -> Self {
        Self { universe, parameter: parameter(universe, len), bits: BitReader::new(bits), next: 0 }
    }

    fn read(&mut self) -> Result<u32, ProtocolError> {
        let member = u64::from(self.next).checked_add(self.bits.gap(self.parameter)?);
        let member = member.and_then(|member| u32::try_from(member).ok());
        let member =
            member.filter(|member| *member < self.universe).ok_or(ProtocolError::PositionOutOfRange)?;
        self.next = member + 1;
        Ok(member)
    }
}
