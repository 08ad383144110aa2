//! Ascending lists of short numbers, fingerprints or ids, as Rice-coded gaps.
//!
//! A list of `m` random numbers of `w` bits takes about `w - log2(m) + 1.5` bits for each, as its
//! order carries no information. The parameter stands in the frame, for all its lists are about as
//! dense; a bad choice costs bytes, nothing else.

use alloc::vec::Vec;

use super::bits::{BitReader, BitWriter};
use super::reader::Reader;
use super::varint;
use crate::merkle::ProtocolError;

/// An entry takes at least nine bits, so that a list in memory is no more than eight times as long as
/// in its frame.
pub(super) const MIN_PARAMETER: u8 = 8;

/// The lists of one frame, one after another to its end: the number of entries, then their gaps. Nothing is
/// known of them before they are read: going through them twice would cost as much as all else about them.
#[derive(Clone, Copy, Debug)]
pub(in crate::merkle) struct Lists<'a> {
    bytes: &'a [u8],
    parameter: u8,
}

impl<'a> Lists<'a> {
    /// Takes the rest of a frame as lists.
    pub(super) fn new(bytes: &'a [u8], parameter: u8) -> Self {
        Self { bytes, parameter }
    }

    /// The one list that there is.
    pub(super) fn only(&self) -> Result<List<'a>, ProtocolError> {
        let mut lists = self.reader();
        let found = lists.count_rest()?;
        match List::read(&mut Reader::new(self.bytes), self.parameter) {
            Ok(list) if found == 1 => Ok(list),
            _ => Err(ProtocolError::ListCount { expected: 1, found }),
        }
    }

    /// The lists, to be read one after another.
    pub(in crate::merkle) fn reader(&self) -> ListReader<'a> {
        ListReader { reader: Reader::new(self.bytes), parameter: self.parameter }
    }
}

/// Reads the lists of a frame in a single pass.
pub(in crate::merkle) struct ListReader<'a> {
    reader: Reader<'a>,
    parameter: u8,
}

impl ListReader<'_> {
    /// Whether all lists were read.
    pub(in crate::merkle) fn is_empty(&self) -> bool {
        self.reader.is_empty()
    }

    /// Calls `f` with each gap of the next list, as [`List::gaps`] gives them, until it fails.
    #[inline]
    pub(in crate::merkle) fn next_list(
        &mut self,
        mut f: impl FnMut(u64) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        let len = self.reader.number()?;
        let mut bits = BitReader::new(self.reader.rest());
        for _ in 0..len {
            f(bits.gap(self.parameter)?)?;
        }
        self.reader.bytes(bits.used_bytes()?)?;
        Ok(())
    }

    /// Reads on to the end and tells how many lists there were.
    pub(in crate::merkle) fn count_rest(&mut self) -> Result<u32, ProtocolError> {
        let mut count = 0;
        while !self.is_empty() {
            self.next_list(|_| Ok(()))?;
            count += 1;
        }
        Ok(count)
    }
}

/// One list, or a piece of one.
#[derive(Clone, Copy, Debug)]
pub(in crate::merkle) struct List<'a> {
    len: u32,
    bits: &'a [u8],
    parameter: u8,
}

impl<'a> List<'a> {
    fn read(reader: &mut Reader<'a>, parameter: u8) -> Result<Self, ProtocolError> {
        let len = reader.number()?;
        let mut bits = BitReader::new(reader.rest());
        for _ in 0..len {
            bits.gap(parameter)?;
        }
        let used = bits.used_bytes()?;
        Ok(Self { len, bits: reader.bytes(used)?, parameter })
    }

    pub(in crate::merkle) fn len(&self) -> u32 {
        self.len
    }

    /// The distance of each entry from the one before. The first one's is from zero, or from the
    /// last entry of the frame before if the list goes on from there.
    pub(in crate::merkle) fn gaps(&self) -> impl Iterator<Item = u64> + use<'a> {
        let mut bits = BitReader::new(self.bits);
        let parameter = self.parameter;
        (0..self.len).map_while(move |_| bits.gap(parameter).ok())
    }
}

/// Appends one list of ascending numbers, the first of them at or above `from`.
pub(in crate::merkle) fn write_list(
    out: &mut Vec<u8>,
    parameter: u8,
    from: u64,
    numbers: impl ExactSizeIterator<Item = u64>,
) {
    varint::write(out, u32::try_from(numbers.len()).unwrap_or(u32::MAX));
    let mut bits = BitWriter::new(out);
    let mut latest = from;
    for number in numbers {
        bits.gap(number - latest, parameter);
        latest = number;
    }
    bits.finish();
}

/// The parameter for lists of `len` random numbers of `width` bits, at least 16. O(1).
pub(in crate::merkle) fn parameter(width: u8, len: u64) -> u8 {
    let logarithm = len.max(1).ilog2();
    width.saturating_sub(u8::try_from(logarithm).unwrap_or(0)).clamp(MIN_PARAMETER, width - 1)
}
