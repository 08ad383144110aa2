//! Bits within the bytes of a frame, low ones first, and gaps among them as Rice codes (Rice and
//! Plaunt, 1971).

use alloc::vec::Vec;

use crate::merkle::ProtocolError;

/// Appends bits to the bytes of a frame, whole bytes at a time.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Bits that do not fill a byte yet, `used` of them.
    pending: u64,
    used: u32,
}

/// The most bits that are written or read at once: with those of a byte begun they fit into a word.
const MOST: u32 = 56;

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, pending: 0, used: 0 }
    }

    /// Appends `gap >> parameter` zeros, a one, and the low `parameter` bits of the gap.
    #[inline]
    pub(super) fn gap(&mut self, gap: u64, parameter: u8) {
        let zeros = gap >> parameter;
        let len = zeros.saturating_add(1 + u64::from(parameter));
        if len > u64::from(MOST) {
            return self.long_gap(gap, parameter);
        }
        let low = gap & mask(u32::from(parameter));
        self.push(low << 1 << zeros | 1 << zeros, u32::try_from(len).unwrap_or(MOST));
    }

    #[cold]
    fn long_gap(&mut self, gap: u64, parameter: u8) {
        let mut zeros = gap >> parameter;
        while zeros >= u64::from(MOST) {
            self.push(0, MOST);
            zeros -= u64::from(MOST);
        }
        self.push(1 << zeros, u32::try_from(zeros).unwrap_or(MOST) + 1);
        let (low, rest) = split(parameter);
        self.push(gap & mask(low), low);
        self.push(gap >> low & mask(rest), rest);
    }

    /// Fills up the last byte with zeros.
    pub(super) fn finish(self) {
        if self.used > 0 {
            self.out.push(self.pending.to_le_bytes()[0]);
        }
    }

    /// Appends at most [`MOST`] bits.
    fn push(&mut self, bits: u64, count: u32) {
        self.pending |= bits << self.used;
        self.used += count;
        // Eight bytes and back is faster than as many as there are.
        let end = self.out.len() + (self.used / 8) as usize;
        self.out.extend_from_slice(&self.pending.to_le_bytes());
        self.out.truncate(end);
        self.pending = self.pending.checked_shr(self.used & !7).unwrap_or(0);
        self.used &= 7;
    }
}

/// A number of bits as at most half a word and the rest, so that each can be moved at once.
fn split(bits: u8) -> (u32, u32) {
    let low = u32::from(bits).min(32);
    (low, u32::from(bits) - low)
}

/// The lowest bits, fewer than 64.
const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// How many bits a gap takes.
pub(in crate::merkle) fn gap_len(gap: u64, parameter: u8) -> u64 {
    (gap >> parameter) + 1 + u64::from(parameter)
}

/// Reads bits out of the bytes of a frame.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The position of the next bit.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads a gap. At most one step per seven bytes of the frame.
    #[inline]
    pub(super) fn gap(&mut self, parameter: u8) -> Result<u64, ProtocolError> {
        let word = self.peek();
        let zeros = word.trailing_zeros();
        let len = zeros + 1 + u32::from(parameter);
        if len > MOST {
            return self.long_gap(parameter);
        }
        self.skip(len)?;
        Ok(u64::from(zeros) << parameter | (word >> 1 >> zeros) & mask(u32::from(parameter)))
    }

    #[cold]
    fn long_gap(&mut self, parameter: u8) -> Result<u64, ProtocolError> {
        let mut steps = 0;
        let zeros = loop {
            let zeros = self.peek().trailing_zeros();
            if zeros < MOST {
                break zeros;
            }
            self.skip(MOST)?;
            steps += u64::from(MOST);
        };
        self.skip(zeros + 1)?;
        steps += u64::from(zeros);
        let (low, rest) = split(parameter);
        let low_bits = self.take(low)?;
        let bits = low_bits | self.take(rest)? << low;
        let high = steps.checked_mul(1 << parameter).ok_or(ProtocolError::PositionOutOfRange)?;
        Ok(high | bits)
    }

    /// The bytes read so far, the last of which must be filled up with zeros.
    pub(super) fn used_bytes(&self) -> Result<usize, ProtocolError> {
        let filler = match (self.bytes.get(self.at / 8), self.at % 8) {
            (Some(byte), used @ 1..) => byte >> used,
            _ => 0,
        };
        if filler == 0 { Ok(self.at.div_ceil(8)) } else { Err(ProtocolError::NotCanonical) }
    }

    /// At least the next [`MOST`] bits; zeros past the end.
    fn peek(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        word >> (self.at % 8)
    }

    fn take(&mut self, count: u32) -> Result<u64, ProtocolError> {
        let bits = self.peek() & mask(count);
        self.skip(count)?;
        Ok(bits)
    }

    fn skip(&mut self, count: u32) -> Result<(), ProtocolError> {
        self.at += count as usize;
        if self.at <= 8 * self.bytes.len() { Ok(()) } else { Err(ProtocolError::Truncated) }
    }
}
