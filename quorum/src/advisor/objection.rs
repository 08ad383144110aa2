//! What speaks against a topology.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::assessment::Span;
use super::{AcceptableLoss, Assessment, ConflictHandling, Extent, ReadNeed, Requirements, Topology};
use crate::describe::Replicas;

/// Why a topology does not meet the requirements, with what it would do and what was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Objection {
    /// Clients that reach nobody cannot write.
    NeedsConnection,
    /// Concurrent writes may both be accepted, and nothing can be done with both.
    Conflicts,
    /// Keeping the later of two concurrent writes drops the other, which was acknowledged and must not be lost.
    DropsConcurrentWrites,
    /// The failures to be survived lose more than may be lost.
    LosesWrites {
        /// How many replicas fail for good.
        failures: u32,
        /// The writes that would be lost.
        lost: Extent,
        /// Those that may be.
        tolerated: Extent,
    },
    /// The failures to be survived stop writes for longer than they may stop.
    StopsWrites {
        /// How many replicas fail.
        failures: u32,
        /// For how long writes would stop.
        outage: Extent,
        /// For how long they may.
        tolerated: Duration,
    },
    /// The failures to be survived leave no quorum for reads.
    StopsReads {
        /// How many replicas fail.
        failures: u32,
        /// How many may fail while reads go on.
        tolerated: u32,
    },
    /// A read may miss a write that was acknowledged before it began.
    MissesLatest,
    /// A read may miss what the same client wrote.
    MissesOwnWrites,
    /// What a read returns may be older than tolerated.
    TooStale {
        /// How old it may be.
        staleness: Extent,
        /// How old it should be at most.
        tolerated: Duration,
    },
    /// The writes of a region must ask another.
    WritesLeaveRegion {
        /// The first such region.
        region: String,
    },
    /// Writes take too long where they take longest.
    SlowWrites {
        /// How long they take.
        slowest: Duration,
        /// How long they may take.
        tolerated: Duration,
    },
}

/// Everything that speaks against what was assessed, the hardest to argue with first.
pub(super) fn objections(found: &Assessment, needs: &Requirements) -> Vec<Objection> {
    let failures = needs.failures;
    let mut objections = Vec::new();
    let mut object = |applies: bool, objection: Objection| {
        if applies {
            objections.push(objection);
        }
    };

    let takes_offline_writes = found.topology == Topology::MultiLeader;
    object(needs.offline_clients && !takes_offline_writes, Objection::NeedsConnection);

    object(found.conflicts && needs.conflicts == ConflictHandling::Impossible, Objection::Conflicts);
    let drops = needs.conflicts == ConflictHandling::LastWriterWins && needs.loss == AcceptableLoss::Nothing;
    object(found.conflicts && drops, Objection::DropsConcurrentWrites);

    let tolerated = match needs.loss {
        AcceptableLoss::Nothing => Extent::Nothing,
        AcceptableLoss::Last(time) => Extent::Time(time),
        AcceptableLoss::Anything => Extent::Unlimited,
    };
    object(found.loss > tolerated, Objection::LosesWrites { failures, lost: found.loss, tolerated });

    if let Some(tolerated) = needs.write_outage {
        let outage = found.outage;
        let too_long = outage > Extent::Time(tolerated);
        object(too_long, Objection::StopsWrites { failures, outage, tolerated });
    }
    let read_failures = match found.quorums {
        Some(config) => config.tolerated_read_failures(),
        None => needs.replicas() - 1,
    };
    object(failures > read_failures, Objection::StopsReads { failures, tolerated: read_failures });

    let (misses_own, misses_latest) = missed_by_reads(found, needs);
    object(misses_own && needs.reads != ReadNeed::Anything, Objection::MissesOwnWrites);
    object(misses_latest && needs.reads == ReadNeed::Latest, Objection::MissesLatest);
    if let Some(tolerated) = needs.lag {
        let staleness = found.staleness;
        object(staleness > Extent::Time(tolerated), Objection::TooStale { staleness, tolerated });
    }

    if needs.writes_in_every_region
        && let Some(region) = (0..needs.distances.len()).find(|region| !writes_stay(found, needs, *region))
    {
        let region = needs.distances.name(region).into();
        object(true, Objection::WritesLeaveRegion { region });
    }
    if let Some(tolerated) = needs.write_latency {
        let slowest = found.write.slowest;
        object(slowest > tolerated, Objection::SlowWrites { slowest, tolerated });
    }
    objections
}

