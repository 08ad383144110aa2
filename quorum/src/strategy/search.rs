//! The best system for some nodes.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::candidates::{Candidate, each_of_height};
use super::{Metric, NodeProfile, Plan, ReadFraction, Strategy};
use crate::{Expr, PlanError, QuorumSystem, SearchError};

/// What is wanted of a system, said step by step; then [`best`](Self::best) looks for it.
///
/// All systems are looked at in which each node stands once, flat ones first; nodes with equal profiles are
/// interchangeable, and what differs only by exchanging them is looked at once. There are very many: the caller decides
/// how long to go on.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use quorum::{Metric, NodeProfile, Probability, ReadFraction, SystemSearch};
///
/// let nodes = ["a", "b", "c", "d"].map(|name| (name, NodeProfile::default()));
/// let reads = ReadFraction::always(Probability::new(0.9)?);
/// let start = Instant::now();
/// let found = SystemSearch::new(nodes)?
///     .read_fraction(reads)
///     .resilience(1)
///     .best(Metric::Load, |_| start.elapsed() < Duration::from_secs(1))?;
/// assert!(found.is_complete, "there are few systems of four equal nodes");
/// assert!(found.strategy.system().resilience()? >= 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SystemSearch<N> {
    /// Nodes that are alike, together.
    kinds: Vec<(NodeProfile, Vec<N>)>,
    reads: ReadFraction,
    resilience: usize,
    failures: usize,
    limits: Vec<(Metric, f64)>,
}

/// The best system that was found.
#[derive(Debug, Clone)]
pub struct Found<N> {
    /// Its best strategy, which knows the system.
    pub strategy: Strategy<N>,
    /// What was minimised.
    pub value: f64,
    /// How many systems were looked at.
    pub examined: u64,
    /// Whether there was no other to look at, so that this is the best of all in which each node stands once.
    pub is_complete: bool,
}

impl<N: Ord + Clone> SystemSearch<N> {
    /// A search for a system of these nodes.
    pub fn new(nodes: impl IntoIterator<Item = (N, NodeProfile)>) -> Result<Self, SearchError> {
        let mut kinds: Vec<(NodeProfile, Vec<N>)> = Vec::new();
        for (node, profile) in nodes {
            if kinds.iter().any(|(_, nodes)| nodes.contains(&node)) {
                return Err(SearchError::NodeTwice);
            }
            match kinds.iter_mut().find(|(known, _)| *known == profile) {
                Some((_, nodes)) => nodes.push(node),
                None => kinds.push((profile, [node].into())),
            }
        }
        if kinds.is_empty() {
            return Err(SearchError::NoNodes);
        }
        if kinds.iter().map(|(_, nodes)| nodes.len()).sum::<usize>() > crate::MAX_NODES {
            return Err(SearchError::TooManyNodes);
        }
        let reads = ReadFraction::default();
        Ok(Self { kinds, reads, resilience: 0, failures: 0, limits: Vec::new() })
    }

    /// How often operations read.
    #[must_use]
    pub fn read_fraction(mut self, reads: ReadFraction) -> Self {
        self.reads = reads;
        self
    }

    /// Only systems in which quorums are left when any `failures` nodes have failed.
    #[must_use]
    pub fn resilience(mut self, failures: usize) -> Self {
        self.resilience = failures;
        self
    }

    /// Ask only sets that are quorums even if any `failures` of their nodes do not answer.
    #[must_use]
    pub fn surviving(mut self, failures: usize) -> Self {
        self.failures = failures;
        self
    }

    /// Let `metric` be at most `limit` on average. What is minimised cannot be limited.
    pub fn at_most(mut self, metric: Metric, limit: f64) -> Result<Self, SearchError> {
        if !(limit.is_finite() && limit >= 0.0) {
            return Err(SearchError::Plan(PlanError::Limit { given: limit }));
        }
        self.limits.push((metric, limit));
        Ok(self)
    }

    /// The system, with its best strategy, for which `metric` is least among all that were looked at.
    ///
    /// `go_on` is asked before each system, and told how many were looked at. At least one always is.
    pub fn best(&self, metric: Metric, mut go_on: impl FnMut(u64) -> bool) -> Result<Found<N>, SearchError> {
        if self.limits.iter().any(|(limited, _)| *limited == metric) {
            return Err(SearchError::Plan(PlanError::LimitOfObjective));
        }
        let counts: Vec<usize> = self.kinds.iter().map(|(_, nodes)| nodes.len()).collect();
        let mut best: Option<(f64, Strategy<N>)> = None;
        let mut examined = 0;
        let mut failed = None;
        // A single node has height 0, and no expression is higher than it has choices to make.
        let heights = 0..counts.iter().sum::<usize>();
        let broke_off = heights.into_iter().try_for_each(|height| {
            each_of_height(&counts, height, &mut |candidate| {
                if examined > 0 && !go_on(examined) {
                    return ControlFlow::Break(());
                }
                examined += 1;
                match self.value_of(candidate, metric) {
                    Ok(Some((value, strategy))) => {
                        if best.as_ref().is_none_or(|(least, _)| value < *least - 1e-9 * least.abs()) {
                            best = Some((value, strategy));
                        }
                        ControlFlow::Continue(())
                    }
                    Ok(None) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let (value, strategy) = best.ok_or(SearchError::NothingFound { examined })?;
        Ok(Found { strategy, value, examined, is_complete: broke_off.is_continue() })
    }

    /// What the best strategy of a candidate comes to; nothing if it does not do what is wanted.
    fn value_of(
        &self,
        candidate: &Candidate,
        metric: Metric,
    ) -> Result<Option<(f64, Strategy<N>)>, SearchError> {
        let Some(reads) = self.expression(candidate) else {
            return Ok(None);
        };
        let Ok(system) = QuorumSystem::from_reads(reads) else {
            return Ok(None);
        };
        if system.resilience().is_ok_and(|survived| survived < self.resilience) {
            return Ok(None);
        }
        let mut plan = Plan::new(&system)
            .profiles(|node| self.profile_of(node))
            .read_fraction(self.reads.clone())
            .surviving(self.failures);
        for &(limited, limit) in &self.limits {
            plan = plan.at_most(limited, limit)?;
        }
        let strategy = match plan.minimise(metric) {
            Ok(strategy) => strategy,
            Err(PlanError::Infeasible | PlanError::NoQuorum | PlanError::TooComplex) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let value = match metric {
            Metric::Load => strategy.load(&self.reads),
            Metric::Network => strategy.network_load(&self.reads),
            Metric::Latency => strategy.latency(&self.reads),
        };
        Ok(Some((value, strategy)))
    }

    fn expression(&self, candidate: &Candidate) -> Option<Expr<N>> {
        let mut left: Vec<core::slice::Iter<'_, N>> =
            self.kinds.iter().map(|(_, nodes)| nodes.iter()).collect();
        expression(candidate, &mut |kind| left.get_mut(kind)?.next().cloned())
    }

    fn profile_of(&self, node: &N) -> NodeProfile {
        self.kinds
            .iter()
            .find(|(_, nodes)| nodes.contains(node))
            .map(|(profile, _)| *profile)
            .unwrap_or_default()
    }
}

fn expression<N>(candidate: &Candidate, node: &mut impl FnMut(usize) -> Option<N>) -> Option<Expr<N>> {
    match candidate {
        Candidate::Node(kind) => node(*kind).map(Expr::node),
        Candidate::Choose(need, parts) => {
            let parts: Option<Vec<Expr<N>>> = parts.iter().map(|part| expression(part, node)).collect();
            Expr::choose(*need, parts?).ok()
        }
    }
}
