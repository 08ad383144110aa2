//! Which target a configuration fails.

use alloc::vec::Vec;
use core::fmt;

use super::{Figures, Freshness, LatencyTarget, Measure, Targets};
use crate::describe::Replicas;
use crate::{Probability, QuorumConfig};

/// A target that a configuration fails, with what it achieves and what was wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// Reads survive too few failures.
    ReadsSurviveTooFew {
        /// How many they survive.
        actual: u32,
        /// How many they must.
        wanted: u32,
    },
    /// Writes survive too few failures.
    WritesSurviveTooFew {
        /// How many they survive.
        actual: u32,
        /// How many they must.
        wanted: u32,
    },
    /// A read may miss a completed write, as `R + W <= N`.
    NotStrict {
        /// R and W together.
        together: u64,
        /// The number of replicas.
        n: u32,
    },
    /// Two writes may complete without meeting, as `2W <= N`.
    WritesMayNotMeet {
        /// W.
        w: u32,
        /// The number of replicas.
        n: u32,
    },
    /// Reads miss the last write too often.
    MissesTooOften {
        /// How likely they do.
        actual: Probability,
        /// How likely they may.
        wanted: Probability,
    },
    /// Reads are too often older than the last so many versions.
    TooManyVersionsBehind {
        /// Of how many versions.
        versions: u32,
        /// How likely a read returns one of them.
        actual: Probability,
        /// How likely it must.
        wanted: Probability,
    },
    /// Reads find enough replicas too seldom.
    ReadsTooSeldom {
        /// How likely they do.
        actual: Probability,
        /// How likely they must.
        wanted: Probability,
    },
    /// Writes find enough replicas too seldom.
    WritesTooSeldom {
        /// How likely they do.
        actual: Probability,
        /// How likely they must.
        wanted: Probability,
    },
    /// Reads take too long.
    ReadsTooSlow {
        /// What of the latency is limited.
        measure: Measure,
        /// How long they take.
        actual: f64,
        /// How long they may take.
        wanted: f64,
    },
    /// Writes take too long.
    WritesTooSlow {
        /// What of the latency is limited.
        measure: Measure,
        /// How long they take.
        actual: f64,
        /// How long they may take.
        wanted: f64,
    },
}

/// Every target that the configuration fails.
pub(super) fn refusals(config: QuorumConfig, figures: &Figures, targets: &Targets) -> Vec<Refusal> {
    let reads = too_few(config.tolerated_read_failures(), targets.surviving_reads);
    let writes = too_few(config.tolerated_write_failures(), targets.surviving_writes);
    let splits = targets.writes_meet && config.write_write_overlap() == 0;
    let availability = targets.availability;
    let seldom = |actual: Option<Probability>, wanted: Option<Probability>| {
        actual.zip(wanted).filter(|(actual, wanted)| actual < wanted)
    };
    [
        reads.map(|(actual, wanted)| Refusal::ReadsSurviveTooFew { actual, wanted }),
        writes.map(|(actual, wanted)| Refusal::WritesSurviveTooFew { actual, wanted }),
        targets.freshness.and_then(|wanted| too_stale(config, figures, wanted)),
        splits.then(|| Refusal::WritesMayNotMeet { w: config.w(), n: config.n() }),
        seldom(figures.read_availability, availability.map(|target| target.reads))
            .map(|(actual, wanted)| Refusal::ReadsTooSeldom { actual, wanted }),
        seldom(figures.write_availability, availability.map(|target| target.writes))
            .map(|(actual, wanted)| Refusal::WritesTooSeldom { actual, wanted }),
        too_slow(figures.read_latency, targets.read_latency.as_ref())
            .map(|(measure, actual, wanted)| Refusal::ReadsTooSlow { measure, actual, wanted }),
        too_slow(figures.write_latency, targets.write_latency.as_ref())
            .map(|(measure, actual, wanted)| Refusal::WritesTooSlow { measure, actual, wanted }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn too_few(actual: u32, wanted: u32) -> Option<(u32, u32)> {
    (actual < wanted).then_some((actual, wanted))
}

fn too_stale(config: QuorumConfig, figures: &Figures, wanted: Freshness) -> Option<Refusal> {
    match wanted {
        Freshness::Strict => {
            let together = u64::from(config.r()) + u64::from(config.w());
            (!config.is_strict()).then(|| Refusal::NotStrict { together, n: config.n() })
        }
        Freshness::MissesAtMost(wanted) => {
            let actual = figures.misses;
            (actual > wanted).then_some(Refusal::MissesTooOften { actual, wanted })
        }
        Freshness::Within { versions, likely: wanted } => {
            let actual = config.k_staleness(versions);
            (actual < wanted).then_some(Refusal::TooManyVersionsBehind { versions, actual, wanted })
        }
    }
}

fn too_slow(actual: Option<f64>, target: Option<&LatencyTarget>) -> Option<(Measure, f64, f64)> {
    let (actual, target) = actual.zip(target)?;
    (actual > target.at_most).then_some((target.measure, actual, target.at_most))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadsSurviveTooFew { actual, wanted } => {
                let (actual, wanted) = (Replicas(*actual), Replicas(*wanted));
                write!(f, "reads survive the failure of {actual}, not of {wanted}")
            }
            Self::WritesSurviveTooFew { actual, wanted } => {
                let (actual, wanted) = (Replicas(*actual), Replicas(*wanted));
                write!(f, "writes survive the failure of {actual}, not of {wanted}")
            }
            Self::NotStrict { together, n } => {
                write!(f, "a read may miss a write, R and W together are {together}, not above {n}")
            }
            Self::WritesMayNotMeet { w, n } => write!(f, "two writes of {w} out of {n} need not meet"),
            Self::MissesTooOften { actual, wanted } => {
                write!(f, "a read misses the last write with {:.6}, above {wanted}", actual.get())
            }
            Self::TooManyVersionsBehind { versions, actual, wanted } => {
                let actual = actual.get();
                write!(
                    f,
                    "a read returns one of the last {versions} versions with {actual:.6}, below {wanted}"
                )
            }
            Self::ReadsTooSeldom { actual, wanted } => {
                write!(f, "reads are available with {:.9}, below {wanted}", actual.get())
            }
            Self::WritesTooSeldom { actual, wanted } => {
                write!(f, "writes are available with {:.9}, below {wanted}", actual.get())
            }
            Self::ReadsTooSlow { measure, actual, wanted } => {
                write!(f, "reads take {actual:.4} {measure}, above {wanted}")
            }
            Self::WritesTooSlow { measure, actual, wanted } => {
                write!(f, "writes take {actual:.4} {measure}, above {wanted}")
            }
        }
    }
}
