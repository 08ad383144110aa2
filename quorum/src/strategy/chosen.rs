//! What it is worth to ask these quorums so often.

use alloc::vec::Vec;

use super::{NodeProfile, ReadFraction};
use crate::system::formula::Formula;
use crate::{NodeSet, Probability, QuorumSystem, StrategyError};

/// How often each quorum is asked: a probability for each read quorum and for each write quorum.
///
/// Source: Naor and Wool, "The load, capacity, and availability of quorum systems", 1998; Whittaker et al., "Read-Write
/// Quorum Systems Made Practical", 2021.
///
/// ```
/// use quorum::{Expr, Probability, QuorumSystem, ReadFraction, Strategy};
///
/// let system = QuorumSystem::from_reads(Expr::majority(["a", "b", "c"])?)?;
/// let pairs = [["a", "b"], ["b", "c"], ["a", "c"]].map(|pair| (1.0, system.set(pair)));
/// let strategy = Strategy::new(&system, pairs, pairs)?;
/// let reads = ReadFraction::always(Probability::new(0.5)?);
/// assert!((strategy.load(&reads) - 2.0 / 3.0).abs() < 1e-12, "each node serves two of three operations");
/// assert!((strategy.capacity(&reads) - 1.5).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Strategy<N> {
    system: QuorumSystem<N>,
    profiles: Vec<NodeProfile>,
    reads: Vec<(NodeSet, f64)>,
    writes: Vec<(NodeSet, f64)>,
}

impl<N: Ord + Clone> Strategy<N> {
    /// A strategy that asks these quorums, each as often as its weight says. Weights need not add up to anything in
    /// particular. All nodes have the default [`NodeProfile`]; see [`with_profiles`](Self::with_profiles).
    pub fn new(
        system: &QuorumSystem<N>,
        reads: impl IntoIterator<Item = (f64, NodeSet)>,
        writes: impl IntoIterator<Item = (f64, NodeSet)>,
    ) -> Result<Self, StrategyError> {
        Ok(Self {
            reads: normalised(reads, |set| system.is_read_quorum(set))?,
            writes: normalised(writes, |set| system.is_write_quorum(set))?,
            profiles: system.nodes().iter().map(|_| NodeProfile::default()).collect(),
            system: system.clone(),
        })
    }

    /// The same strategy for nodes of which `profile` tells what they can do.
    #[must_use]
    pub fn with_profiles(mut self, mut profile: impl FnMut(&N) -> NodeProfile) -> Self {
        self.profiles = self.system.nodes().iter().map(&mut profile).collect();
        self
    }

    /// The system whose quorums are asked.
    pub fn system(&self) -> &QuorumSystem<N> {
        &self.system
    }

    /// The read quorums that are asked at all, with the probability of each. In the order of the sets.
    pub fn reads(&self) -> &[(NodeSet, f64)] {
        &self.reads
    }

    /// The write quorums that are asked at all, with the probability of each. In the order of the sets.
    pub fn writes(&self) -> &[(NodeSet, f64)] {
        &self.writes
    }

    /// The read quorum to ask, given a number drawn evenly between 0 and 1.
    pub fn pick_read(&self, drawn: Probability) -> NodeSet {
        pick(&self.reads, drawn)
    }

    /// The write quorum to ask, given a number drawn evenly between 0 and 1.
    pub fn pick_write(&self, drawn: Probability) -> NodeSet {
        pick(&self.writes, drawn)
    }

    /// How busy the busiest node is per operation, on average over the read fractions: the load. Its inverse is how
    /// many operations per unit of time the system can sustain, for one read fraction.
    pub fn load(&self, reads: &ReadFraction) -> f64 {
        reads.shares().map(|(fraction, weight)| weight * self.load_at(fraction)).sum()
    }

    /// How many operations per unit of time the system can sustain, on average over the read fractions.
    pub fn capacity(&self, reads: &ReadFraction) -> f64 {
        reads.shares().map(|(fraction, weight)| weight / self.load_at(fraction)).sum()
    }

    /// How many nodes an operation asks, on average.
    pub fn network_load(&self, reads: &ReadFraction) -> f64 {
        let size = |quorums: &[(NodeSet, f64)]| mean(quorums, count);
        mixed(reads.mean(), size(&self.reads), size(&self.writes))
    }

    /// How long an operation takes, on average: until those who answered first are a quorum.
    pub fn latency(&self, reads: &ReadFraction) -> f64 {
        let of = |quorums: &[(NodeSet, f64)], formula: &Formula| {
            mean(quorums, |set| quorum_latency(formula, set, &self.profiles))
        };
        let (read, write) = (self.system.read_formula(), self.system.write_formula());
        mixed(reads.mean(), of(&self.reads, read), of(&self.writes, write))
    }

