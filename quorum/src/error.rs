//! What can go wrong, one enum per operation. All of it is the caller's to fix: this crate does no IO.

use alloc::vec::Vec;

use thiserror::Error;

use crate::Probability;

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

/// Why rates say nothing about monotonic reads. Nothing was computed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum RateError {
    /// The rate of writes is negative, infinite or not a number.
    #[error("a rate of writes is finite and not negative, {given} is not")]
    InvalidWriteRate {
        /// The rate given.
        given: f64,
    },
    /// The rate of reads is not a finite number above 0: a client that never reads has no order of reads.
    #[error("a rate of reads is finite and above 0, {given} is not")]
    InvalidReadRate {
        /// The rate given.
        given: f64,
    },
}

/// Why counts do not make an estimate. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EstimateError {
    /// There were no trials, which say nothing.
    #[error("an estimate needs at least one trial")]
    NoTrials,
    /// More successes than trials: one of the two was counted wrongly.
    #[error("{successes} successes in {trials} trials are too many")]
    TooManySuccesses {
        /// The successes counted.
        successes: u32,
        /// The trials counted.
        trials: u32,
    },
}

/// Why a probability is no level of confidence. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfidenceError {
    /// No trust at all leaves no interval, and complete trust leaves everything from 0 to 1.
    #[error("a level of confidence lies strictly between 0 and 1, {given} does not")]
    InvalidLevel {
        /// The level given.
        given: Probability,
    },
}

/// Why a configuration and delays do not make a model to simulate. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WarsError {
    /// N is above [`Wars::MAX_REPLICAS`](crate::Wars::MAX_REPLICAS).
    #[error("a simulation has at most {} replicas, not {n}", crate::Wars::MAX_REPLICAS)]
    TooManyReplicas {
        /// The number of replicas of the configuration.
        n: u32,
    },
    /// Delays were given for each replica, but not as many as there are replicas.
    #[error("delays of {given} replicas were given for {n}")]
    WrongNumberOfDelays {
        /// How many replicas have delays.
        given: usize,
        /// The number of replicas of the configuration.
        n: u32,
    },
}

/// Why a simulation did not run. Nothing was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// No trials, which would say nothing.
    #[error("a simulation needs at least one trial")]
    NoTrials,
    /// More trials than [`Wars::MAX_TRIALS`](crate::Wars::MAX_TRIALS), whose results would take too much memory.
    #[error("a simulation runs at most {} trials, not {given}", crate::Wars::MAX_TRIALS)]
    TooManyTrials {
        /// How many were asked for.
        given: u32,
    },
}
