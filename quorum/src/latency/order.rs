//! How long it takes until enough nodes have answered.

use alloc::vec::Vec;

use super::LatencyDistribution;
use super::harmonic::harmonic_between;
use super::integral::Survival;
use super::search::smallest;
use crate::probability::{Binomial, PoissonBinomial};
use crate::{OrderStatisticError, Probability, QuorumConfig};

/// The time until `k` of the nodes have answered that were all asked at once, independently of each other.
///
/// That is the k-th smallest of their times, the k-th order statistic:
/// `P(T_(k) <= t) = sum over i from k to n of C(n, i) F(t)^i (1 - F(t))^(n - i)`, and with a distribution for each
/// node the tail of a Poisson binomial.
///
/// ```
/// use quorum::{LatencyDistribution, OrderStatistic, Probability};
///
/// // Answers take a millisecond on average. One of three is there in a third of that, but all three take nearly two.
/// let answer = LatencyDistribution::exponential(1.0)?;
/// let mean = |k| OrderStatistic::alike(k, 3, answer.clone()).map(|wait| wait.mean());
/// assert!((mean(1)? - 1.0 / 3.0).abs() < 1e-15);
/// assert!((mean(2)? - 5.0 / 6.0).abs() < 1e-15);
/// assert!((mean(3)? - 11.0 / 6.0).abs() < 1e-15);
///
/// let p99 = Probability::new(0.99)?;
/// let majority = OrderStatistic::alike(2, 3, answer.clone())?;
/// assert!(majority.quantile(p99) < answer.quantile(p99));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct OrderStatistic {
    /// From 1 to the number of nodes.
    k: u32,
    nodes: Nodes,
}

#[derive(Debug, Clone, PartialEq)]
enum Nodes {
    Alike {
        n: u32,
        each: LatencyDistribution,
    },
    /// At least one.
    Different(Vec<LatencyDistribution>),
}

impl OrderStatistic {
    /// The k-th of `n` answers that all take equally long.
    pub fn alike(k: u32, n: u32, each: LatencyDistribution) -> Result<Self, OrderStatisticError> {
        if k == 0 {
            return Err(OrderStatisticError::NothingAwaited);
        }
        if k > n {
            return Err(OrderStatisticError::TooFewNodes {
                k,
                given: usize::try_from(n).unwrap_or(usize::MAX),
            });
        }
        Ok(Self { k, nodes: Nodes::Alike { n, each } })
    }

    /// The k-th answer of nodes that take each their own time.
    pub fn of(
        k: u32,
        nodes: impl IntoIterator<Item = LatencyDistribution>,
    ) -> Result<Self, OrderStatisticError> {
        if k == 0 {
            return Err(OrderStatisticError::NothingAwaited);
        }
        let nodes: Vec<_> = nodes.into_iter().collect();
        match (nodes.first(), u32::try_from(nodes.len())) {
            (Some(first), Ok(n)) if k <= n && nodes.iter().all(|node| node == first) => {
                Self::alike(k, n, first.clone())
            }
            (_, Ok(n)) if k > n => Err(OrderStatisticError::TooFewNodes { k, given: nodes.len() }),
            _ => Ok(Self { k, nodes: Nodes::Different(nodes) }),
        }
    }

    /// How many answers are waited for.
    pub const fn k(&self) -> u32 {
        self.k
    }

    /// How likely `k` answers are there by `t`.
    ///
    /// O(sqrt(n)) for nodes that are alike, otherwise O(n^2); and the cdf of each distribution.
    pub fn cdf(&self, t: f64) -> f64 {
        match &self.nodes {
            Nodes::Alike { n, each } => Binomial::new(*n, each.chance(t)).at_least(self.k),
            Nodes::Different(nodes) => answered(nodes, t).at_least(index(self.k)),
        }
    }

    /// The smallest `t` with `cdf(t) >= p`; for 0, the shortest possible time. Infinite for 1 if there is no longest.
    ///
    /// At most 64 times the cost of [`cdf`](Self::cdf), and inverse to it to the last bit.
    pub fn quantile(&self, p: Probability) -> f64 {
        let (earliest, latest) = (self.extreme(Probability::ZERO), self.extreme(Probability::ONE));
        match p.get() {
            p if p <= 0.0 => earliest,
            p if p >= 1.0 => latest,
            p => smallest(earliest, latest, |t| self.cdf(t) >= p),
        }
    }

