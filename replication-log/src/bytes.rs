//! Numbers, blobs and ascending ids as bytes: one encoding for each, anything else is refused.

use alloc::{string::String, vec::Vec};

/// Why bytes are not what this crate writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The bytes end too early.
    #[error("the bytes end inside a field")]
    Short,
    /// Bytes are left over.
    #[error("{0} bytes are left over behind the last field")]
    Trailing(usize),
    /// A number is not in its shortest form, or too large for what it numbers.
    #[error("a number is out of range or not in its shortest form")]
    Number,
    /// A tag or flag that the format version does not have.
    #[error("{0:#04x} is no tag that may stand here")]
    Tag(u8),
    /// Text is not UTF-8.
    #[error("text is not UTF-8")]
    Text,
    /// There is more of something than the limits allow.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The bound it exceeds.
        limit: usize,
    },
    /// The parts are each well formed and do not go together.
    #[error("{0}")]
    Shape(&'static str),
}

/// Refuses what is above a bound.
pub(crate) fn within(count: usize, limit: usize, what: &'static str) -> Result<(), Malformed> {
    if count > limit { Err(Malformed::TooMuch { what, limit }) } else { Ok(()) }
}

/// Appends a number in LEB128, as short as possible.
#[expect(clippy::cast_possible_truncation, reason = "seven bits fit into a byte")]
pub(crate) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Appends a signed number, its sign in the lowest bit.
pub(crate) fn put_signed(bytes: &mut Vec<u8>, number: i64) {
    put_number(bytes, (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
}

/// Appends how many there are.
pub(crate) fn put_count(bytes: &mut Vec<u8>, count: usize) {
    put_number(bytes, count as u64);
}

/// Appends bytes behind their length.
pub(crate) fn put_blob(bytes: &mut Vec<u8>, blob: &[u8]) {
    put_count(bytes, blob.len());
    bytes.extend_from_slice(blob);
}

/// Ascending numbers, each told as its distance from the lowest it could be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ascending {
    lowest: u64,
    exhausted: bool,
}

impl Ascending {
    pub(crate) fn put(&mut self, bytes: &mut Vec<u8>, number: u64) {
        put_number(bytes, number.wrapping_sub(self.lowest));
        self.lowest = number.wrapping_add(1);
    }

    pub(crate) fn take(&mut self, input: &mut Input<'_>) -> Result<u64, Malformed> {
        let distance = input.number()?;
        if self.exhausted {
            return Err(Malformed::Number);
        }
        let number = self.lowest.checked_add(distance).ok_or(Malformed::Number)?;
        match number.checked_add(1) {
            Some(lowest) => self.lowest = lowest,
            None => self.exhausted = true,
        }
        Ok(number)
    }

    pub(crate) fn take_u32(&mut self, input: &mut Input<'_>) -> Result<u32, Malformed> {
        self.take(input)?.try_into().map_err(|_| Malformed::Number)
    }
}

/// Bytes that are taken apart from the front.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(byte)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Malformed::Number);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                let overlong = byte == 0 && shift > 0;
                return if overlong { Err(Malformed::Number) } else { Ok(number) };
            }
        }
        Err(Malformed::Number)
    }

    pub(crate) fn number_u32(&mut self) -> Result<u32, Malformed> {
        self.number()?.try_into().map_err(|_| Malformed::Number)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// How many of something follow; nothing is allocated on the strength of it.
    pub(crate) fn count(&mut self, limit: usize, what: &'static str) -> Result<usize, Malformed> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed::TooMuch { what, limit })?;
        within(count, limit, what)?;
        Ok(count)
    }

    pub(crate) fn blob(&mut self, limit: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let count = self.count(limit, what)?;
        self.take(count)
    }

    pub(crate) fn text(&mut self, limit: usize, what: &'static str) -> Result<String, Malformed> {
        let blob = self.blob(limit, what)?;
        core::str::from_utf8(blob).map(Into::into).map_err(|_| Malformed::Text)
    }

    /// So many bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// How many bytes are left.
    pub(crate) const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing(self.rest.len())) }
    }
}
