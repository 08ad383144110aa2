//! What one topology would do.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::time::Duration;

use super::objection::objections;
use super::{LeaderAim, Objection, ReadNeed, Requirements, Topology};
use crate::{QuorumConfig, majority};

/// What one topology would cost and promise under the requirements, and why it is refused if it is.
///
/// All times are those of messages alone, in the best case of a network that loses nothing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Assessment {
    /// Which topology.
    pub topology: Topology,
    /// The best region for the leader, if there is one leader.
    pub leader: Option<String>,
    /// The read and write quorums, if there is none.
    pub quorums: Option<QuorumConfig>,
    /// What replication adds to a write: how long the leader, or the slowest client's coordinator, waits for others.
    pub write_wait: Duration,
    /// How long a write takes as seen by clients, the way to the leader included.
    pub write: Latency,
    /// How long a read takes that sees what it must.
    pub read: Latency,
    /// The acknowledged writes that the failures to be survived would lose: those of so long before.
    pub loss: Extent,
    /// How long those failures stop writes.
    pub outage: Extent,
    /// How far behind the newest write what a read returns may be.
    pub staleness: Extent,
    /// Whether concurrent writes of the same key may both be accepted.
    pub conflicts: bool,
    /// Why it is refused; empty if it is accepted.
    pub objections: Vec<Objection>,
}

/// A time of clients: for those of the region where it is longest, and in the mean over all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// In the region where it is longest.
    pub slowest: Duration,
    /// Over the clients of all regions.
    pub mean: Duration,
}

/// How long something undesired lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extent {
    /// It does not happen.
    Nothing,
    /// So long at least, and hardly longer while nothing else goes wrong.
    Time(Duration),
    /// Until somebody repairs it.
    Unlimited,
}

impl Assessment {
    /// Whether nothing speaks against it.
    pub fn is_accepted(&self) -> bool {
        self.objections.is_empty()
    }
}

/// What a topology would do in its best form: the region of the leader, or the quorums, for which the least speaks
/// against it, the outage is shortest and the operations take the least time. Ties go to what loses less, then to what
/// is listed first.
pub(super) fn assess(topology: Topology, needs: &Requirements) -> Assessment {
    let objected = |mut found: Assessment| {
        found.objections = objections(&found, needs);
        found
    };
    let mut forms = forms(topology, needs).into_iter().map(objected);
    let first = forms.next().unwrap_or_else(|| objected(leaderless(topology, needs, 1, 1)));
    forms.fold(first, |best, other| if compare(&other, &best, needs).is_lt() { other } else { best })
}

fn compare(a: &Assessment, b: &Assessment, needs: &Requirements) -> Ordering {
    let by_time = match (a.topology.has_single_leader(), needs.aim) {
        (true, LeaderAim::Slowest) => (a.write.slowest, a.write.mean).cmp(&(b.write.slowest, b.write.mean)),
        (true, LeaderAim::Mean) => (a.write.mean, a.write.slowest).cmp(&(b.write.mean, b.write.slowest)),
        (false, _) => needs.mean_operation(a.read, a.write).total_cmp(&needs.mean_operation(b.read, b.write)),
    };
    let effort = |found: &Assessment| (found.objections.len(), found.outage);
    effort(a).cmp(&effort(b)).then(by_time).then(a.loss.cmp(&b.loss))
}

/// Every form of a topology that may be the best; at least one.
fn forms(topology: Topology, needs: &Requirements) -> Vec<Assessment> {
    let n = needs.replicas();
    match topology {
        Topology::SingleLeaderSync | Topology::SingleLeaderSemiSync | Topology::SingleLeaderAsync => {
            let regions = (0..needs.distances.len()).filter(|region| needs.replicas_in(*region) > 0);
            regions.map(|region| led(topology, needs, region)).collect()
        }
        Topology::MultiLeader => Vec::from([multi_leader(needs)]),
        // From a majority of writes on, reads one fewer for each more: a larger read quorum would gain nothing.
        Topology::LeaderlessStrict => (majority(n)..=n).map(|w| strict(needs, n - w + 1, w)).collect(),
        // One copy is the cheapest, and one more than fail is the cheapest of those that lose nothing.
        Topology::LeaderlessSloppy => {
            [1, needs.failures.saturating_add(1).min(n)].map(|w| sloppy(needs, w)).into()
        }
    }
}

