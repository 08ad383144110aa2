//! What a number of random trials says about the probability behind them.

use core::f64::consts::{FRAC_1_SQRT_2, PI};
use core::fmt;

use libm::{erfc, exp, log, sqrt};

use crate::{ConfidenceError, EstimateError, Probability};

/// A probability as trials estimate it: the share of successes, and the interval that they leave open.
///
/// The interval is Wilson's (*Probable inference, the law of succession, and statistical inference*, 1927). It never
/// leaves the numbers from 0 to 1, always contains the share itself, and does not shrink to a point when all trials
/// agree: a thousand successes in a row do not make a certainty.
///
/// ```
/// use quorum::{Confidence, Estimate};
///
/// let estimate = Estimate::new(990, 1000, Confidence::P95)?;
/// assert_eq!(estimate.value().get(), 0.99);
/// assert_eq!(estimate.to_string(), "0.9900 (0.9817..0.9946)");
/// assert!(Estimate::new(1000, 1000, Confidence::P95)?.low().get() < 0.9962);
/// # Ok::<(), quorum::EstimateError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    value: Probability,
    low: Probability,
    high: Probability,
    trials: u32,
}

impl Estimate {
    /// The estimate of a probability after `successes` in so many independent `trials`. O(1).
    pub fn new(successes: u32, trials: u32, confidence: Confidence) -> Result<Self, EstimateError> {
        if trials == 0 {
            return Err(EstimateError::NoTrials);
        }
        if successes > trials {
            return Err(EstimateError::TooManySuccesses { successes, trials });
        }
        Ok(Self::wilson(successes, trials, confidence))
    }

    /// The same for numbers that are known to be sound: `successes <= trials` and at least one trial.
    pub(super) fn wilson(successes: u32, trials: u32, confidence: Confidence) -> Self {
        let (n, z) = (f64::from(trials), confidence.z);
        let share = f64::from(successes) / n;
        let middle = f64::from(successes) + z * z / 2.0;
        let spread = z * sqrt(share * (1.0 - share) * n + z * z / 4.0);
        let scale = n + z * z;
        // Where all trials agree, one end is exact and must not be left to rounding.
        let low = if successes == 0 { 0.0 } else { ((middle - spread) / scale).min(share) };
        let high = if successes == trials { 1.0 } else { ((middle + spread) / scale).max(share) };
        let [value, low, high] = [share, low, high].map(Probability::clamped);
        Self { value, low, high, trials }
    }

    /// The share of successes.
    pub const fn value(&self) -> Probability {
        self.value
    }

    /// The lower end of the interval.
    pub const fn low(&self) -> Probability {
        self.low
    }

    /// The upper end of the interval.
    pub const fn high(&self) -> Probability {
        self.high
    }

    /// How many trials the estimate rests on.
    pub const fn trials(&self) -> u32 {
        self.trials
    }

    /// Whether `probability` lies in the interval, its ends included.
    pub fn contains(&self, probability: Probability) -> bool {
        (self.low..=self.high).contains(&probability)
    }

    #[cfg(feature = "simulation")]
    /// The estimate of a probability that grows with the one estimated here.
    pub(super) fn through(self, growing: impl Fn(Probability) -> Probability) -> Self {
        Self { value: growing(self.value), low: growing(self.low), high: growing(self.high), ..self }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} ({:.4}..{:.4})", self.value.get(), self.low.get(), self.high.get())
    }
}

/// How often an interval is meant to contain the truth: a level strictly between 0 and 1.
///
/// ```
/// use quorum::{Confidence, Probability};
///
/// let level = Probability::new(0.99)?;
/// assert!((Confidence::new(level)?.quantile() - 2.575829303548901).abs() < 1e-14);
/// assert!(Confidence::new(Probability::ONE).is_err()); // only the interval from 0 to 1 is that sure
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence {
    level: Probability,
    z: f64,
}

impl Confidence {
    /// 95 of 100 intervals contain the truth.
    pub const P95: Self = Self { level: Probability::clamped(0.95), z: 1.959_963_984_540_054 };

    /// The confidence `level`, unless it is 0 or 1.
    pub fn new(level: Probability) -> Result<Self, ConfidenceError> {
        if level == Probability::ZERO || level == Probability::ONE {
            return Err(ConfidenceError::InvalidLevel { given: level });
        }
        Ok(Self { level, z: normal_quantile_above(level.complement().get() / 2.0) })
    }

    /// The level.
    pub const fn level(&self) -> Probability {
        self.level
    }

    /// How many standard deviations to either side of its mean a normal variable keeps within so often.
    pub const fn quantile(&self) -> f64 {
        self.z
    }
}

/// The number that a standard normal variable exceeds with the probability `tail`, which is above 0 and at most 1/2.
///
/// The rational approximation 26.2.23 of Abramowitz and Stegun, *Handbook of mathematical functions* (1964), is within
/// 4.5e-4. Each of Halley's steps triples the number of digits, so two make it as exact as `erfc` is.
fn normal_quantile_above(tail: f64) -> f64 {
    let t = sqrt(-2.0 * log(tail));
    let rational = (2.515_517 + t * (0.802_853 + t * 0.010_328))
        / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    let refined = (0..2).fold(t - rational, |z, _| {
        let density = exp(-z * z / 2.0) / sqrt(2.0 * PI);
        let off = (erfc(z * FRAC_1_SQRT_2) / 2.0 - tail) / density;
        z + off / (1.0 - z * off / 2.0)
    });
    refined.max(0.0)
}

#[cfg(test)]
mod tests;
