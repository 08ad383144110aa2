//! Errors of expressions and quorum systems.

use alloc::vec::Vec;

use thiserror::Error;

use crate::ProbabilityError;

/// Why parts do not make an expression. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExprError {
    /// There are no parts to choose from.
    #[error("an expression needs at least one part")]
    NoParts,
    /// A part has no votes, so that nothing depends on it.
    #[error("a part has no votes")]
    NoVotes,
    /// The votes of all parts do not fit in 64 bits.
    #[error("the votes of all parts together exceed 2^64 - 1")]
    TooManyVotes,
    /// Nothing is needed, so that nobody would be a quorum.
    #[error("a quorum must need at least one part")]
    NeedsNothing,
    /// More is needed than there is, so that nothing could be a quorum.
    #[error("a quorum needs {need} votes but all parts together have {total}")]
    NeedsTooMuch {
        /// The votes needed.
        need: u64,
        /// The votes there are.
        total: u64,
    },
}

/// Why a text is not an expression. Positions count bytes from the beginning of the text. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseExprError {
    /// The text ends where something is missing.
    #[error("the text ends where {expected} is missing")]
    End {
        /// What should have come.
        expected: &'static str,
    },
    /// Something else stands where a part of an expression should.
    #[error("`{found}` at {at} where {expected} should be")]
    Unexpected {
        /// Where it stands.
        at: usize,
        /// What stands there.
        found: char,
        /// What should have come.
        expected: &'static str,
    },
    /// The number is no `u64`.
    #[error("the number at {at} is larger than 2^64 - 1")]
    NumberTooLarge {
        /// Where it begins.
        at: usize,
    },
    /// There is no such function. `choose`, `majority`, `weighted`, `any` and `all` are known.
    #[error("no function has the name that stands at {at}")]
    UnknownFunction {
        /// Where its name begins.
        at: usize,
    },
    /// Brackets in brackets, deeper than is allowed.
    #[error("brackets are nested deeper than {limit} at {at}")]
    TooDeep {
        /// Where the bracket stands that is one too many.
        at: usize,
        /// How deep they may be nested.
        limit: usize,
    },
    /// The parts of a function do not make an expression.
    #[error("at {at}: {error}")]
    Expr {
        /// Where the function begins.
        at: usize,
        /// What is wrong with its parts.
        error: ExprError,
    },
}

/// Why expressions do not make a quorum system. Nothing was constructed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SystemError<N> {
    /// More nodes than a [`NodeSet`](crate::NodeSet) can hold.
    #[error("a quorum system has at most 128 nodes, these expressions name {given}")]
    TooManyNodes {
        /// How many different nodes were named.
        given: usize,
    },
    /// A read quorum and a write quorum have no node in common: such a read misses such a write.
    #[error("a read quorum and a write quorum have no node in common")]
    Disjoint {
        /// The nodes of the read quorum.
        read: Vec<N>,
        /// The nodes of the write quorum.
        write: Vec<N>,
    },
    /// Whether every read meets every write was not settled in so many steps. The expressions may be sound; writing
    /// them with every node in as few places as possible makes the question easier.
    #[error("whether every read meets every write is not settled after {steps} steps")]
    TooComplex {
        /// The steps that were made.
        steps: usize,
    },
}

/// Why nodes do not make a quorum system of the shape asked for. Nothing was constructed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShapeError<N> {
    /// A node stands twice where each must be another one.
    #[error("a node was named twice")]
    Duplicate {
        /// The node.
        node: N,
    },
    /// The configuration is one of another number of replicas.
    #[error("the configuration is one of {n} replicas, {given} nodes were named")]
    WrongNumber {
        /// The number of replicas of the configuration.
        n: u32,
        /// How many nodes were named.
        given: usize,
    },
    /// In a tree every node has two children or none, so the number of nodes is odd.
    #[error("a tree in which every node has two children or none has an odd number of nodes, not {given}")]
    HalfAPair {
        /// How many nodes were named.
        given: usize,
    },
    /// The parts do not make an expression: there are none, or the votes do not fit.
    #[error("{0}")]
    Expr(ExprError),
    /// The expressions do not make a quorum system.
    #[error("{0}")]
    System(SystemError<N>),
}

impl<N> From<ExprError> for ShapeError<N> {
    fn from(error: ExprError) -> Self {
        Self::Expr(error)
    }
}

impl<N> From<SystemError<N>> for ShapeError<N> {
    fn from(error: SystemError<N>) -> Self {
        Self::System(error)
    }
}

/// An exact answer would take more steps than are allowed. Nothing was changed; the expression has nodes in many
/// places, or very unequal votes, and asking again gives the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too complex for an exact answer: given up after {steps} steps")]
pub struct TooComplex {
    /// The steps that were made.
    pub steps: usize,
}

/// Why the smallest quorums were not listed. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MinimalError {
    /// There are more than the caller wants to hear of.
    #[error("there are more than {limit} minimal quorums")]
    TooMany {
        /// The limit that was given.
        limit: usize,
    },
    /// So many sets were looked at, most of them not minimal or not new.
    #[error(transparent)]
    TooComplex(#[from] TooComplex),
}

/// Why the availability of a quorum system was not computed. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SystemAvailabilityError {
    /// There must be one probability per node.
    #[error("{given} probabilities were given for {nodes} nodes")]
    WrongNumber {
        /// How many probabilities were given.
        given: usize,
        /// How many nodes the system has.
        nodes: usize,
    },
    /// The expression is too complex for an exact answer.
    #[error(transparent)]
    TooComplex(#[from] TooComplex),
}

/// Why the latency of a quorum system was not computed. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum SystemLatencyError {
    /// There must be one latency per node.
    #[error("{given} latencies were given for {nodes} nodes")]
    WrongNumber {
        /// How many latencies were given.
        given: usize,
        /// How many nodes the system has.
        nodes: usize,
    },
    /// Below zero, or not a number. Infinity is a latency: that of a node that never answers.
    #[error("a latency is not negative, {given} of the node at place {place} is no latency")]
    NotALatency {
        /// The place of the node in the system's list.
        place: usize,
        /// The number given.
        given: f64,
    },
    /// What was given as the chance that a node has answered is no probability.
    #[error("the node at place {place}: {error}")]
    NotAProbability {
        /// The place of the node in the system's list.
        place: usize,
        /// What is wrong with the number.
        error: ProbabilityError,
    },
    /// The expression is too complex for an exact answer.
    #[error(transparent)]
    TooComplex(#[from] TooComplex),
}
