//! Sums of reciprocals.

use libm::log1p;

/// `1/(m+1) + 1/(m+2) + .. + 1/n`, for `m <= n`: the harmonic numbers `H_n - H_m`. O(1), to the last few bits.
///
/// The first are added up, the rest is the asymptotic expansion of the digamma function, in which the logarithms of
/// neighbours would cancel if they were taken apart.
pub(super) fn harmonic_between(m: u32, n: u32) -> f64 {
    let first_terms = (m.saturating_add(1)..=n.min(EXPANDED_FROM)).rev();
    let sum: f64 = first_terms.map(|i| 1.0 / f64::from(i)).sum();
    let m = m.max(EXPANDED_FROM);
    if n <= m {
        return sum;
    }
    let (low, high) = (f64::from(m), f64::from(n));
    sum + (log1p((high - low) / low) + correction(high) - correction(low))
}

/// From here on what follows the terms of the expansion is below 1e-17.
const EXPANDED_FROM: u32 = 32;

/// `H_n - ln n - 0.5772..`.
fn correction(n: f64) -> f64 {
    let square = n * n;
    let terms = [-1.0 / 12.0, 1.0 / 120.0, -1.0 / 252.0, 1.0 / 240.0];
    0.5 / n + terms.iter().rev().fold(0.0, |sum, term| (sum + term) / square)
}

#[cfg(test)]
mod tests;