    /// How long it takes on average; infinite if the tails are that heavy.
    ///
    /// For nodes that are alike and exponential `(H_n - H_(n-k)) / rate`, O(1); for constants and samples exact, at
    /// the cost of one [`cdf`](Self::cdf) for each; otherwise the integral of `1 - cdf`, by an adaptive rule to a
    /// relative error below 1e-9, which takes some hundreds to some thousands of them.
    ///
    /// A Pareto tail of shape `a` gives the k-th of `n` a finite mean if `a (n - k + 1) > 1`: not waiting for the
    /// slowest is what makes the mean finite.
    pub fn mean(&self) -> f64 {
        if let Nodes::Alike { n, each } = &self.nodes
            && let Some((from, rate)) = each.as_exponential()
        {
            return from + harmonic_between(n - self.k, *n) / rate;
        }
        let mut breaks: Vec<f64> = match &self.nodes {
            Nodes::Alike { each, .. } => each.breaks().collect(),
            Nodes::Different(nodes) => nodes.iter().flat_map(LatencyDistribution::breaks).collect(),
        };
        breaks.sort_unstable_by(f64::total_cmp);
        breaks.dedup();
        Survival { beyond: |t| self.survival(t), tail_index: self.tail_index() }.mean(&breaks)
    }

    /// How likely fewer than `k` answers are there by `t`, precise also where that is next to nothing.
    fn survival(&self, t: f64) -> f64 {
        match &self.nodes {
            Nodes::Alike { n, each } => Binomial::new(*n, each.chance(t)).at_most(self.k - 1),
            Nodes::Different(nodes) => answered(nodes, t).fewer_than(index(self.k)),
        }
    }

    /// Where all distributions begin or end: the k-th of these times.
    fn extreme(&self, end: Probability) -> f64 {
        match &self.nodes {
            Nodes::Alike { each, .. } => each.quantile(end),
            Nodes::Different(nodes) => {
                let mut times: Vec<f64> = nodes.iter().map(|node| node.quantile(end)).collect();
                times.sort_unstable_by(f64::total_cmp);
                times.get(index(self.k) - 1).copied().unwrap_or_default()
            }
        }
    }

    /// It is late only if `n - k + 1` nodes are, most likely those whose tails are the heaviest.
    fn tail_index(&self) -> f64 {
        match &self.nodes {
            Nodes::Alike { n, each } => each.tail_index() * (f64::from(n - self.k) + 1.0),
            Nodes::Different(nodes) => {
                let mut indices: Vec<f64> = nodes.iter().map(LatencyDistribution::tail_index).collect();
                indices.sort_unstable_by(f64::total_cmp);
                indices.iter().take(nodes.len() + 1 - index(self.k)).sum()
            }
        }
    }
}

/// How many nodes have answered by `t`.
fn answered(nodes: &[LatencyDistribution], t: f64) -> PoissonBinomial {
    PoissonBinomial::new(nodes.iter().map(|node| node.chance(t)))
}

/// A number of nodes that are in memory.
fn index(k: u32) -> usize {
    usize::try_from(k).unwrap_or(usize::MAX)
}

impl QuorumConfig {
    /// How long a read takes that asks all N replicas and waits for R of them, if an answer takes this long.
    ///
    /// ```
    /// use quorum::{LatencyDistribution, QuorumConfig};
    ///
    /// let answer = LatencyDistribution::empirical([1.0, 1.0, 1.0, 9.0])?;
    /// let mean = |r| QuorumConfig::new(3, r, 3).map(|config| config.read_latency(&answer).mean());
    /// // One answer in four is slow. Two of three mostly hide it, all three mostly do not.
    /// assert_eq!((mean(1)?, mean(2)?, mean(3)?), (1.125, 2.25, 5.625));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_latency(&self, answer: &LatencyDistribution) -> OrderStatistic {
        self.wait(self.r(), answer)
    }

    /// How long a write takes that is sent to all N replicas and waits for W of them, if an acknowledgement takes this
    /// long.
    pub fn write_latency(&self, acknowledgement: &LatencyDistribution) -> OrderStatistic {
        self.wait(self.w(), acknowledgement)
    }

    /// How long a read takes, if each replica takes its own time to answer.
    pub fn read_latency_of(
        &self,
        answers: &[LatencyDistribution],
    ) -> Result<OrderStatistic, OrderStatisticError> {
        self.wait_of(self.r(), answers)
    }

    /// How long a write takes, if each replica takes its own time to acknowledge.
    pub fn write_latency_of(
        &self,
        acknowledgements: &[LatencyDistribution],
    ) -> Result<OrderStatistic, OrderStatisticError> {
        self.wait_of(self.w(), acknowledgements)
    }

    fn wait(&self, k: u32, each: &LatencyDistribution) -> OrderStatistic {
        OrderStatistic { k, nodes: Nodes::Alike { n: self.n(), each: each.clone() } }
    }

    fn wait_of(&self, k: u32, nodes: &[LatencyDistribution]) -> Result<OrderStatistic, OrderStatisticError> {
        match u32::try_from(nodes.len()) {
            Ok(given) if given == self.n() => OrderStatistic::of(k, nodes.iter().cloned()),
            _ => Err(OrderStatisticError::WrongNumber { given: nodes.len(), n: self.n() }),
        }
    }
}
