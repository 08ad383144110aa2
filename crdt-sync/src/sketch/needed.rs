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

/// Quantiles of the cells taken, of 10,000 runs for few differences and 100 for many, by `cargo test -p
/// crdt-sync --release sketch::tests::figures -- --ignored --nocapture`, which prints this table.
///
/// Of 300 and 100 runs, from 5,000 differences on, the last column is little more than the largest seen.
///
/// The mean is 1 cell for one difference, then 1.6 to 1.8 per difference up to 20, 1.45 at 100, 1.37 at 1,000
/// and 1.36 at 10,000. Few differences take relatively many because of what chance may do to them: two that
/// share their first cells wait for the next cell that has only one of them.
const MEASURED: [Row; 22] = [
    (0, [1, 1, 1]),
    (1, [1, 1, 1]),
    (2, [3, 5, 10]),
    (3, [4, 8, 15]),
    (4, [6, 10, 18]),
    (5, [8, 13, 21]),
    (7, [11, 17, 27]),
    (10, [16, 23, 35]),
    (15, [24, 32, 44]),
    (20, [32, 40, 55]),
    (30, [46, 56, 70]),
    (50, [75, 86, 100]),
    (70, [103, 115, 128]),
    (100, [144, 159, 173]),
    (200, [283, 301, 317]),
    (500, [694, 724, 752]),
    (1_000, [1_374, 1_412, 1_450]),
    (2_000, [2_735, 2_790, 2_841]),
    (5_000, [6_804, 6_890, 6_962]),
    (10_000, [13_575, 13_710, 13_850]),
    (30_000, [40_695, 40_965, 41_100]),
    (100_000, [135_350, 135_850, 136_100]),
];

/// How many cells decode this many differences as often as `chance` says, at most [`MAX_CELLS`]: measured at
/// some numbers of differences and linear between them. O(1).
///
/// | differences | half | 9 in 10 | 99 in 100 |
/// |---|---|---|---|
/// | 1 | 1 | 1 | 1 |
/// | 10 | 16 | 23 | 35 |
/// | 100 | 144 | 159 | 173 |
/// | 1,000 | 1,374 | 1,412 | 1,450 |
/// | 10,000 | 13,575 | 13,710 | 13,850 |
///
/// ```
/// use crdt_sync::sketch::{Chance, cells_for};
///
/// assert_eq!(cells_for(100, Chance::NineInTen), 159);
/// ```
pub fn cells_for(differences: u64, chance: Chance) -> usize {
    let column = chance as usize;
    let after = MEASURED.partition_point(|row| row.0 < differences);
    let (upper, lower) = match (MEASURED.get(after), MEASURED.get(after.wrapping_sub(1))) {
        (Some(upper), Some(lower)) => (upper, lower),
        (Some(first), None) => (first, first),
        // Above the table as below its end.
        (None, _) => (&MEASURED[MEASURED.len() - 1], &MEASURED[MEASURED.len() - 2]),
    };
    let cells = between(differences, (lower.0, lower.1[column]), (upper.0, upper.1[column]));
    usize::try_from(cells).unwrap_or(MAX_CELLS).min(MAX_CELLS)
}

impl Estimate {
    /// How many cells to ask for: as often as `chance` says they are enough, for the estimate's doubt and
    /// that of decoding together.
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
