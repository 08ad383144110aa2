//! The distributions that are not made of others, in closed form.

use alloc::vec::Vec;

use libm::{exp, expm1, log, log1p};

use crate::probability::count;

/// One distribution. Times are finite and not negative; `from` is the shortest possible time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Constant(f64),
    /// `from < to`.
    Uniform {
        from: f64,
        to: f64,
    },
    /// `rate > 0`.
    Exponential {
        from: f64,
        rate: f64,
    },
    /// `from` plus a time of at least `scale`. `scale > 0` and `shape > 0`.
    Pareto {
        from: f64,
        scale: f64,
        shape: f64,
    },
    /// Ascending, at least one.
    Empirical(Vec<f64>),
}

impl Shape {
    /// How likely at most `t` is. Exact where it is a step, and precise near 0.
    pub(super) fn cdf(&self, t: f64) -> f64 {
        match *self {
            Self::Constant(time) => f64::from(u8::from(t >= time)),
            Self::Uniform { from, to } if t > from => (t.min(to) - from) / (to - from),
            Self::Exponential { from, rate } if t > from => -expm1(-rate * (t - from)),
            Self::Pareto { from, scale, shape } if t - from > scale => {
                -expm1(-shape * log_ratio(t - from, scale))
            }
            Self::Uniform { .. } | Self::Exponential { .. } | Self::Pareto { .. } => 0.0,
            Self::Empirical(ref samples) => count(within(samples, t)) / count(samples.len()),
        }
    }

    /// How likely more than `t` is: the complement of `cdf`, precise where that is nearly 1.
    pub(super) fn survival(&self, t: f64) -> f64 {
        match *self {
            Self::Constant(time) => 1.0 - f64::from(u8::from(t >= time)),
            Self::Uniform { from, to } if t > from => (to - t.min(to)) / (to - from),
            Self::Exponential { from, rate } if t > from => exp(-rate * (t - from)),
            Self::Pareto { from, scale, shape } if t - from > scale => {
                exp(-shape * log_ratio(t - from, scale))
            }
            Self::Uniform { .. } | Self::Exponential { .. } | Self::Pareto { .. } => 1.0,
            Self::Empirical(ref samples) => count(samples.len() - within(samples, t)) / count(samples.len()),
        }
    }

    /// The smallest `t` with `cdf(t) >= p`, and for 0 the shortest possible time.
    pub(super) fn quantile(&self, p: f64) -> f64 {
        match *self {
            Self::Constant(time) => time,
            Self::Uniform { from, to } => (from + p * (to - from)).min(to),
            Self::Exponential { from, rate } => from - log1p(-p) / rate,
            Self::Pareto { from, scale, shape } => from + scale * exp(-log1p(-p) / shape),
            Self::Empirical(ref samples) => quantile_of_samples(samples, p),
        }
    }

    pub(super) fn mean(&self) -> f64 {
        match *self {
            Self::Constant(time) => time,
            Self::Uniform { from, to } => from + (to - from) / 2.0,
            Self::Exponential { from, rate } => from + 1.0 / rate,
            Self::Pareto { from, scale, shape } if shape > 1.0 => from + scale * (shape / (shape - 1.0)),
            Self::Pareto { .. } => f64::INFINITY,
            Self::Empirical(ref samples) => mean_of_samples(samples),
        }
    }

    /// The same, later by `by`. Times may become infinite: the caller asks for the largest.
    pub(super) fn shifted(self, by: f64) -> Self {
        match self {
            Self::Constant(time) => Self::Constant(time + by),
            Self::Uniform { from, to } => Self::uniform(from + by, to + by),
            Self::Exponential { from, rate } => Self::Exponential { from: from + by, rate },
            Self::Pareto { from, scale, shape } => Self::Pareto { from: from + by, scale, shape },
            Self::Empirical(mut samples) => {
                for sample in &mut samples {
                    *sample += by;
                }
                Self::Empirical(samples)
            }
        }
    }

    /// From one time to another that is not earlier; rounding may have made the two one.
    pub(super) fn uniform(from: f64, to: f64) -> Self {
        if from < to { Self::Uniform { from, to } } else { Self::Constant(from) }
    }

    /// Where the cdf jumps or bends.
    pub(super) fn breaks(&self) -> impl Iterator<Item = f64> {
        let (ends, samples): ([Option<f64>; 2], &[f64]) = match *self {
            Self::Constant(time) => ([Some(time), None], &[]),
            Self::Uniform { from, to } => ([Some(from), Some(to)], &[]),
            Self::Exponential { from, .. } => ([Some(from), None], &[]),
            Self::Pareto { from, scale, .. } => ([Some(from + scale), None], &[]),
            Self::Empirical(ref samples) => ([None, None], samples),
        };
        ends.into_iter().flatten().chain(samples.iter().copied())
    }

    /// The power of `t` with which what survives falls in the end.
    pub(super) fn tail_index(&self) -> f64 {
        if let Self::Pareto { shape, .. } = *self { shape } else { f64::INFINITY }
    }

    /// The largest of the times that it is made of.
    pub(super) fn largest_parameter(&self) -> f64 {
        match *self {
            Self::Constant(time) => time,
            Self::Uniform { to, .. } => to,
            Self::Exponential { from, .. } => from,
            Self::Pareto { from, scale, .. } => from + scale,
            Self::Empirical(ref samples) => samples.last().copied().unwrap_or_default(),
        }
    }
}

/// `ln(time / scale)` for a time that is larger, precise when it is hardly so and finite when the ratio is not.
fn log_ratio(time: f64, scale: f64) -> f64 {
    if time / 2.0 < scale { log1p((time - scale) / scale) } else { log(time) - log(scale) }
}

/// How many are at most `t`.
fn within(samples: &[f64], t: f64) -> usize {
    samples.partition_point(|sample| *sample <= t)
}

/// The first sample that `p` of all do not exceed. Looked up with the same division that the cdf does, so that both
/// agree to the last bit.
fn quantile_of_samples(samples: &[f64], p: f64) -> f64 {
    let n = count(samples.len());
    let (mut below, mut enough) = (0, samples.len());
    while enough - below > 1 {
        let middle = below + (enough - below) / 2;
        if count(middle) / n < p {
            below = middle;
        } else {
            enough = middle;
        }
    }
    samples.get(below).copied().unwrap_or_default()
}

fn mean_of_samples(samples: &[f64]) -> f64 {
    let n = count(samples.len());
    let sum: f64 = samples.iter().sum();
    // A sum may leave the range of numbers where a mean cannot.
    if sum.is_finite() { sum / n } else { samples.iter().map(|sample| sample / n).sum() }
}
