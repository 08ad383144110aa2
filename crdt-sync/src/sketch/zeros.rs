//! How many differences there are, by the cells that hold none of them.

use super::estimate::Estimate;
use super::limits::MAX_CELLS;

/// Fractions have this many bits behind the point.
const FRACTION: u32 = 32;
const ONE: u64 = 1 << FRACTION;
/// Cells are looked at in so many groups of alike ones.
const GROUPS: usize = 256;
/// More differences than this are told from none of the cells there may be.
const MOST: u64 = 4 * MAX_CELLS as u64;

impl Estimate {
    /// The estimate when `zeros` of the first `cells` cells of a difference are zero, and there are at least
    /// `at_least` differences. A cell is zero with a probability that falls with its density and with the
    /// number of differences; so this tells up to about twice as many differences as cells. O(log^2),
    /// whatever the number.
    pub(super) fn of_zeros(zeros: usize, cells: usize, at_least: u64) -> Self {
        let zeros = (zeros as u64) << FRACTION;
        let spread = zeros.isqrt() << (FRACTION / 2);
        let differences = differences_with(cells, zeros.max(ONE / 2)).max(at_least);
        let more = differences_with(cells, zeros.saturating_sub(spread).max(ONE / 2));
        let fewer = differences_with(cells, zeros + spread);
        Self::new(differences, (more - fewer.min(more)) / 2, zeros < 2 * ONE)
    }
}

/// The number of differences that leaves so many of the cells zero on average, by bisection.
fn differences_with(cells: usize, zeros: u64) -> u64 {
    let (mut low, mut high) = (0, MOST);
    while low < high {
        let middle = u64::midpoint(low, high);
        if zeros_with(cells, middle) > zeros {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// How many of the cells hold none of the differences, on average. Cell `i` holds a symbol with probability
/// `1 / (1 + i / 2)`, so it is without all of them with `(i / (i + 2)) ^ differences`.
fn zeros_with(cells: usize, differences: u64) -> u64 {
    let width = cells.div_ceil(GROUPS).max(1);
    let groups = (0..cells).step_by(width).map(|first| {
        let width = width.min(cells - first) as u64;
        let middle = first as u64 + width / 2;
        width * power((middle << FRACTION) / (middle + 2), differences)
    });
    groups.sum()
}

fn power(base: u64, mut exponent: u64) -> u64 {
    let (mut result, mut square) = (ONE, base);
    while exponent > 0 && result > 0 {
        if exponent & 1 == 1 {
            result = times(result, square);
        }
        square = times(square, square);
        exponent >>= 1;
    }
    result
}

fn times(a: u64, b: u64) -> u64 {
    u64::try_from((u128::from(a) * u128::from(b)) >> FRACTION).unwrap_or(u64::MAX)
}
