//! What a configuration must achieve.

use core::fmt;
use core::ops::RangeInclusive;

use crate::{LatencyDistribution, OrderStatistic, Probability, TargetsError};

/// The most replicas that are tried: all configurations up to there are 11440.
pub const MAX_TUNED: u32 = 32;

/// How many replicas there may be, and what is wanted of them. Each method adds a target; none is set to begin with.
///
/// ```
/// use quorum::tune::{Freshness, LatencyTarget, Targets};
/// use quorum::{LatencyDistribution, Probability};
///
/// let answer = LatencyDistribution::exponential(0.5)?; // two milliseconds on average
/// let targets = Targets::new(3..=7)?
///     .surviving(2, 1)
///     .freshness(Freshness::MissesAtMost(Probability::new(0.01)?))
///     .read_latency(LatencyTarget::quantile(answer, Probability::new(0.99)?, 5.0)?);
/// assert_eq!(targets.replicas(), 3..=7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// From 1 to [`MAX_TUNED`], and not empty.
    replicas: RangeInclusive<u32>,
    pub(super) surviving_reads: u32,
    pub(super) surviving_writes: u32,
    pub(super) availability: Option<AvailabilityTarget>,
    pub(super) freshness: Option<Freshness>,
    pub(super) writes_meet: bool,
    pub(super) read_latency: Option<LatencyTarget>,
    pub(super) write_latency: Option<LatencyTarget>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AvailabilityTarget {
    pub(super) failure: Probability,
    pub(super) reads: Probability,
    pub(super) writes: Probability,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Freshness {
    /// It meets every completed write.
    Strict,
    /// It misses the last write with at most this probability, quorums being chosen evenly.
    MissesAtMost(Probability),
    /// It returns one of the last `versions` with at least this probability, quorums being chosen evenly.
    Within {
        /// Of how many versions.
        versions: u32,
        /// How likely.
        likely: Probability,
    },
}

/// How long an operation may take that waits for some of the replicas.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyTarget {
    pub(super) answer: LatencyDistribution,
    pub(super) measure: Measure,
    /// Finite and not negative.
    pub(super) at_most: f64,
}

/// What of a latency is limited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// Its mean.
    Mean,
    /// The time within which this share of operations is done.
    Quantile(Probability),
}

impl Targets {
    /// Any number of replicas in this range, and nothing else.
    ///
    /// Fails when the range is empty, begins at 0 or goes beyond [`MAX_TUNED`].
    pub fn new(replicas: RangeInclusive<u32>) -> Result<Self, TargetsError> {
        let (from, to) = (*replicas.start(), *replicas.end());
        if from == 0 {
            return Err(TargetsError::NoReplicas);
        }
        if replicas.is_empty() {
            return Err(TargetsError::EmptyRange { from, to });
        }
        if to > MAX_TUNED {
            return Err(TargetsError::TooManyReplicas { given: to });
        }
        Ok(Self {
            replicas,
            surviving_reads: 0,
            surviving_writes: 0,
            availability: None,
            freshness: None,
            writes_meet: false,
            read_latency: None,
            write_latency: None,
        })
    }

    /// How many failed replicas reads, and writes, must survive.
    pub fn surviving(mut self, reads: u32, writes: u32) -> Self {
        self.surviving_reads = reads;
        self.surviving_writes = writes;
        self
    }

    /// How likely reads, and writes, must find enough replicas, if each is down with the probability `failure`.
    pub fn availability(mut self, failure: Probability, reads: Probability, writes: Probability) -> Self {
        self.availability = Some(AvailabilityTarget { failure, reads, writes });
        self
    }

    /// How fresh a read must be.
    pub fn freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = Some(freshness);
        self
    }

    /// Any two writes must meet in a replica: `2W > N`.
    pub fn writes_meet(mut self) -> Self {
        self.writes_meet = true;
        self
    }

    /// How long a read may take.
    pub fn read_latency(mut self, target: LatencyTarget) -> Self {
        self.read_latency = Some(target);
        self
    }

    /// How long a write may take.
    pub fn write_latency(mut self, target: LatencyTarget) -> Self {
        self.write_latency = Some(target);
        self
    }

    /// The numbers of replicas that are tried.
    pub fn replicas(&self) -> RangeInclusive<u32> {
        self.replicas.clone()
    }
}

impl LatencyTarget {
    /// The mean is `at_most` so long, if one replica answers as in `answer`.
    pub fn mean(answer: LatencyDistribution, at_most: f64) -> Result<Self, TargetsError> {
        Self::new(answer, Measure::Mean, at_most)
    }

    /// The share `of_all` operations takes `at_most` so long, if one replica answers as in `answer`.
    pub fn quantile(
        answer: LatencyDistribution,
        of_all: Probability,
        at_most: f64,
    ) -> Result<Self, TargetsError> {
        Self::new(answer, Measure::Quantile(of_all), at_most)
    }

    fn new(answer: LatencyDistribution, measure: Measure, at_most: f64) -> Result<Self, TargetsError> {
        if at_most >= 0.0 && at_most.is_finite() {
            Ok(Self { answer, measure, at_most })
        } else {
            Err(TargetsError::InvalidLatency { given: at_most })
        }
    }
}

impl Measure {
    pub(super) fn of(self, wait: &OrderStatistic) -> f64 {
        match self {
            Self::Mean => wait.mean(),
            Self::Quantile(of_all) => wait.quantile(of_all),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("in the mean"),
            Self::Quantile(of_all) => write!(f, "at the quantile {of_all}"),
        }
    }
}
