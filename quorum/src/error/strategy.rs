//! Errors of strategies and the search for systems.

#[cfg(feature = "lp")]
use alloc::string::String;

use thiserror::Error;

use crate::NodeSet;

/// Why numbers do not describe a node. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// A capacity is not a positive number.
    #[error("the capacity of a node must be a positive number, not {given}")]
    Capacity {
        /// The capacity given.
        given: f64,
    },
    /// A latency is negative, infinite or not a number.
    #[error("the latency of a node must be zero or a positive number, not {given}")]
    Latency {
        /// The latency given.
        given: f64,
    },
}

/// Why shares do not say how often operations read. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum FractionError {
    /// There is no share with a positive weight.
    #[error("no share of reads has a positive weight")]
    Empty,
    /// A weight, or the sum of all, is negative, infinite or not a number.
    #[error("the weight of a share of reads must be zero or a positive number, not {given}")]
    Weight {
        /// The weight given.
        given: f64,
    },
}

/// Why weights do not make a strategy. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum StrategyError {
    /// There is no read quorum, or no write quorum, with a positive weight.
    #[error("a strategy needs a read quorum and a write quorum with a positive weight")]
    Empty,
    /// A weight, or the sum of all, is negative, infinite or not a number.
    #[error("the weight of a quorum must be zero or a positive number, not {given}")]
    Weight {
        /// The weight given.
        given: f64,
    },
    /// A set was given that is no quorum of the system.
    #[error("the set {set:?} of places in the list of nodes is not a quorum")]
    NotAQuorum {
        /// The set given.
        set: NodeSet,
    },
}

/// Why there is no best strategy. Nothing was constructed; the plan is as it was.
#[cfg(feature = "lp")]
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A node was named that the system does not know.
    #[error("the quorum system does not know this node")]
    UnknownNode,
    /// A limit is negative, infinite or not a number.
    #[error("a limit must be zero or a positive number, not {given}")]
    Limit {
        /// The limit given.
        given: f64,
    },
    /// What is to be minimised was limited, too.
    #[error("what is minimised cannot be limited at the same time")]
    LimitOfObjective,
    /// Without the nodes to avoid, or after so many failures, nothing is a quorum.
    #[error("no set of the nodes that may be asked is a quorum after so many failures")]
    NoQuorum,
    /// There are quorums, but no strategy keeps within all limits.
    #[error("no strategy keeps within all limits")]
    Infeasible,
    /// Too many quorums would have to be looked at: nodes stand in several places, or have several votes.
    #[error("finding the best strategy of this system would take too long")]
    TooComplex,
    /// The solver of linear programs failed.
    #[error("the solver failed: {reason}")]
    Solver {
        /// What it says.
        reason: String,
    },
}

/// Why the search found no system. Nothing was constructed; the search is as it was.
#[cfg(feature = "lp")]
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SearchError {
    /// There are no nodes to build a system of.
    #[error("a search needs at least one node")]
    NoNodes,
    /// A node was given twice.
    #[error("a node was given twice")]
    NodeTwice,
    /// More nodes than a [`NodeSet`] can hold.
    #[error("a quorum system has at most 128 nodes")]
    TooManyNodes,
    /// None of the systems that were looked at does what is wanted.
    #[error("none of {examined} systems does what is wanted")]
    NothingFound {
        /// How many were looked at.
        examined: u64,
    },
    /// The best strategy of a system could not be found.
    #[error(transparent)]
    Plan(#[from] PlanError),
}
