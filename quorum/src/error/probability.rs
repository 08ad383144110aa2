//! Errors of probabilities, latencies and simulations.

use thiserror::Error;

use crate::Probability;

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
#[cfg(feature = "simulation")]
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
#[cfg(feature = "simulation")]
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