/// Whether a read may miss its client's own writes, and whether it may miss others'.
fn missed_by_reads(found: &Assessment, needs: &Requirements) -> (bool, bool) {
    let replicated = needs.replicas() > 1;
    match found.topology {
        // A client that stays with its leader sees what it wrote there.
        Topology::MultiLeader => (false, replicated || needs.offline_clients),
        Topology::LeaderlessSloppy => {
            let may_miss = replicated || needs.failures > 0;
            (may_miss, may_miss)
        }
        _ => (false, false),
    }
}

/// Whether a write of this region is acknowledged without another.
fn writes_stay(found: &Assessment, needs: &Requirements, region: usize) -> bool {
    let here = needs.replicas_in(region);
    let is_leader = || found.leader.as_deref() == Some(needs.distances.name(region));
    match found.topology {
        Topology::SingleLeaderSync => is_leader() && here == needs.replicas(),
        Topology::SingleLeaderSemiSync => is_leader() && here >= needs.replicas().min(2),
        Topology::SingleLeaderAsync => is_leader(),
        Topology::MultiLeader => here > 0,
        Topology::LeaderlessStrict | Topology::LeaderlessSloppy => {
            found.quorums.is_some_and(|config| here >= config.w())
        }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsConnection => f.write_str("clients that reach nobody cannot write"),
            Self::Conflicts => f.write_str("concurrent writes may conflict, and the data cannot be merged"),
            Self::DropsConcurrentWrites => f.write_str(
                "of concurrent writes the last wins, and the others were acknowledged but are lost",
            ),
            Self::LosesWrites { failures, lost, tolerated } => {
                write!(f, "losing {} loses acknowledged writes ", Replicas(*failures))?;
                match lost {
                    Extent::Time(Duration::ZERO) => f.write_str("that were under way")?,
                    Extent::Time(time) => write!(f, "that were under way, of the last {time:?} at least")?,
                    _ => f.write_str("without limit")?,
                }
                match tolerated {
                    Extent::Nothing => f.write_str(", none may be lost"),
                    tolerated => write!(f, ", those of {tolerated} may be lost"),
                }
            }
            Self::StopsWrites { failures, outage, tolerated } => {
                write!(f, "the failure of {} stops writes ", Replicas(*failures))?;
                match outage {
                    Extent::Time(time) => write!(f, "for {time:?} at least")?,
                    _ => f.write_str("until somebody repairs it")?,
                }
                write!(f, ", they may stop for {}", Span(*tolerated))
            }
            Self::StopsReads { failures, tolerated } => {
                let (failures, tolerated) = (Replicas(*failures), Replicas(*tolerated));
                write!(f, "the failure of {failures} stops reads, which survive that of {tolerated}")
            }
            Self::MissesLatest => f.write_str("a read may miss the latest writes of others"),
            Self::MissesOwnWrites => f.write_str("a read may miss what the same client wrote"),
            Self::TooStale { staleness: Extent::Time(time), tolerated } => {
                write!(f, "a read may be {} behind, {} is tolerated", Span(*time), Span(*tolerated))
            }
            Self::TooStale { tolerated, .. } => {
                write!(f, "nothing limits how far a read is behind, {} is tolerated", Span(*tolerated))
            }
            Self::WritesLeaveRegion { region } => write!(f, "writes from {region} must ask another region"),
            Self::SlowWrites { slowest, tolerated } => {
                let (slowest, tolerated) = (Span(*slowest), Span(*tolerated));
                write!(f, "a write takes {slowest} where it takes longest, it may take {tolerated}")
            }
        }
    }
}
