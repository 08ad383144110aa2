//! The best strategy, as a linear program that is solved from its dual.
//!
//! There may be more quorums than atoms, but only few are asked by a best strategy. The dual has a variable for the
//! price of each node and a row for each quorum: no quorum may cost less than what the dual claims an operation costs.
//! It is solved with the rows of some quorums; the cheapest quorum at the prices found is either none cheaper than
//! claimed, and the prices are optimal, or the row that was missing. In the end the program itself is solved with the
//! quorums found, and must come to the same value: the proof that nothing better exists.
//!
//! Source: Dantzig and Wolfe, "Decomposition principle for linear programs", 1960; Kelley, "The cutting-plane method
//! for solving convex programs", 1960.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use microlp::{ComparisonOp, OptimizationDirection, Problem, Solution, Variable};

use super::chosen::count;
use super::columns::{Column, Columns};
use super::dual::{Dual, Goal};
use super::{Metric, NodeProfile};
use crate::{NodeSet, PlanError};

/// What is smaller than this is rounding, in units of the load of one operation on the node that can do most.
const TOLERANCE: f64 = 1e-9;

/// More rows than this are not needed by anything that converges.
const MAX_ROWS: usize = 20_000;

/// What is to be minimised, and what must not be exceeded.
pub(super) struct Program<'a> {
    pub(super) reads: Operation<'a>,
    pub(super) writes: Operation<'a>,
    /// The probability of each read fraction.
    pub(super) weights: Vec<f64>,
    pub(super) objective: Metric,
    pub(super) limits: Limits,
}

/// Reads or writes.
pub(super) struct Operation<'a> {
    pub(super) columns: Columns<'a>,
    /// How busy one operation keeps each node.
    pub(super) work: Vec<f64>,
    /// The share of these operations, for each read fraction.
    pub(super) shares: Vec<f64>,
    /// The share on average.
    pub(super) mean_share: f64,
}

/// Bounds, as asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Limits {
    pub(super) load: Option<f64>,
    pub(super) network: Option<f64>,
    pub(super) latency: Option<f64>,
}

impl Limits {
    fn any(&self) -> bool {
        self.load.is_some() || self.network.is_some() || self.latency.is_some()
    }
}

/// Quorums with their probabilities.
pub(super) struct Optimum {
    pub(super) reads: Vec<(f64, NodeSet)>,
    pub(super) writes: Vec<(f64, NodeSet)>,
}

impl Operation<'_> {
    pub(super) fn new<'a>(
        columns: Columns<'a>,
        profiles: &[NodeProfile],
        capacity: impl Fn(&NodeProfile) -> f64,
        shares: Vec<f64>,
        weights: &[f64],
    ) -> Operation<'a> {
        let mean_share = shares.iter().zip(weights).map(|(share, weight)| share * weight).sum();
        let work = profiles.iter().map(|profile| 1.0 / capacity(profile)).collect();
        Operation { columns, work, shares, mean_share }
    }
}

