//! Unsigned LEB128 numbers of at most 32 bits: seven bits per byte, low bits first, no superfluous
//! bytes.

use alloc::vec::Vec;

/// The most bytes a number takes.
pub(crate) const MAX: usize = 5;

pub(crate) fn write(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

fn low_byte(value: u32) -> u8 {
    value.to_le_bytes()[0]
}
