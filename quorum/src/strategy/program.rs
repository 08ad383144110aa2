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

use super::columns::{Column, Columns};
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
                let nodes = dual.node_prices(operation, &prices);
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
    fn objective_of(&self, operation: &Operation<'_>, column: &Column) -> f64 {
        match self.objective {
            Metric::Load => 0.0,
            Metric::Network => operation.mean_share * size(column),
            Metric::Latency => operation.mean_share * column.latency,
        }
    }
}

fn size(column: &Column) -> f64 {
    column.set.len() as f64
}

/// What satisfies a limit to within rounding satisfies it.
fn relaxed(limit: f64) -> f64 {
    limit + TOLERANCE * limit.abs().max(1.0)
}

/// The quorums that have a row.
struct Rows {
    reads: Vec<Column>,
    writes: Vec<Column>,
}

/// What the dual is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Goal {
    /// By how much the limits must be exceeded, relative to each.
    Feasible,
    /// The smallest value of the objective.
    Optimal,
}

/// The dual: prices, chosen such that operations cost as much as can be claimed.
struct Dual<'a> {
    program: &'a Program<'a>,
    goal: Goal,
    problem: Problem,
    /// What a read and a write cost together is the objective.
    reads: Variable,
    writes: Variable,
    /// For each read fraction, the price of keeping each node busy.
    busy: Vec<Vec<Variable>>,
    network: Option<Variable>,
    latency: Option<Variable>,
}

/// What a solution of the dual says.
struct Prices {
    reads: f64,
    writes: f64,
    busy: Vec<Vec<f64>>,
    network: f64,
    latency: f64,
}

impl<'a> Dual<'a> {
    fn new(program: &'a Program<'a>, goal: Goal) -> Self {
        let mut problem = Problem::new(OptimizationDirection::Maximize);
        let anything = (f64::NEG_INFINITY, f64::INFINITY);
        let positive = (0.0, f64::INFINITY);
        let reads = problem.add_var(1.0, anything);
        let writes = problem.add_var(1.0, anything);
        let mut limit = |limit: Option<f64>| {
            limit.map(|limit| {
                let limit = if goal == Goal::Optimal { relaxed(limit) } else { limit };
                (problem.add_var(-limit, positive), limit)
            })
        };
        let load = limit(program.limits.load);
        let network = limit(program.limits.network);
        let latency = limit(program.limits.latency);
        let is_objective = goal == Goal::Optimal && program.objective == Metric::Load;
        let mut busy = Vec::new();
        if is_objective || load.is_some() {
            for weight in &program.weights {
                let prices: Vec<Variable> =
                    program.reads.work.iter().map(|_| problem.add_var(0.0, positive)).collect();
                let mut sum: Vec<(Variable, f64)> = prices.iter().map(|price| (*price, 1.0)).collect();
                if let Some((price, _)) = load {
                    sum.push((price, -weight));
                }
                problem.add_constraint(&sum[..], ComparisonOp::Le, if is_objective { *weight } else { 0.0 });
                busy.push(prices);
            }
        }
        if goal == Goal::Feasible {
            let limits = [load, network, latency];
            let prices: Vec<(Variable, f64)> =
                limits.into_iter().flatten().map(|(price, limit)| (price, limit + 1.0)).collect();
            problem.add_constraint(&prices[..], ComparisonOp::Le, 1.0);
        }
        let [network, latency] = [network, latency].map(|limited| limited.map(|(price, _)| price));
        Self { program, goal, problem, reads, writes, busy, network, latency }
    }

    fn begin(&self, rows: &Rows) -> Result<Solution, PlanError> {
        let mut problem = self.problem.clone();
        for (operation, columns) in [(&self.program.reads, &rows.reads), (&self.program.writes, &rows.writes)]
        {
            for column in columns {
                let (row, bound) = self.row(operation, column);
                problem.add_constraint(&row[..], ComparisonOp::Le, bound);
            }
        }
        solved(problem.solve())
    }

    fn with_row(
        &self,
        solution: Solution,
        operation: &Operation<'_>,
        column: &Column,
    ) -> Result<Solution, PlanError> {
        let (row, bound) = self.row(operation, column);
        solved(solution.add_constraint(&row[..], ComparisonOp::Le, bound))
    }

    /// No more may be claimed for an operation than this quorum costs.
    fn row(&self, operation: &Operation<'_>, column: &Column) -> (Vec<(Variable, f64)>, f64) {
        let is_read = core::ptr::eq(operation, &raw const self.program.reads);
        let mut row = vec![(if is_read { self.reads } else { self.writes }, 1.0)];
        for (prices, share) in self.busy.iter().zip(&operation.shares) {
            let nodes =
                column.set.iter().filter_map(|node| Some((prices.get(node)?, operation.work.get(node)?)));
            row.extend(nodes.map(|(price, work)| (*price, -share * work)));
        }
        if let Some(price) = self.network {
            row.push((price, -operation.mean_share * size(column)));
        }
        if let Some(price) = self.latency {
            row.push((price, -operation.mean_share * column.latency));
        }
        let bound = match self.goal {
            Goal::Feasible => 0.0,
            Goal::Optimal => self.program.objective_of(operation, column),
        };
        (row, bound)
    }

    fn prices(&self, solution: &Solution) -> Prices {
        let price = |variable: &Variable| solution.var_value(*variable).max(0.0);
        let is_objective =
            |metric| f64::from(u8::from(self.goal == Goal::Optimal && self.program.objective == metric));
        Prices {
            reads: solution.var_value(self.reads),
            writes: solution.var_value(self.writes),
            busy: self.busy.iter().map(|prices| prices.iter().map(price).collect()).collect(),
            network: self.network.as_ref().map_or(0.0, price) + is_objective(Metric::Network),
            latency: self.latency.as_ref().map_or(0.0, price) + is_objective(Metric::Latency),
        }
    }

    /// What one operation pays for asking each node.
    fn node_prices(&self, operation: &Operation<'_>, prices: &Prices) -> Vec<f64> {
        let message = operation.mean_share * prices.network;
        let busy = |node: usize| -> f64 {
            let at = prices.busy.iter().zip(&operation.shares);
            at.map(|(prices, share)| share * prices.get(node).copied().unwrap_or(0.0)).sum()
        };
        operation.work.iter().enumerate().map(|(node, work)| work * busy(node) + message).collect()
    }
}

fn solved(outcome: Result<microlp::SolveOutcome, microlp::Error>) -> Result<Solution, PlanError> {
    let failed = |reason: &str| PlanError::Solver { reason: reason.to_string() };
    match outcome {
        Ok(outcome) => outcome.into_solution().map_err(|_| failed("interrupted")),
        Err(microlp::Error::Infeasible) => Err(PlanError::Infeasible),
        Err(error) => Err(failed(&error.to_string())),
    }
}
