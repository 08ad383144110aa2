//! The dual of the program: prices.

use alloc::vec;
use alloc::vec::Vec;

use microlp::{ComparisonOp, OptimizationDirection, Problem, Solution, Variable};

use super::Metric;
use super::columns::Column;
use super::program::{Operation, Program, Rows, relaxed, size, solved};
use crate::PlanError;

/// What the dual is asked for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// By how much the limits must be exceeded, relative to each.
    Feasible,
    /// The smallest value of the objective.
    Optimal,
}

/// The dual: prices, chosen such that operations cost as much as can be claimed.
pub(super) struct Dual<'a> {
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
pub(super) struct Prices {
    pub(super) reads: f64,
    pub(super) writes: f64,
    busy: Vec<Vec<f64>>,
    network: f64,
    pub(super) latency: f64,
}

impl<'a> Dual<'a> {
    pub(super) fn new(program: &'a Program<'a>, goal: Goal) -> Self {
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

    pub(super) fn begin(&self, rows: &Rows) -> Result<Solution, PlanError> {
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

    pub(super) fn with_row(
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

    pub(super) fn prices(&self, solution: &Solution) -> Prices {
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
}

impl Prices {
    /// What one operation pays for asking each node.
    pub(super) fn of_nodes(&self, operation: &Operation<'_>) -> Vec<f64> {
        let message = operation.mean_share * self.network;
        let busy = |node: usize| -> f64 {
            let at = self.busy.iter().zip(&operation.shares);
            at.map(|(prices, share)| share * prices.get(node).copied().unwrap_or(0.0)).sum()
        };
        operation.work.iter().enumerate().map(|(node, work)| work * busy(node) + message).collect()
    }
}
