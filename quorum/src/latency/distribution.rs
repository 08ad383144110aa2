//! How long one answer takes, as a distribution.

use alloc::vec;
use alloc::vec::Vec;

use super::search::smallest;
use super::shape::Shape;
use crate::probability::Chance;
use crate::{DistributionError, Probability};

/// The distribution of a time: how long a message, an answer or a disk takes.
///
/// The unit is the caller's, the same for all times of one calculation. Times are finite and not negative. Nothing
/// here is random: [`sample`](Self::sample) is a function of the number it is given.
///
/// ```
/// use quorum::{DistributionError, LatencyDistribution, Probability};
///
/// // Milliseconds: most answers are quick, a few have a long tail.
/// let quick = LatencyDistribution::pareto(1.5, 3.8)?;
/// let slow = LatencyDistribution::exponential(0.0217)?;
/// let answer = LatencyDistribution::mixture([(0.982, quick), (0.018, slow)])?;
///
/// assert!(answer.cdf(2.0) > 0.6);
/// let median = Probability::new(0.5).map(|half| answer.quantile(half));
/// assert!(median.is_ok_and(|t| (1.8..1.9).contains(&t)));
/// # Ok::<(), DistributionError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyDistribution {
    /// At least one; each weight is above 0, and together they are 1. Mixtures of mixtures are written out.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
struct Part {
    weight: f64,
    shape: Shape,
}

impl LatencyDistribution {
    /// Always the time `t`.
    pub fn constant(t: f64) -> Result<Self, DistributionError> {
        Ok(Self::of(Shape::Constant(time(t)?)))
    }

    /// Exponential: `P(T > t) = e^(-rate t)`, with mean `1 / rate`.
    pub fn exponential(rate: f64) -> Result<Self, DistributionError> {
        if !is_positive(rate) {
            return Err(DistributionError::InvalidRate { given: rate });
        }
        Ok(Self::of(Shape::Exponential { from: 0.0, rate }))
    }

    /// Pareto: `P(T > t) = (scale / t)^shape` for times above `scale`, which is the shortest.
    ///
    /// The smaller the shape, the longer the tail; for shapes up to 1 the mean is infinite.
    pub fn pareto(scale: f64, shape: f64) -> Result<Self, DistributionError> {
        if !is_positive(scale) {
            return Err(DistributionError::InvalidScale { given: scale });
        }
        if !is_positive(shape) {
            return Err(DistributionError::InvalidShape { given: shape });
        }
        Ok(Self::of(Shape::Pareto { from: 0.0, scale, shape }))
    }

    /// Any time from `from` to `to` alike.
    pub fn uniform(from: f64, to: f64) -> Result<Self, DistributionError> {
        let (from, to) = (time(from)?, time(to)?);
        if from > to {
            return Err(DistributionError::ReversedRange { from, to });
        }
        Ok(Self::of(Shape::uniform(from, to)))
    }

    /// One of several distributions, each as often as its share of all weights.
    ///
    /// Weights need not add up to 1; parts that have none are left out.
    pub fn mixture(parts: impl IntoIterator<Item = (f64, Self)>) -> Result<Self, DistributionError> {
        let mut mixed = Vec::new();
        for (weight, distribution) in parts {
            if !(weight >= 0.0 && weight.is_finite()) {
                return Err(DistributionError::InvalidWeight { given: weight });
            }
            let weighted = |part: Part| Part { weight: weight * part.weight, shape: part.shape };
            mixed.extend(distribution.parts.into_iter().map(weighted).filter(|part| part.weight > 0.0));
        }
        if mixed.is_empty() {
            return Err(DistributionError::NoWeight);
        }
        Ok(Self { parts: normalised(mixed) })
    }

    /// What was measured: each of the samples alike. O(n log n).
    pub fn empirical(samples: impl IntoIterator<Item = f64>) -> Result<Self, DistributionError> {
        let mut samples = samples.into_iter().map(time).collect::<Result<Vec<_>, _>>()?;
        if samples.is_empty() {
            return Err(DistributionError::NoSamples);
        }
        samples.sort_unstable_by(f64::total_cmp);
        Ok(Self::of(Shape::Empirical(samples)))
    }

    /// The same, later by `by`: a network path in front of a queue.
    pub fn shifted(self, by: f64) -> Result<Self, DistributionError> {
        let by = time(by)?;
        let mut parts = self.parts;
        for part in &mut parts {
            part.shape = core::mem::replace(&mut part.shape, Shape::Constant(0.0)).shifted(by);
            time(part.shape.largest_parameter())?;
        }
        Ok(Self { parts })
    }

    fn of(shape: Shape) -> Self {
        Self { parts: vec![Part { weight: 1.0, shape }] }
    }

