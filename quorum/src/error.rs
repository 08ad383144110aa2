//! What can go wrong, one enum per operation. All of it is the caller's to fix: this crate does no IO.

#[cfg(feature = "lp")]
use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

use crate::NodeSet;

/// Why three numbers are not a quorum configuration. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// N is zero: there is nobody to ask.
    #[error("a configuration needs at least one replica, N is 0")]
    NoReplicas,
    /// R is zero: such a read asks nobody and knows nothing.
    #[error("a read must wait for at least one replica, R is 0")]
    EmptyReadQuorum,
    /// W is zero: such a write is stored nowhere when it is reported done.
    #[error("a write must wait for at least one replica, W is 0")]
    EmptyWriteQuorum,
    /// R exceeds N, so that no read could ever finish.
    #[error("a read waits for {r} replicas but there are only {n}")]
    ReadQuorumTooLarge {
        /// The read quorum asked for.
        r: u32,
        /// The number of replicas.
        n: u32,
    },
    /// W exceeds N, so that no write could ever finish.
    #[error("a write waits for {w} replicas but there are only {n}")]
    WriteQuorumTooLarge {
        /// The write quorum asked for.
        w: u32,
        /// The number of replicas.
        n: u32,
    },
}

/// Why a tally could not be opened for a configuration. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TallyError {
    /// More distinct primaries than N: the overlap that the configuration promises would not hold among them.
    #[error("{given} primaries were named for a key that has {n} replicas")]
    TooManyPrimaries {
        /// How many distinct primaries were named.
        given: usize,
        /// The number of replicas of the configuration.
        n: u32,
    },
}

/// Why an answer was not counted. The tally is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AckError<N> {
    /// The node was never asked, so its answer belongs to another request or is forged. The tally does not change.
    #[error("node {node} answered but was never asked, its answer is not counted")]
    NeverAsked {
        /// Who answered.
        node: N,
    },
}

/// Why a number is not a probability. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum ProbabilityError {
    /// Below 0, above 1, or not a number.
    #[error("a probability lies between 0 and 1, {given} does not")]
    OutOfRange {
        /// The number given.
        given: f64,
    },
}

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

/// Why numbers do not make a distribution of latencies. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// A time is negative, infinite or not a number, or became infinite when it was shifted.
    #[error("a time is finite and not negative, {given} is not")]
    InvalidTime {
        /// The time given.
        given: f64,
    },
    /// A rate is not a finite number above 0.
    #[error("a rate is finite and above 0, {given} is not")]
    InvalidRate {
        /// The rate given.
        given: f64,
    },
    /// The scale of a Pareto distribution, its smallest value, is not a finite number above 0.
    #[error("a scale is finite and above 0, {given} is not")]
    InvalidScale {
        /// The scale given.
        given: f64,
    },
    /// The shape of a Pareto distribution is not a finite number above 0.
    #[error("a shape is finite and above 0, {given} is not")]
    InvalidShape {
        /// The shape given.
        given: f64,
    },
    /// A range ends before it begins.
    #[error("a range from {from} to {to} is empty")]
    ReversedRange {
        /// Where it begins.
        from: f64,
        /// Where it ends.
        to: f64,
    },
    /// A weight is negative, infinite or not a number.
    #[error("a weight is finite and not negative, {given} is not")]
    InvalidWeight {
        /// The weight given.
        given: f64,
    },
    /// A mixture has no part, or none that has any weight.
    #[error("a mixture needs a part with a weight above 0")]
    NoWeight,
    /// There are no samples to learn from.
    #[error("an empirical distribution needs at least one sample")]
    NoSamples,
}

/// Why failure probabilities do not give an availability. Nothing was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AvailabilityError {
    /// There is not one failure probability for each of the N replicas.
    #[error("{given} failure probabilities were given for {n} replicas")]
    WrongNumber {
        /// How many were given.
        given: usize,
        /// The number of replicas of the configuration.
        n: u32,
    },
}

/// Why there is no time by which enough nodes have answered. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OrderStatisticError {
    /// No answer is waited for.
    #[error("at least one answer must be waited for")]
    NothingAwaited,
    /// More answers are waited for than nodes are asked.
    #[error("{k} answers are waited for but only {given} nodes are asked")]
    TooFewNodes {
        /// How many answers are waited for.
        k: u32,
        /// How many nodes are asked.
        given: usize,
    },
    /// There is not one distribution for each of the N replicas.
    #[error("{given} distributions were given for {n} replicas")]
    WrongNumber {
        /// How many were given.
        given: usize,
        /// The number of replicas of the configuration.
        n: u32,
    },
}
