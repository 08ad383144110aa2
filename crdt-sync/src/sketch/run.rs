//! The bytes of cells.

use alloc::vec::Vec;

use super::cell::Cell;
use super::error::RunError;
use super::field::Fp;
use super::limits::MAX_CELLS;

/// Cells of a sketch that follow each other, as they travel.
///
/// ```
/// use crdt_sync::sketch::{Cell, CellRun};
///
/// # fn main() -> Result<(), crdt_sync::sketch::RunError> {
/// let run = CellRun { from: 40, cells: vec![Cell::default(); 2] };
/// let bytes = run.to_bytes();
/// assert_eq!(bytes.len(), run.encoded_len());
/// assert_eq!(CellRun::decode(&bytes)?, run);
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CellRun {
    /// The place of the first cell in the sketch.
    pub from: u32,
    /// The cells.
    pub cells: Vec<Cell>,
}

impl CellRun {
    /// The most bytes before the cells.
    pub const MAX_HEAD: usize = 2 * NUMBER;

    /// Appends the bytes laid down in `docs/formats.md`. O(cells).
    pub fn encode(&self, out: &mut Vec<u8>) {
        write_number(out, self.from);
        write_number(out, self.count());
        for cell in &self.cells {
            for sum in [cell.weights, cell.ids, cell.checks] {
                out.extend_from_slice(&sum.get().to_le_bytes());
            }
        }
    }

    /// The bytes alone.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode(&mut bytes);
        bytes
    }

    /// How many bytes [`CellRun::encode`] appends.
    pub fn encoded_len(&self) -> usize {
        number_len(self.from) + number_len(self.count()) + Cell::LEN * self.cells.len()
    }

    /// The run that these bytes are, all of them. O(cells), and allocates no more than the bytes take.
    pub fn decode(bytes: &[u8]) -> Result<Self, RunError> {
        match Self::decode_first(bytes)? {
            (run, []) => Ok(run),
            (_, rest) => Err(RunError::TrailingBytes { count: rest.len() }),
        }
    }

    /// The run that these bytes begin with, and the bytes after it.
    pub fn decode_first(bytes: &[u8]) -> Result<(Self, &[u8]), RunError> {
        let (from, rest) = read_number(bytes)?;
        let (count, rest) = read_number(rest)?;
        if u64::from(from) + u64::from(count) > MAX_CELLS as u64 {
            return Err(RunError::TooManyCells { from, count });
        }
        let (cells, rest) = rest.split_at_checked(count as usize * Cell::LEN).ok_or(RunError::Truncated)?;
        let cells = cells.as_chunks().0.iter().map(read_cell).collect::<Result<_, _>>()?;
        Ok((Self { from, cells }, rest))
    }

    fn count(&self) -> u32 {
        u32::try_from(self.cells.len()).unwrap_or(u32::MAX)
    }
}

fn read_cell(bytes: &[u8; Cell::LEN]) -> Result<Cell, RunError> {
    let [weights, ids, checks] = core::array::from_fn(|at| {
        let [a, b, c, d] = core::array::from_fn(|byte| bytes[4 * at + byte]);
        u32::from_le_bytes([a, b, c, d])
    });
    Ok(Cell { weights: read_sum(weights)?, ids: read_sum(ids)?, checks: read_sum(checks)? })
}

fn read_sum(sum: u32) -> Result<Fp, RunError> {
    Fp::new(sum).ok_or(RunError::Sum { sum })
}

/// The most bytes of a number: unsigned LEB128 of at most 32 bits.
const NUMBER: usize = 5;

fn number_len(value: u32) -> usize {
    (1..NUMBER).find(|len| value >> (7 * len) == 0).unwrap_or(NUMBER)
}

fn write_number(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn read_number(bytes: &[u8]) -> Result<(u32, &[u8]), RunError> {
    let mut value = 0_u64;
    let mut rest = bytes;
    for place in 0..NUMBER {
        let (&byte, after) = rest.split_first().ok_or(RunError::Truncated)?;
        rest = after;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let shortest = byte != 0 || place == 0;
            let value = u32::try_from(value).ok().filter(|_| shortest).ok_or(RunError::NotCanonical)?;
            return Ok((value, rest));
        }
    }
    Err(RunError::NotCanonical)
}
