//! How many cells a number of differences takes.

use super::estimate::Estimate;
use super::limits::MAX_CELLS;

/// How often decoding should succeed with the first cells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Chance {
    /// One time in two: where further cells cost little.
    Half,
    /// Nine times in ten.
    NineInTen,
    /// 99 times in 100.
    NinetyNineInHundred,
}

/// One row: differences, and the cells that decode them as often as [`Chance`] says, in its order.
type Row = (u64, [u64; 3]);

/// Measured.
const MEASURED: [Row; 6] = [
    (0, [1, 1, 1]),
    (1, [1, 1, 1]),
    (10, [16, 22, 32]),
    (100, [145, 158, 175]),
    (1_000, [1_375, 1_410, 1_450]),
    (10_000, [13_580, 13_700, 13_800]),
];

/// How many cells decode this many differences as often as `chance` says, at most [`MAX_CELLS`].
pub fn cells_for(differences: u64, chance: Chance) -> usize {
    let column = chance as usize;
    let after = MEASURED.partition_point(|row| row.0 < differences);
    let (upper, lower) = match (MEASURED.get(after), MEASURED.get(after.wrapping_sub(1))) {
        (Some(upper), Some(lower)) => (upper, lower),
        (Some(first), None) => (first, first),
        (None, _) => (&MEASURED[MEASURED.len() - 1], &MEASURED[0]),
    };
    let cells = between(differences, (lower.0, lower.1[column]), (upper.0, upper.1[column]));
    usize::try_from(cells).unwrap_or(MAX_CELLS).min(MAX_CELLS)
}

impl Estimate {
    /// How many cells to ask for: as often as `chance` says they are enough, for the estimate's doubt and that of
    /// decoding together.
    pub fn cells(&self, chance: Chance) -> usize {
        let middle = cells_for(self.differences(), Chance::Half);
        let spread = cells_for(self.differences(), chance) - middle;
        // The quantiles of the normal distribution, in hundredths, at 1.36 cells per difference.
        let doubt = match chance {
            Chance::Half => 0,
            Chance::NineInTen => 128 * 136,
            Chance::NinetyNineInHundred => 233 * 136,
        };
        let doubt = u128::from(self.deviation()) * doubt / 10_000;
        let together = (doubt.pow(2) + (spread as u128).pow(2)).isqrt();
        usize::try_from(together).unwrap_or(MAX_CELLS).saturating_add(middle).min(MAX_CELLS)
    }
}

fn between(at: u64, lower: (u64, u64), upper: (u64, u64)) -> u64 {
    let run = u128::from(upper.0 - lower.0);
    let rise = u128::from(upper.1 - lower.1) * u128::from(at - lower.0);
    let cells = u128::from(lower.1) + rise.checked_div(run).unwrap_or(0);
    u64::try_from(cells).unwrap_or(u64::MAX)
}
