//! When enough nodes have answered.

use alloc::vec::Vec;

use super::availability::holds;
use super::formula::Formula;
use super::{NodeSet, QuorumSystem};
use crate::{Probability, SystemLatencyError};

impl<N: Ord + Clone> QuorumSystem<N> {
    /// When a read that asks these nodes is done: the first moment at which those that have answered are a read quorum.
    ///
    /// There is one latency per node, in the order of [`nodes`](Self::nodes) and in any unit, which is that of the
    /// answer. Infinity is a node that never answers, and the answer if those asked are no quorum. O(size log size).
    ///
    /// ```
    /// use quorum::{Expr, NodeSet, QuorumSystem};
    ///
    /// let [a, b, c, d] = ["a", "b", "c", "d"].map(Expr::from);
    /// let grid = QuorumSystem::from_reads(a * b + c * d)?;
    /// let milliseconds = [1.0, 40.0, 10.0, 12.0];
    /// assert_eq!(grid.read_latency(NodeSet::first(4), &milliseconds)?, 12.0);
    /// assert_eq!(grid.read_latency(grid.set(["a", "b"]), &milliseconds)?, 40.0);
    /// assert_eq!(grid.write_latency(NodeSet::first(4), &milliseconds)?, 10.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_latency(&self, asked: NodeSet, latencies: &[f64]) -> Result<f64, SystemLatencyError> {
        Ok(done_at(self.read_formula(), &self.answers(asked, latencies)?))
    }

    /// When a write that asks these nodes is done: the first moment at which those that have answered are a write
    /// quorum.
    pub fn write_latency(&self, asked: NodeSet, latencies: &[f64]) -> Result<f64, SystemLatencyError> {
        Ok(done_at(self.write_formula(), &self.answers(asked, latencies)?))
    }

    /// The probability that a read that asks every node is done within `time`, when `answered(node, time)` is the
    /// probability that a node has answered by then: its cumulative distribution function.
    ///
    /// Nodes answer independently of each other. It takes what [`read_availability`](Self::read_availability) takes.
    ///
    /// ```
    /// use quorum::{Expr, QuorumSystem};
    ///
    /// let three = QuorumSystem::from_reads(Expr::majority(["a", "b", "c"])?)?;
    /// let uniform = |_: &&str, time: f64| (time / 10.0).clamp(0.0, 1.0);
    /// assert_eq!(three.read_done_within(5.0, uniform)?.get(), 0.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_done_within(
        &self,
        time: f64,
        answered: impl Fn(&N, f64) -> f64,
    ) -> Result<Probability, SystemLatencyError> {
        Ok(holds(self.read_formula(), &self.answered_by(time, answered)?)?)
    }

    /// The probability that a write that asks every node is done within `time`.
    pub fn write_done_within(
        &self,
        time: f64,
        answered: impl Fn(&N, f64) -> f64,
    ) -> Result<Probability, SystemLatencyError> {
        Ok(holds(self.write_formula(), &self.answered_by(time, answered)?)?)
    }

    fn answers(&self, asked: NodeSet, latencies: &[f64]) -> Result<Vec<f64>, SystemLatencyError> {
        let (given, nodes) = (latencies.len(), self.nodes().len());
        if given != nodes {
            return Err(SystemLatencyError::WrongNumber { given, nodes });
        }
        let answer = |(place, &given): (usize, &f64)| {
            if given.is_nan() || given < 0.0 {
                return Err(SystemLatencyError::NotALatency { place, given });
            }
            Ok(if asked.contains(place) { given } else { f64::INFINITY })
        };
        latencies.iter().enumerate().map(answer).collect()
    }

    fn answered_by(
        &self,
        time: f64,
        answered: impl Fn(&N, f64) -> f64,
    ) -> Result<Vec<f64>, SystemLatencyError> {
        let parsed = |(place, node)| match Probability::new(answered(node, time)) {
            Ok(answered) => Ok(answered.get()),
            Err(error) => Err(SystemLatencyError::NotAProbability { place, error }),
        };
        self.nodes().iter().enumerate().map(parsed).collect()
    }
}

/// The moment at which a formula comes to hold. Nodes that stand in several places need no care: they answer once, and
/// what holds goes on holding.
fn done_at(formula: &Formula, answers: &[f64]) -> f64 {
    let leaves = formula.leaves.iter().map(|node| (answers[node], 1));
    let parts = formula.parts.iter().map(|(votes, part)| (done_at(part, answers), *votes));
    let mut moments: Vec<(f64, u64)> = leaves.chain(parts).collect();
    moments.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let mut votes = 0;
    for (moment, more) in moments {
        votes += more;
        if votes >= formula.need {
            return moment;
        }
    }
    f64::INFINITY
}
