//! What follows from N, R and W alone when quorums are chosen at random.

use libm::{exp, log1p, pow};

use super::least;
use crate::{Probability, QuorumConfig, RateError};

/// How stale a read is, in versions.
///
/// All of these assume that every read and every write chooses its quorum evenly among all sets of its size, one
/// independently of the other, and that a write never reaches more replicas than its W (quorums do not *expand*).
/// Real systems send a write to all N and repair what lags behind, so they do better the longer a read waits; what
/// is computed here is the bound for no waiting at all. A write that stopped short of W is not counted as a version.
impl QuorumConfig {
    /// The chance that a read misses the last write: `p_s = C(N - W, R) / C(N, R)`, and 0 if `R + W > N`.
    ///
    /// Precise to 12 digits for any `u32`, in at most 2048 steps; below the smallest normal number the digits run
    /// out and it becomes 0.
    ///
    /// ```
    /// let config = quorum::QuorumConfig::new(5, 2, 3)?;
    /// assert!((config.miss_probability().get() - 0.1).abs() < 1e-15);
    /// assert_eq!(quorum::QuorumConfig::new(3, 2, 2)?.miss_probability(), quorum::Probability::ZERO);
    /// # Ok::<(), quorum::ConfigError>(())
    /// ```
    pub fn miss_probability(&self) -> Probability {
        // The formula is the same with R and W exchanged.
        let (few, many) = (self.r().min(self.w()), self.r().max(self.w()));
        Probability::clamped(disjoint(self.n(), few, many))
    }

    /// The chance that a read returns one of the last `k` versions: `1 - p_s^k`, with `p_s` as in
    /// [`miss_probability`](Self::miss_probability). O(1) beyond that.
    ///
    /// The last version is the first of them, so `k = 1` asks for a fresh read, and `k = 0` asks for the impossible.
    ///
    /// ```
    /// let config = quorum::QuorumConfig::new(3, 1, 1)?;
    /// assert!((config.k_staleness(1).get() - 1.0 / 3.0).abs() < 1e-15);
    /// assert!((config.k_staleness(2).get() - 5.0 / 9.0).abs() < 1e-15);
    /// # Ok::<(), quorum::ConfigError>(())
    /// ```
    pub fn k_staleness(&self, k: u32) -> Probability {
        at_least_once(self.miss_probability(), f64::from(k))
    }

    /// The smallest `k` such that a read returns one of the last `k` versions with `probability`: what to call the
    /// bound on staleness. The inverse of [`k_staleness`](Self::k_staleness).
    ///
    /// `None` if no number of versions is enough: only a strict configuration reaches certainty, and where nearly
    /// every read misses, 2^32 - 1 versions may be too few for nearly certain.
    ///
    /// ```
    /// use quorum::{Probability, QuorumConfig};
    ///
    /// let config = QuorumConfig::new(3, 1, 1)?;
    /// assert_eq!(config.versions_for(Probability::new(0.99)?), Some(12));
    /// assert_eq!(config.versions_for(Probability::ONE), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn versions_for(&self, probability: Probability) -> Option<u32> {
        let miss = self.miss_probability();
        // Enough misses in a row are so unlikely that rounding calls them impossible. They are not.
        if probability == Probability::ONE && miss > Probability::ZERO {
            return None;
        }
        let is_enough = |k: u32| at_least_once(miss, f64::from(k)) >= probability;
        if !is_enough(u32::MAX) {
            return None;
        }
        Some(least(0, u32::MAX, is_enough))
    }

    /// The chance that a client does not read an older version than it read before:
    /// `1 - p_s^(1 + global_write_rate / client_read_rate)`.
    ///
    /// The rates are those of one key, in the same unit: how often anyone writes it, and how often this client reads
    /// it. Between two reads of the client `global_write_rate / client_read_rate` versions appear, and any of them is
    /// as good as the one that it saw.
    ///
    /// ```
    /// let config = quorum::QuorumConfig::new(3, 1, 1)?;
    /// let steady = config.monotonic_reads(1.0, 1.0)?; // as many writes as reads: one of the last two
    /// assert!((steady.get() - 5.0 / 9.0).abs() < 1e-15);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn monotonic_reads(
        &self,
        global_write_rate: f64,
        client_read_rate: f64,
    ) -> Result<Probability, RateError> {
        if !(global_write_rate >= 0.0 && global_write_rate.is_finite()) {
            return Err(RateError::InvalidWriteRate { given: global_write_rate });
        }
        if !(client_read_rate > 0.0 && client_read_rate.is_finite()) {
            return Err(RateError::InvalidReadRate { given: client_read_rate });
        }
        // Infinitely many versions in between are fine: no power of a miss is left then.
        Ok(at_least_once(self.miss_probability(), 1.0 + global_write_rate / client_read_rate))
    }
}

fn at_least_once(miss: Probability, tries: f64) -> Probability {
    Probability::clamped(1.0 - pow(miss.get(), tries))
}

/// Up to so many factors are multiplied one by one: each costs at most 2^-52 of precision, all of them 5e-13. With
/// more, a quotient that does not underflow has only large factorials in it, for which Stirling's series is exact.
const FACTORS: u32 = 2048;

/// Beyond this exponent `exp` underflows to 0.
const UNDERFLOW: f64 = -745.2;

/// The chance that two random sets of `few <= many` out of `n` have nothing in common:
/// `C(n - many, few) / C(n, few)`.
fn disjoint(n: u32, few: u32, many: u32) -> f64 {
    let others = n - many;
    if few > others {
        0.0
    } else if few <= FACTORS {
        (0..few).map(|chosen| f64::from(others - chosen) / f64::from(n - chosen)).product()
    } else {
        exp(ln_disjoint(f64::from(n), f64::from(few), f64::from(many)))
    }
}

/// The logarithm of [`disjoint`] for more than [`FACTORS`] members, or minus infinity where `exp` of it is 0.
///
/// With `rest = n - few - many` the quotient is `(n - many)! (n - few)! / (rest! n!)`. In Stirling's
/// `ln x! = x ln x - x + ln(2 pi x) / 2 + 1 / (12 x) - ...` the terms `x ln x` are a thousand million times larger than
/// what is left of them, so they are subtracted on paper, as Loader does for the binomial (*Fast and accurate
/// computation of binomial probabilities*, 2000):
///
/// `(n - many)(n - few) = rest n + few many` turns their sum into three logarithms of ratios, none of whose products
/// exceeds the result by much.
fn ln_disjoint(n: f64, few: f64, many: f64) -> f64 {
    // Each member of the smaller set avoids the larger one with a chance of at most 1 - many / n.
    let bound = few * log1p(-many / n);
    if bound < UNDERFLOW {
        return f64::NEG_INFINITY;
    }
    // From here on `many < 0.31 n`, so `rest` is at least 0.38 n and above 2000.
    let rest = n - few - many;
    let leading = bound + (many * log1p(-few / n) + rest * log1p(few * many / rest / n));
    let roots = log1p(few * many / rest / n) / 2.0;
    let corrections =
        (stirling_rest(n - many) - stirling_rest(rest)) + (stirling_rest(n - few) - stirling_rest(n));
    leading + roots + corrections
}

/// What `x ln x - x + ln(2 pi x) / 2` lacks of `ln x!`; the next term is below 1e-19 for `x` above 2000.
fn stirling_rest(x: f64) -> f64 {
    (1.0 / 12.0 - 1.0 / (360.0 * x * x)) / x
}

#[cfg(test)]
mod tests;