    /// How likely it is to take at most `t`. O(parts), for samples O(log n). Nothing takes NaN: 0.
    pub fn cdf(&self, t: f64) -> f64 {
        self.chance(t).yes
    }

    /// How likely it is to take at most `t`, and more.
    pub(super) fn chance(&self, t: f64) -> Chance {
        if let [only] = &self.parts[..] {
            return Chance { yes: only.shape.cdf(t), no: only.shape.survival(t) };
        }
        let (within, beyond) = (self.weigh(|shape| shape.cdf(t)), self.weigh(|shape| shape.survival(t)));
        // The smaller one is the more precise, and only it is exact at the ends: weights add up to 1 but for their
        // rounding.
        if within < beyond {
            Chance { yes: within, no: 1.0 - within }
        } else {
            Chance { yes: 1.0 - beyond, no: beyond }
        }
    }

    /// The smallest `t` with `cdf(t) >= p`; for 0, the shortest possible time.
    ///
    /// Infinite for 1 if there is no longest time, or where the tail leaves the range of numbers. A closed form, for
    /// samples O(log n) and exact; for mixtures at most 64 times the cost of [`cdf`](Self::cdf) and inverse to it to
    /// the last bit.
    pub fn quantile(&self, p: Probability) -> f64 {
        let p = p.get();
        if let [only] = &self.parts[..] {
            return only.shape.quantile(p);
        }
        let each = || self.parts.iter().map(|part| part.shape.quantile(p));
        let (earliest, latest) = (each().fold(f64::INFINITY, f64::min), each().fold(0.0, f64::max));
        if p <= 0.0 {
            earliest
        } else if p >= 1.0 {
            latest
        } else {
            smallest(earliest, latest, |t| self.cdf(t) >= p)
        }
    }

    /// A time that is distributed so, if `u` is distributed evenly from 0 (included) to 1 (not included): the inverse
    /// transform. Other numbers count as the nearest of these, NaN as 0. O(parts), for samples O(log n).
    ///
    /// In a mixture `u` chooses the part, and the rest of it the time.
    pub fn sample(&self, u: f64) -> f64 {
        let mut u = if u.is_nan() { 0.0 } else { u.clamp(0.0, BELOW_ONE) };
        let Some((last, others)) = self.parts.split_last() else {
            return 0.0;
        };
        for part in others {
            if u < part.weight {
                return part.shape.quantile((u / part.weight).min(BELOW_ONE));
            }
            u -= part.weight;
        }
        last.shape.quantile((u / last.weight).min(BELOW_ONE))
    }

    /// The time it takes on average, which may be infinite. O(parts), for samples O(n).
    pub fn mean(&self) -> f64 {
        self.weigh(Shape::mean)
    }

    /// From and rate, if it is exponential from some time on.
    pub(super) fn as_exponential(&self) -> Option<(f64, f64)> {
        match &self.parts[..] {
            [Part { shape: Shape::Exponential { from, rate }, .. }] => Some((*from, *rate)),
            _ => None,
        }
    }

    /// The times between which the cdf is smooth, in no order; at least one, and the first of them the shortest time.
    pub(super) fn breaks(&self) -> impl Iterator<Item = f64> {
        self.parts.iter().flat_map(|part| part.shape.breaks())
    }

    /// The power of `t` with which what survives falls in the end; infinite if it falls faster than any.
    pub(super) fn tail_index(&self) -> f64 {
        self.parts.iter().map(|part| part.shape.tail_index()).fold(f64::INFINITY, f64::min)
    }

    fn weigh(&self, of: impl Fn(&Shape) -> f64) -> f64 {
        self.parts.iter().map(|part| part.weight * of(&part.shape)).sum()
    }
}

/// The largest number below 1.
const BELOW_ONE: f64 = 1.0 - f64::EPSILON / 2.0;

/// Divided by the largest first, since a sum of large weights may leave the range of numbers.
fn normalised(mut parts: Vec<Part>) -> Vec<Part> {
    let largest = parts.iter().map(|part| part.weight).fold(0.0, f64::max);
    let sum: f64 = parts.iter().map(|part| part.weight / largest).sum();
    for part in &mut parts {
        part.weight = part.weight / largest / sum;
    }
    // Beside the largest, a weight may vanish.
    parts.retain(|part| part.weight > 0.0);
    parts
}

/// A sound time, and never `-0.0`, whose bits are out of order.
fn time(t: f64) -> Result<f64, DistributionError> {
    if t >= 0.0 && t.is_finite() { Ok(t + 0.0) } else { Err(DistributionError::InvalidTime { given: t }) }
}

fn is_positive(x: f64) -> bool {
    x > 0.0 && x.is_finite()
}

#[cfg(test)]
mod tests;