impl Program<'_> {
    pub(super) fn solve(&self) -> Result<Optimum, PlanError> {
        if let Some(rows) = self.listed() {
            return Ok(self.primal(&rows)?.1);
        }
        let mut rows = Rows { reads: self.reads.columns.rotated(), writes: self.writes.columns.rotated() };
        if self.limits.any() {
            let excess = self.settle(Goal::Feasible, &mut rows)?;
            if excess > TOLERANCE {
                return Err(PlanError::Infeasible);
            }
        }
        let bound = self.settle(Goal::Optimal, &mut rows)?;
        let (value, optimum) = self.primal(&rows)?;
        // Both directions of the proof met the same solver; that they agree is what makes it one.
        if (value - bound).abs() > 1e-6 * bound.abs().max(TOLERANCE) + 1e-7 {
            return Err(PlanError::Solver { reason: "the two halves of the proof differ".to_string() });
        }
        Ok(optimum)
    }

    /// All quorums worth asking, if they are few: then there is nothing to prove.
    fn listed(&self) -> Option<Rows> {
        let latency = self.objective == Metric::Latency || self.limits.latency.is_some();
        Some(Rows {
            reads: self.reads.columns.listed(latency)?,
            writes: self.writes.columns.listed(latency)?,
        })
    }

    /// Adds rows until none is missing; the value of the dual.
    fn settle(&self, goal: Goal, rows: &mut Rows) -> Result<f64, PlanError> {
        let dual = Dual::new(self, goal);
        let mut solution = dual.begin(rows)?;
        loop {
            let prices = dual.prices(&solution);
            let mut settled = true;
            for (operation, known, claimed) in [
                (&self.reads, &mut rows.reads, prices.reads),
                (&self.writes, &mut rows.writes, prices.writes),
            ] {
                let nodes = prices.of_nodes(operation);
                let latency = operation.mean_share * prices.latency;
                let offer = operation.columns.cheapest(&nodes, latency).map_err(|_| PlanError::TooComplex)?;
                let Some(offer) = offer else {
                    return Err(PlanError::NoQuorum);
                };
                let is_cheaper = offer.cost < claimed - TOLERANCE * claimed.abs().max(1.0);
                if is_cheaper && known.iter().all(|column| column.set != offer.column.set) {
                    if known.len() >= MAX_ROWS {
                        return Err(PlanError::TooComplex);
                    }
                    known.push(offer.column);
                    solution = dual.with_row(solution, operation, &offer.column)?;
                    settled = false;
                }
            }
            if settled {
                return Ok(solution.objective());
            }
        }
    }

    /// The program itself, with the quorums found.
    fn primal(&self, rows: &Rows) -> Result<(f64, Optimum), PlanError> {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let cost = |operation: &Operation<'_>, column: &Column| self.objective_of(operation, column);
        let mut variables = |operation: &Operation<'_>, columns: &[Column]| -> Vec<Variable> {
            columns.iter().map(|column| problem.add_var(cost(operation, column), (0.0, 1.0))).collect()
        };
        let reads = variables(&self.reads, &rows.reads);
        let writes = variables(&self.writes, &rows.writes);
        let is_load = f64::from(u8::from(self.objective == Metric::Load));
        let loads: Vec<Variable> = self
            .weights
            .iter()
            .map(|weight| problem.add_var(weight * is_load, (0.0, f64::INFINITY)))
            .collect();
        for chosen in [&reads, &writes] {
            let all: Vec<(Variable, f64)> = chosen.iter().map(|variable| (*variable, 1.0)).collect();
            problem.add_constraint(&all[..], ComparisonOp::Eq, 1.0);
        }
        let sides = [(&self.reads, &reads, &rows.reads), (&self.writes, &writes, &rows.writes)];
        if self.objective == Metric::Load || self.limits.load.is_some() {
            for (at, load) in loads.iter().enumerate() {
                for node in 0..self.reads.work.len() {
                    let mut busy = vec![(*load, -1.0)];
                    for (operation, variables, columns) in sides {
                        let work = operation.shares[at] * operation.work[node];
                        let asked =
                            variables.iter().zip(columns).filter(|(_, column)| column.set.contains(node));
                        busy.extend(asked.map(|(variable, _)| (*variable, work)));
                    }
                    problem.add_constraint(&busy[..], ComparisonOp::Le, 0.0);
                }
            }
        }
        let total = |of: &dyn Fn(&Column) -> f64| -> Vec<(Variable, f64)> {
            let of_side =
                |(operation, variables, columns): (&Operation<'_>, &Vec<Variable>, &Vec<Column>)| {
                    variables
                        .iter()
                        .zip(columns)
                        .map(|(variable, column)| (*variable, operation.mean_share * of(column)))
                        .collect::<Vec<_>>()
                };
            sides.into_iter().flat_map(of_side).collect()
        };
        if let Some(limit) = self.limits.load {
            let sum: Vec<(Variable, f64)> =
                loads.iter().zip(&self.weights).map(|(load, weight)| (*load, *weight)).collect();
            problem.add_constraint(&sum[..], ComparisonOp::Le, relaxed(limit));
        }
        if let Some(limit) = self.limits.network {
            problem.add_constraint(&total(&size)[..], ComparisonOp::Le, relaxed(limit));
        }
        if let Some(limit) = self.limits.latency {
            problem.add_constraint(&total(&|column| column.latency)[..], ComparisonOp::Le, relaxed(limit));
        }
        let solution = solved(problem.solve())?;
        let probabilities = |variables: &[Variable], columns: &[Column]| {
            variables
                .iter()
                .zip(columns)
                .map(|(variable, column)| (solution.var_value(*variable), column.set))
                .filter(|(probability, _)| *probability > TOLERANCE)
                .collect()
        };
        let optimum = Optimum {
            reads: probabilities(&reads, &rows.reads),
            writes: probabilities(&writes, &rows.writes),
        };
        Ok((solution.objective(), optimum))
    }

    /// What asking this quorum adds to the objective by itself. The load is what nodes add to it together.
    pub(super) fn objective_of(&self, operation: &Operation<'_>, column: &Column) -> f64 {
        match self.objective {
            Metric::Load => 0.0,
            Metric::Network => operation.mean_share * size(column),
            Metric::Latency => operation.mean_share * column.latency,
        }
    }
}

pub(super) fn size(column: &Column) -> f64 {
    count(column.set)
}

/// What satisfies a limit to within rounding satisfies it.
pub(super) fn relaxed(limit: f64) -> f64 {
    limit + TOLERANCE * limit.abs().max(1.0)
}

/// The quorums that have a row.
pub(super) struct Rows {
    pub(super) reads: Vec<Column>,
    pub(super) writes: Vec<Column>,
}

pub(super) fn solved(outcome: Result<microlp::SolveOutcome, microlp::Error>) -> Result<Solution, PlanError> {
    let failed = |reason: &str| PlanError::Solver { reason: reason.to_string() };
    match outcome {
        Ok(outcome) => outcome.into_solution().map_err(|_| failed("interrupted")),
        Err(microlp::Error::Infeasible) => Err(PlanError::Infeasible),
        Err(error) => Err(failed(&error.to_string())),
    }
}
