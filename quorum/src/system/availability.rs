//! How likely the nodes that are up are a quorum.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::formula::Formula;
use super::residual::{Residual, Table};
use super::sweep::{MOST_STEPS, Sweep, sweep};
use super::together::Together;
use super::{NodeSet, QuorumSystem};
use crate::{Probability, SystemAvailabilityError, TooComplex};

/// Nodes fail independently of each other. Answers are exact up to rounding: sums of products of numbers that are not
/// negative, whose relative error is that of some hundred operations.
///
/// Where parts share no nodes they are independent too, and how many of them hold is counted part by part: O(parts ×
/// need), with unequal votes O(parts × different sums of votes). Parts that share nodes are swept through node by
/// node, which gives up after four million steps with [`TooComplex`].
impl<N: Ord + Clone> QuorumSystem<N> {
    /// The probability that the nodes that are up can serve a read, when each is down with probability `failure`.
    ///
    /// ```
    /// use quorum::{Expr, Probability, QuorumSystem};
    ///
    /// let three = QuorumSystem::from_reads(Expr::majority(["a", "b", "c"])?)?;
    /// let available = three.read_availability(Probability::new(0.1)?)?;
    /// assert!((available.get() - 0.972).abs() < 1e-15);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_availability(&self, failure: Probability) -> Result<Probability, TooComplex> {
        holds(self.read_formula(), &self.equally(failure))
    }

    /// The probability that the nodes that are up can serve a write.
    pub fn write_availability(&self, failure: Probability) -> Result<Probability, TooComplex> {
        holds(self.write_formula(), &self.equally(failure))
    }

    /// The probability that the nodes that are up can serve reads as well as writes.
    pub fn availability(&self, failure: Probability) -> Result<Probability, TooComplex> {
        self.both_hold(&self.equally(failure))
    }

    /// The same as [`read_availability`](Self::read_availability) with one probability of failure per node, in the
    /// order of [`nodes`](Self::nodes).
    pub fn read_availability_of(
        &self,
        failures: &[Probability],
    ) -> Result<Probability, SystemAvailabilityError> {
        Ok(holds(self.read_formula(), &self.each(failures)?)?)
    }

    /// The same as [`write_availability`](Self::write_availability) with one probability of failure per node.
    pub fn write_availability_of(
        &self,
        failures: &[Probability],
    ) -> Result<Probability, SystemAvailabilityError> {
        Ok(holds(self.write_formula(), &self.each(failures)?)?)
    }

    /// The same as [`availability`](Self::availability) with one probability of failure per node.
    pub fn availability_of(&self, failures: &[Probability]) -> Result<Probability, SystemAvailabilityError> {
        Ok(self.both_hold(&self.each(failures)?)?)
    }

    fn both_hold(&self, up: &[f64]) -> Result<Probability, TooComplex> {
        let (reads, writes) = (self.read_formula(), self.write_formula());
        if reads.repeated().is_empty()
            && let Some(together) = Together::of(reads, writes, up)
        {
            return Ok(Probability::clamped(together.both));
        }
        holds(&self.both(), up)
    }

    fn both(&self) -> Formula {
        let (reads, writes) = (self.read_formula(), self.write_formula());
        if reads == writes {
            return reads.clone();
        }
        let parts = vec![(1, reads.clone()), (1, writes.clone())];
        Formula { need: 2, leaves: NodeSet::EMPTY, parts }
    }

    fn equally(&self, failure: Probability) -> Vec<f64> {
        vec![failure.complement().get(); self.nodes().len()]
    }

    fn each(&self, failures: &[Probability]) -> Result<Vec<f64>, SystemAvailabilityError> {
        let (given, nodes) = (failures.len(), self.nodes().len());
        if given == nodes {
            Ok(failures.iter().map(|failure| failure.complement().get()).collect())
        } else {
            Err(SystemAvailabilityError::WrongNumber { given, nodes })
        }
    }
}

/// The probability that a formula holds when each node is up with its own probability.
pub(super) fn holds(formula: &Formula, up: &[f64]) -> Result<Probability, TooComplex> {
    probability(formula, up).map(Probability::clamped)
}

fn probability(formula: &Formula, up: &[f64]) -> Result<f64, TooComplex> {
    if !formula.has_independent_parts() {
        return Ok(sweep(&Likelihood { up }, [formula], 1.0)?.unwrap_or(0.0));
    }
    let mut choices: Vec<(u64, f64)> = formula.leaves.iter().map(|node| (1, up[node])).collect();
    for (votes, part) in &formula.parts {
        choices.push((*votes, probability(part, up)?));
    }
    if choices.iter().all(|(votes, _)| *votes == 1) {
        Ok(enough_parts(&choices, formula.need))
    } else {
        enough_votes(&choices, formula.need)
    }
}

/// The Poisson binomial distribution, of which only the tail is asked for.
fn enough_parts(choices: &[(u64, f64)], need: u64) -> f64 {
    // By the number of parts still needed, the last of them first.
    let need = usize::try_from(need).unwrap_or(usize::MAX).min(choices.len());
    let mut missing = vec![0.0; need + 1];
    missing[need] = 1.0;
    for (_, holds) in choices {
        missing[0] += missing.get(1).map_or(0.0, |one_more| one_more * holds);
        for still in 1..=need {
            let one_more = missing.get(still + 1).map_or(0.0, |more| more * holds);
            missing[still] = missing[still] * (1.0 - holds) + one_more;
        }
    }
    missing[0]
}

fn enough_votes(choices: &[(u64, f64)], need: u64) -> Result<f64, TooComplex> {
    let mut missing = BTreeMap::from([(need, 1.0)]);
    let (mut enough, mut steps) = (0.0, 0);
    for &(votes, holds) in choices {
        let mut next = BTreeMap::new();
        for (still, likelihood) in missing {
            *next.entry(still).or_insert(0.0) += likelihood * (1.0 - holds);
            match still.checked_sub(votes) {
                None | Some(0) => enough += likelihood * holds,
                Some(fewer) => *next.entry(fewer).or_insert(0.0) += likelihood * holds,
            }
        }
        steps += next.len();
        if steps > MOST_STEPS {
            return Err(TooComplex { steps });
        }
        missing = next;
    }
    Ok(enough)
}

/// The sweep for the probability of all cases in which a formula holds.
struct Likelihood<'a> {
    up: &'a [f64],
}

impl Sweep<1> for Likelihood<'_> {
    type Carried = f64;

    fn decide(&self, likelihood: f64, node: usize, up: bool) -> Option<f64> {
        let likelihood = likelihood * if up { self.up[node] } else { 1.0 - self.up[node] };
        (likelihood > 0.0).then_some(likelihood)
    }

    fn join(&self, one: f64, other: f64) -> f64 {
        one + other
    }

    fn is_hopeless(&self, _: &Table, [formula]: [Residual; 1]) -> bool {
        formula == Residual::NEVER
    }
}