fn led(topology: Topology, needs: &Requirements, leader: usize) -> Assessment {
    let (n, failures) = (needs.replicas(), needs.failures);
    // How many replicas, the leader included, are sure to have a write when it is acknowledged.
    let copies = match topology {
        Topology::SingleLeaderSync => n,
        Topology::SingleLeaderSemiSync => n.min(2),
        _ => 1,
    };
    let write_wait = needs.wait_for_followers(leader, copies - 1);
    let followers_are_current = topology == Topology::SingleLeaderSync;
    let read_anywhere = followers_are_current || needs.reads == ReadNeed::Anything;
    let read = |client| {
        if read_anywhere {
            needs.round_trip_to_nearest(client, 1)
        } else {
            needs.distances.there_and_back(client, leader)
        }
    };
    Assessment {
        topology,
        leader: Some(needs.distances.name(leader).into()),
        quorums: None,
        write_wait,
        write: needs
            .latency(|client| needs.distances.there_and_back(client, leader).saturating_add(write_wait)),
        read: needs.latency(read),
        loss: loss(needs, copies, || needs.time_to_a_survivor(leader, failures)),
        outage: match failures {
            0 => Extent::Nothing,
            // Too few are left for the next write to have as many copies.
            _ if failures > n - copies => Extent::Unlimited,
            _ => Extent::Time(needs.detection),
        },
        staleness: if read_anywhere && !followers_are_current && n > 1 {
            Extent::Time(needs.time_to_all(leader))
        } else {
            Extent::Nothing
        },
        conflicts: false,
        objections: Vec::new(),
    }
}

fn multi_leader(needs: &Requirements) -> Assessment {
    let mut assessment = leaderless(Topology::MultiLeader, needs, 1, 1);
    assessment.write_wait = Duration::ZERO;
    assessment.staleness = time_between_replicas(needs);
    if needs.offline_clients {
        // A device is a leader too: what it has not yet sent is lost with it, and it may have been away for long.
        assessment.conflicts = true;
        assessment.staleness = Extent::Unlimited;
        assessment.loss = if needs.failures == 0 { Extent::Nothing } else { Extent::Unlimited };
    }
    assessment
}

fn strict(needs: &Requirements, r: u32, w: u32) -> Assessment {
    let mut assessment = leaderless(Topology::LeaderlessStrict, needs, r, w);
    if needs.failures > needs.replicas() - w {
        assessment.outage = Extent::Unlimited;
    }
    assessment
}

fn sloppy(needs: &Requirements, w: u32) -> Assessment {
    let mut assessment = leaderless(Topology::LeaderlessSloppy, needs, 1, w);
    assessment.staleness = match needs.failures {
        0 => time_between_replicas(needs),
        // What a replica missed while it was down it has when a hint, a read or anti-entropy brings it.
        _ => Extent::Unlimited,
    };
    assessment
}

fn time_between_replicas(needs: &Requirements) -> Extent {
    match needs.replicas() {
        1 => Extent::Nothing,
        _ => Extent::Time(needs.worst_replica(|home| needs.time_to_all(home))),
    }
}

/// What all topologies without a single leader have in common.
fn leaderless(topology: Topology, needs: &Requirements, r: u32, w: u32) -> Assessment {
    let (n, failures) = (needs.replicas(), needs.failures);
    let write = needs.quorum_latency(w);
    Assessment {
        topology,
        leader: None,
        quorums: if topology == Topology::MultiLeader { None } else { QuorumConfig::new(n, r, w).ok() },
        write_wait: write.slowest,
        write,
        read: needs.quorum_latency(r),
        loss: loss(needs, w, || needs.worst_replica(|home| needs.time_to_a_survivor(home, failures))),
        outage: if failures < n { Extent::Nothing } else { Extent::Unlimited },
        staleness: Extent::Nothing,
        conflicts: n > 1,
        objections: Vec::new(),
    }
}

/// What is lost when the failures take the `copies` that a write has when it is acknowledged: what had not reached a
/// survivor by then, or everything if there is none.
fn loss(needs: &Requirements, copies: u32, to_a_survivor: impl Fn() -> Duration) -> Extent {
    if needs.failures >= needs.replicas() {
        Extent::Unlimited
    } else if needs.failures < copies {
        Extent::Nothing
    } else {
        Extent::Time(to_a_survivor())
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("none"),
            Self::Time(time) => write!(f, "{}", Span(*time)),
            Self::Unlimited => f.write_str("unlimited"),
        }
    }
}

/// A time as people write it.
pub(super) struct Span(pub(super) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In place of `0ns`, which looks as if it had been measured.
        if self.0.is_zero() { f.pad("0s") } else { f.pad(&alloc::format!("{:?}", self.0)) }
    }
}
