//! Bits within the bytes of a frame, low ones first, and gaps among them as Rice codes (Rice and
//! Plaunt, 1971).

use alloc::vec::Vec;

use crate::merkle::ProtocolError;

/// Appends bits to the bytes of a frame.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    /// How many bits of the last byte are taken.
    used: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, used: 8 }
    }

    /// Appends `gap >> parameter` zeros, a one, and the low `parameter` bits of the gap.
    pub(super) fn gap(&mut self, gap: u64, parameter: u8) {
        for _ in 0..gap >> parameter {
            self.push(false);
        }
        self.push(true);
        for bit in 0..parameter {
            self.push(gap >> bit & 1 == 1);
        }
    }

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

    /// Reads a gap. At most one step per bit of the frame.
    pub(super) fn gap(&mut self, parameter: u8) -> Result<u64, ProtocolError> {
        let mut steps = 0_u64;
        while !self.bit()? {
            steps += 1;
        }
        let mut low = 0;
        for bit in 0..parameter {
            low |= u64::from(self.bit()?) << bit;
        }
        let high = steps.checked_mul(1 << parameter).ok_or(ProtocolError::PositionOutOfRange)?;
        Ok(high | low)
    }

    /// The bytes read so far, the last of which must be filled up with zeros.
    pub(super) fn used_bytes(&self) -> Result<usize, ProtocolError> {
        let filler = match (self.bytes.get(self.at / 8), self.at % 8) {
            (Some(byte), used @ 1..) => byte >> used,
            _ => 0,
        };
        if filler == 0 { Ok(self.at.div_ceil(8)) } else { Err(ProtocolError::NotCanonical) }
    }

    fn bit(&mut self) -> Result<bool, ProtocolError> {
        let byte = self.bytes.get(self.at / 8).ok_or(ProtocolError::Truncated)?;
        let bit = byte >> (self.at % 8) & 1 == 1;
        self.at += 1;
        Ok(bit)
    }
}
