//! How many of `n` alike succeed.

use core::f64::consts::TAU;

use libm::{exp, fabs, fma, log, log1p, sqrt};

use super::Chance;

/// The number of successes of `n` independent tries with the same chance each. Right for any `n`.
///
/// The probability of one number is the saddle-point form of C. Loader, *Fast and accurate computation of binomial
/// probabilities* (2000): neither factorials nor powers appear, so nothing overflows and no digits cancel.
/// Tails are sums of it, from their largest term outward, and of both tails it is the smaller that is summed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binomial {
    n: u32,
    success: Chance,
}

impl Binomial {
    pub(crate) const fn new(n: u32, success: Chance) -> Self {
        Self { n, success }
    }

    /// `P(X = x)`. O(1), with a relative error of less than 1e-12 for `n` up to 1000.
    pub(crate) fn pmf(&self, x: u32) -> f64 {
        let Chance { yes, no } = self.success;
        if x > self.n {
            return 0.0;
        }
        if yes <= 0.0 || no <= 0.0 {
            let certain = if yes <= 0.0 { 0 } else { self.n };
            return f64::from(u8::from(x == certain));
        }
        let (successes, failures, n) = (f64::from(x), f64::from(self.n - x), f64::from(self.n));
        if x == 0 {
            return exp(n * log_of_complement(self.success));
        }
        if x == self.n {
            return exp(n * log_of_complement(self.success.opposite()));
        }
        // How many more successes than expected, rounded once, from the more precise of the two chances.
        let excess = if yes <= no { fma(-n, yes, successes) } else { fma(n, no, -failures) };
        let exponent = stirling_error(self.n)
            - stirling_error(x)
            - stirling_error(self.n - x)
            - deviance(successes, n * yes, excess)
            - deviance(failures, n * no, -excess);
        exp(exponent) * sqrt(n / (TAU * successes * failures))
    }

    /// `P(X >= k)`. O(min(n, sqrt(n))): the terms vanish within some ten standard deviations.
    pub(crate) fn at_least(&self, k: u32) -> f64 {
        if k == 0 {
            1.0
        } else if k > self.n {
            0.0
        } else if f64::from(k) > f64::from(self.n) * self.success.yes {
            self.upper_tail(k)
        } else {
            1.0 - self.of_failures().upper_tail(self.n - k + 1)
        }
    }

    /// `P(X <= k)`, as precise where that is next to nothing. Costs as much.
    pub(crate) fn at_most(&self, k: u32) -> f64 {
        if k >= self.n { 1.0 } else { self.of_failures().at_least(self.n - k) }
    }

    /// The number of failures instead.
    const fn of_failures(&self) -> Self {
        Self { n: self.n, success: self.success.opposite() }
    }

    /// `P(X >= k)` for `k` above the mean, where each term is smaller than the one before.
    fn upper_tail(&self, k: u32) -> f64 {
        let odds = self.success.yes / self.success.no;
        let mut x = k;
        let mut sum = 0.0;
        loop {
            // The roundings of a recurrence add up: each block begins with a term of its own.
            let mut term = self.pmf(x);
            let mut block = 0.0;
            for _ in 0..BLOCK {
                block += term;
                if x >= self.n {
                    return sum + block;
                }
                let ratio = f64::from(self.n - x) / (f64::from(x) + 1.0) * odds;
                // What is left is less than a geometric series.
                if term * ratio <= (sum + block) * (1.0 - ratio) * (f64::EPSILON / 4.0) {
                    return sum + block;
                }
                term *= ratio;
                x += 1;
            }
            sum += block;
        }
    }
}

/// How many terms are had from their neighbours before one is computed afresh.
const BLOCK: u32 = 256;

/// `ln(1 - p)` of the chance `p`.
fn log_of_complement(chance: Chance) -> f64 {
    if chance.yes < chance.no { log1p(-chance.yes) } else { log(chance.no) }
}

/// `x ln(x / mean) + mean - x`, given `excess = x - mean`: what a deviation from the mean costs.
///
/// Close to the mean the logarithm nearly cancels the rest. There it is a series in `v = (x - mean) / (x + mean)`,
/// from `ln(x / mean) = 2 (v + v^3 / 3 + v^5 / 5 + ..)`.
fn deviance(x: f64, mean: f64, excess: f64) -> f64 {
    let v = excess / (x + mean);
    if fabs(v) >= 0.1 {
        // This way round, means that are next to nothing stay in the range of numbers.
        return -x * log(mean / x) - excess;
    }
    let mut power = 2.0 * x * v;
    let mut sum = excess * v;
    for odd in [3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0, 19.0] {
        power *= v * v;
        sum += power / odd;
    }
    sum
}

/// `ln n! - ln(sqrt(2 pi n) (n / e)^n)`: what Stirling's formula leaves out. For `n >= 1`.
fn stirling_error(n: u32) -> f64 {
    match usize::try_from(n).ok().and_then(|n| STIRLING_ERRORS.get(n)) {
        Some(error) => *error,
        None => stirling_series(f64::from(n)),
    }
}

/// The asymptotic series; what follows is below 1e-16 from 16 on.
fn stirling_series(n: f64) -> f64 {
    let square = n * n;
    let terms = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0];
    terms.iter().rev().fold(0.0, |sum, term| sum / square + term) / n
}

/// For 0 (where there is none) to 15, from arithmetic with 60 digits.
const STIRLING_ERRORS: [f64; 16] = [
    0.0,
    0.081_061_466_795_327_26,
    0.041_340_695_955_409_3,
    0.027_677_925_684_998_34,
    0.020_790_672_103_765_093,
    0.016_644_691_189_821_193,
    0.013_876_128_823_070_748,
    0.011_896_709_945_891_77,
    0.010_411_265_261_972_096,
    0.009_255_462_182_712_733,
    0.008_330_563_433_362_87,
    0.007_573_675_487_951_841,
    0.006_942_840_107_209_53,
    0.006_408_994_188_004_207,
    0.005_951_370_112_758_847_5,
    0.005_554_733_551_962_801,
];

#[cfg(test)]
mod tests;
