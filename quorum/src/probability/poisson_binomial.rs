//! How many succeed if each has a chance of its own.

use alloc::vec;
use alloc::vec::Vec;

use super::Chance;

/// The number of successes of independent tries that need not be alike.
#[derive(Debug, Clone)]
pub(crate) struct PoissonBinomial {
    /// The probability of 0, 1, 2, .. successes.
    pmf: Vec<f64>,
}

impl PoissonBinomial {
    /// One try after the other. O(n^2) time and O(n) space for n tries; only sums of products of positive numbers, so
    /// no digits cancel.
    pub(crate) fn new(tries: impl IntoIterator<Item = Chance>) -> Self {
        let mut pmf = vec![1.0];
        for Chance { yes, no } in tries {
            let mut one_fewer = 0.0;
            for probability in &mut pmf {
                let before = *probability;
                *probability = before * no + one_fewer * yes;
                one_fewer = before;
            }
            pmf.push(one_fewer * yes);
        }
        Self { pmf }
    }

    /// `P(X >= k)`. O(n).
    pub(crate) fn at_least(&self, k: usize) -> f64 {
        let (fewer, enough) = self.split(k);
        if enough < fewer { enough } else { 1.0 - fewer }
    }

    /// `P(X < k)`, as precise where that is next to nothing. O(n).
    pub(crate) fn fewer_than(&self, k: usize) -> f64 {
        let (fewer, enough) = self.split(k);
        if fewer < enough { fewer } else { 1.0 - enough }
    }

    fn split(&self, k: usize) -> (f64, f64) {
        let (fewer, enough) = self.pmf.split_at(k.min(self.pmf.len()));
        (fewer.iter().sum(), enough.iter().sum())
    }
}

#[cfg(test)]
mod tests;
