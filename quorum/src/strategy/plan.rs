//! What is wanted of a strategy.

use alloc::vec::Vec;

use super::columns::Columns;
use super::program::{Limits, Operation, Optimum, Program};
use super::{NodeProfile, ReadFraction, Strategy};
use crate::system::formula::Formula;
use crate::{NodeSet, PlanError, QuorumSystem};

/// What can be minimised, and what can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// How busy the busiest node is per operation. The least load is the greatest capacity.
    Load,
    /// How many nodes an operation asks.
    Network,
    /// How long an operation takes.
    Latency,
}

/// What is wanted of a strategy, said step by step.
///
/// ```
/// use quorum::{Expr, Metric, NodeProfile, Plan, Probability, QuorumSystem, ReadFraction};
///
/// let [a, b, c, d] = ["a", "b", "c", "d"].map(Expr::from);
/// let grid = QuorumSystem::from_reads(a * b + c * d)?;
/// let reads = ReadFraction::always(Probability::new(0.75)?);
/// let best = Plan::new(&grid)
///     .profile(&"a", NodeProfile::new(4_000.0, 2_000.0, 1.0)?)?
///     .profile(&"b", NodeProfile::new(4_000.0, 2_000.0, 1.0)?)?
///     .profile(&"c", NodeProfile::new(2_000.0, 1_000.0, 1.0)?)?
///     .profile(&"d", NodeProfile::new(2_000.0, 1_000.0, 1.0)?)?
///     .read_fraction(reads.clone())
///     .minimise(Metric::Load)?;
/// assert!((best.capacity(&reads) - 6_000.0 / 1.25).abs() < 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Plan<'a, N> {
    system: &'a QuorumSystem<N>,
    profiles: Vec<NodeProfile>,
    reads: ReadFraction,
    failures: usize,
    avoided: NodeSet,
    limits: Limits,
}

impl<'a, N: Ord + Clone> Plan<'a, N> {
    /// A strategy for this system: half of the operations read, all nodes are alike, nothing is limited.
    pub fn new(system: &'a QuorumSystem<N>) -> Self {
        Self {
            system,
            profiles: system.nodes().iter().map(|_| NodeProfile::default()).collect(),
            reads: ReadFraction::default(),
            failures: 0,
            avoided: NodeSet::EMPTY,
            limits: Limits::default(),
        }
    }

    /// What one node can do.
    pub fn profile(mut self, node: &N, profile: NodeProfile) -> Result<Self, PlanError> {
        let place = self.place(node)?;
        if let Some(known) = self.profiles.get_mut(place) {
            *known = profile;
        }
        Ok(self)
    }

    /// What each node can do.
    #[must_use]
    pub fn profiles(mut self, profile: impl FnMut(&N) -> NodeProfile) -> Self {
        self.profiles = self.system.nodes().iter().map(profile).collect();
        self
    }

    /// How often operations read.
    #[must_use]
    pub fn read_fraction(mut self, reads: ReadFraction) -> Self {
        self.reads = reads;
        self
    }

    /// Ask only sets that are quorums even if any `failures` of their nodes do not answer.
    #[must_use]
    pub fn surviving(mut self, failures: usize) -> Self {
        self.failures = failures;
        self
    }

    /// Do not ask this node: it is known to be down. It stays part of the system, and what is a quorum does not change.
    pub fn avoiding(mut self, node: &N) -> Result<Self, PlanError> {
        let place = self.place(node)?;
        self.avoided.insert(place);
        Ok(self)
    }

    /// Let `metric` be at most `limit` on average. What is minimised cannot be limited.
    pub fn at_most(mut self, metric: Metric, limit: f64) -> Result<Self, PlanError> {
        if !(limit.is_finite() && limit >= 0.0) {
            return Err(PlanError::Limit { given: limit });
        }
        *self.limits.of(metric) = Some(limit);
        Ok(self)
    }

    /// The strategy for which `metric` is least.
    ///
    /// Exact: the value differs from the best possible by rounding, relatively about 10⁻⁹. Quorums are found when they
    /// are needed and never all listed, so that a majority of 31 or a grid of 64 nodes takes a fraction of a second.
    /// Nodes that stand in several places make it harder; [`PlanError::TooComplex`] says when too hard.
    pub fn minimise(&self, metric: Metric) -> Result<Strategy<N>, PlanError> {
        let mut limits = self.limits;
        if limits.of(metric).is_some() {
            return Err(PlanError::LimitOfObjective);
        }
        // Loads are measured by the node that can do most.
        let most = self.profiles.iter().flat_map(|node| [node.read_capacity(), node.write_capacity()]);
        let unit = most.fold(0.0, f64::max);
        limits.load = limits.load.map(|load| load * unit);
        let (shares, weights): (Vec<f64>, Vec<f64>) = self.reads.shares().unzip();
        let write_shares = shares.iter().map(|share| 1.0 - share).collect();
        let (read, write) = (self.system.read_formula(), self.system.write_formula());
        let program = Program {
            reads: Operation::new(
                self.columns(read)?,
                &self.profiles,
                |node| node.read_capacity() / unit,
                shares,
                &weights,
            ),
            writes: Operation::new(
                self.columns(write)?,
                &self.profiles,
                |node| node.write_capacity() / unit,
                write_shares,
                &weights,
            ),
            weights,
            objective: metric,
            limits,
        };
        let Optimum { reads, writes } = program.solve()?;
        let strategy = Strategy::new(self.system, reads, writes)
            .map_err(|error| PlanError::Solver { reason: alloc::string::ToString::to_string(&error) })?;
        Ok(strategy.with_profiles(|node| self.profile_of(node)))
    }

    fn columns<'b>(&'b self, formula: &'b Formula) -> Result<Columns<'b>, PlanError> {
        let live = formula.without(self.avoided).ok_or(PlanError::NoQuorum)?;
        let asked = live.resilient(self.failures).map_err(|_| PlanError::TooComplex)?;
        let asked = asked.ok_or(PlanError::NoQuorum)?;
        Ok(Columns::new(formula, asked, self.failures > 0, &self.profiles))
    }

    fn profile_of(&self, node: &N) -> NodeProfile {
        let place = self.system.nodes().binary_search(node).ok();
        place.and_then(|place| self.profiles.get(place)).copied().unwrap_or_default()
    }

    fn place(&self, node: &N) -> Result<usize, PlanError> {
        self.system.nodes().binary_search(node).map_err(|_| PlanError::UnknownNode)
    }
}

impl Limits {
    fn of(&mut self, metric: Metric) -> &mut Option<f64> {
        match metric {
            Metric::Load => &mut self.load,
            Metric::Network => &mut self.network,
            Metric::Latency => &mut self.latency,
        }
    }
}