    /// How busy one node is per operation, on average over the read fractions. 0 for a node the system does not know.
    pub fn node_load(&self, node: &N, reads: &ReadFraction) -> f64 {
        let Ok(place) = self.system.nodes().binary_search(node) else {
            return 0.0;
        };
        reads.shares().map(|(fraction, weight)| weight * self.node_load_at(place, fraction)).sum()
    }

    /// Which share of its time a node is busy while the system does as much as it can.
    pub fn node_utilization(&self, node: &N, reads: &ReadFraction) -> f64 {
        let Ok(place) = self.system.nodes().binary_search(node) else {
            return 0.0;
        };
        let at = |fraction| self.node_load_at(place, fraction) / self.load_at(fraction);
        reads.shares().map(|(fraction, weight)| weight * at(fraction)).sum()
    }

    /// How many operations per unit of time reach a node while the system does as much as it can.
    pub fn node_throughput(&self, node: &N, reads: &ReadFraction) -> f64 {
        let Ok(place) = self.system.nodes().binary_search(node) else {
            return 0.0;
        };
        let at = |fraction| {
            let share = mixed(fraction, asked(&self.reads, place), asked(&self.writes, place));
            share / self.load_at(fraction)
        };
        reads.shares().map(|(fraction, weight)| weight * at(fraction)).sum()
    }

    fn load_at(&self, fraction: f64) -> f64 {
        (0..self.profiles.len()).map(|place| self.node_load_at(place, fraction)).fold(0.0, f64::max)
    }

    fn node_load_at(&self, place: usize, fraction: f64) -> f64 {
        self.profiles.get(place).map_or(0.0, |profile| {
            let read = asked(&self.reads, place) / profile.read_capacity();
            let write = asked(&self.writes, place) / profile.write_capacity();
            mixed(fraction, read, write)
        })
    }
}

/// How long it takes until the nodes of `set` that have answered are a quorum.
pub(super) fn quorum_latency(formula: &Formula, set: NodeSet, profiles: &[NodeProfile]) -> f64 {
    let latency = |place: usize| profiles.get(place).map_or(0.0, NodeProfile::latency);
    let mut by_latency: Vec<usize> = set.iter().collect();
    by_latency.sort_by(|a, b| latency(*a).total_cmp(&latency(*b)));
    let mut answered = NodeSet::EMPTY;
    for place in by_latency {
        answered.insert(place);
        if formula.is_quorum(answered) {
            return latency(place);
        }
    }
    f64::INFINITY
}

/// How many nodes a set has, to calculate with.
pub(super) fn count(set: NodeSet) -> f64 {
    // No set has more than 128.
    f64::from(u8::try_from(set.len()).unwrap_or(u8::MAX))
}

fn normalised(
    weighted: impl IntoIterator<Item = (f64, NodeSet)>,
    is_quorum: impl Fn(NodeSet) -> bool,
) -> Result<Vec<(NodeSet, f64)>, StrategyError> {
    let mut quorums: Vec<(NodeSet, f64)> = Vec::new();
    for (weight, set) in weighted {
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(StrategyError::Weight { given: weight });
        }
        if !is_quorum(set) {
            return Err(StrategyError::NotAQuorum { set });
        }
        if weight > 0.0 {
            quorums.push((set, weight));
        }
    }
    quorums.sort_by_key(|(set, _)| *set);
    quorums.dedup_by(|(later, weight), (kept, sum)| {
        let is_same = later == kept;
        if is_same {
            *sum += *weight;
        }
        is_same
    });
    let total: f64 = quorums.iter().map(|(_, weight)| weight).sum();
    if quorums.is_empty() {
        return Err(StrategyError::Empty);
    }
    if !total.is_finite() {
        return Err(StrategyError::Weight { given: total });
    }
    for (_, weight) in &mut quorums {
        *weight /= total;
    }
    Ok(quorums)
}

fn pick(quorums: &[(NodeSet, f64)], drawn: Probability) -> NodeSet {
    let mut rest = drawn.get();
    for (set, weight) in quorums {
        rest -= weight;
        if rest < 0.0 {
            return *set;
        }
    }
    // All of it was drawn, or rounding left a crumb.
    quorums.last().map_or(NodeSet::EMPTY, |(set, _)| *set)
}

fn asked(quorums: &[(NodeSet, f64)], place: usize) -> f64 {
    quorums.iter().filter(|(set, _)| set.contains(place)).map(|(_, weight)| weight).sum()
}

fn mean(quorums: &[(NodeSet, f64)], of: impl Fn(NodeSet) -> f64) -> f64 {
    quorums.iter().map(|(set, weight)| weight * of(*set)).sum()
}

/// Reads with this share, writes with the rest. What has no share counts for nothing, be it infinite.
fn mixed(fraction: f64, read: f64, write: f64) -> f64 {
    let part = |share: f64, value: f64| if share == 0.0 { 0.0 } else { share * value };
    part(fraction, read) + part(1.0 - fraction, write)
}
