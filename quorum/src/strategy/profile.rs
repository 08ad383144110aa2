//! What a node can do, and how often operations read.

use alloc::vec::Vec;

use crate::{FractionError, Probability, ProfileError};

/// How much a node can do, and how long it takes to answer.
///
/// Capacities are operations per unit of time, the latency is a time; which units, is the caller's choice.
///
/// ```
/// use quorum::NodeProfile;
///
/// let node = NodeProfile::new(4_000.0, 2_000.0, 1.5)?;
/// assert_eq!(node.read_capacity(), 4_000.0);
/// assert!(NodeProfile::new(0.0, 2_000.0, 1.5).is_err());
/// # Ok::<(), quorum::ProfileError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodeProfile {
    read_capacity: f64,
    write_capacity: f64,
    latency: f64,
}

impl NodeProfile {
    /// A node that can serve so many reads or so many writes, and answers within `latency`.
    pub fn new(read_capacity: f64, write_capacity: f64, latency: f64) -> Result<Self, ProfileError> {
        for given in [read_capacity, write_capacity] {
            if !(given.is_normal() && given > 0.0) {
                return Err(ProfileError::Capacity { given });
            }
        }
        if !(latency.is_finite() && latency >= 0.0) {
            return Err(ProfileError::Latency { given: latency });
        }
        Ok(Self { read_capacity, write_capacity, latency })
    }

    /// How many reads it can serve per unit of time, if it does nothing else.
    pub const fn read_capacity(&self) -> f64 {
        self.read_capacity
    }

    /// How many writes it can serve per unit of time, if it does nothing else.
    pub const fn write_capacity(&self) -> f64 {
        self.write_capacity
    }

    /// How long it takes to answer.
    pub const fn latency(&self) -> f64 {
        self.latency
    }
}

/// One read or write per unit of time, answered within one unit.
impl Default for NodeProfile {
    fn default() -> Self {
        Self { read_capacity: 1.0, write_capacity: 1.0, latency: 1.0 }
    }
}

/// Which share of the operations are reads: one number, or several with weights, as for day and night.
///
/// ```
/// use quorum::{Probability, ReadFraction};
///
/// let mostly_reads = ReadFraction::always(Probability::new(0.9)?);
/// let [day, night] = [Probability::new(0.9)?, Probability::new(0.2)?];
/// let both = ReadFraction::weighted([(2.0, day), (1.0, night)])?;
/// assert!((both.mean() - 2.0 / 3.0).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ReadFraction {
    /// Ascending fractions, each once, with weights that add up to 1.
    shares: Vec<(f64, f64)>,
}

impl ReadFraction {
    /// Always the same share.
    pub fn always(reads: Probability) -> Self {
        Self { shares: [(reads.get(), 1.0)].into() }
    }

    /// Shares with the weight of each. Weights need not add up to anything in particular.
    pub fn weighted(shares: impl IntoIterator<Item = (f64, Probability)>) -> Result<Self, FractionError> {
        let mut sorted: Vec<(f64, f64)> = Vec::new();
        for (weight, fraction) in shares {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(FractionError::Weight { given: weight });
            }
            if weight > 0.0 {
                sorted.push((fraction.get(), weight));
            }
        }
        sorted.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        sorted.dedup_by(|(later, weight), (kept, sum)| {
            let is_same = later.total_cmp(kept).is_eq();
            if is_same {
                *sum += *weight;
            }
            is_same
        });
        let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
        if sorted.is_empty() {
            return Err(FractionError::Empty);
        }
        if !total.is_finite() {
            return Err(FractionError::Weight { given: total });
        }
        Ok(Self { shares: sorted.into_iter().map(|(fraction, weight)| (fraction, weight / total)).collect() })
    }

    /// The shares with the probability of each, ascending.
    pub fn shares(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.shares.iter().copied()
    }

    /// The share of reads on average.
    pub fn mean(&self) -> f64 {
        self.shares().map(|(fraction, weight)| fraction * weight).sum()
    }
}

/// Half of the operations.
impl Default for ReadFraction {
    fn default() -> Self {
        Self { shares: [(0.5, 1.0)].into() }
    }
}
