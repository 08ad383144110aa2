//! What can go wrong, one enum per operation. All of it is the caller's to fix: this crate does no IO.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::Probability;
use thiserror::Error;

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

/// Why a number of primaries cannot be demanded of a sloppy quorum. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SloppyError {
    /// PR exceeds N, so that no read could ever finish.
    #[error("a read demands {pr} primaries but there are only {n}")]
    TooManyReadPrimaries {
        /// The primaries demanded of a read.
        pr: u32,
        /// The number of replicas.
        n: u32,
    },
    /// PW exceeds N, so that no write could ever finish.
    #[error("a write demands {pw} primaries but there are only {n}")]
    TooManyWritePrimaries {
        /// The primaries demanded of a write.
        pw: u32,
        /// The number of replicas.
        n: u32,
    },
}

/// Why a text is not a level, or a level does not fit the replicas there are. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LevelError {
    /// The text is neither the name of a level nor a number that fits in 32 bits.
    #[error("a level is ONE, QUORUM, ALL or a number")]
    NotALevel,
    /// A level of zero waits for nobody.
    #[error("a level waits for at least one replica")]
    Zero,
    /// There is no replica to wait for.
    #[error("there are no replicas to wait for")]
    NoReplicas,
    /// The level waits for more replicas than there are.
    #[error("the level waits for {count} replicas but there are only {n}")]
    TooMany {
        /// How many it waits for.
        count: u32,
        /// The number of replicas.
        n: u32,
    },
}

/// Why replicas could not be placed in regions, or a regional level not resolved there. Nothing was constructed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlacementError<K> {
    /// There is no region.
    #[error("replicas need at least one region to be in")]
    NoRegions,
    /// A region without replicas is not part of a placement.
    #[error("region {region} has no replicas")]
    EmptyRegion {
        /// Which region.
        region: K,
    },
    /// A region was named twice.
    #[error("region {region} is named twice")]
    RepeatedRegion {
        /// Which region.
        region: K,
    },
    /// The replicas of all regions do not fit in 32 bits.
    #[error("the replicas of all regions together exceed 2^32 - 1")]
    TooManyReplicas,
    /// The level names a region in which there are no replicas.
    #[error("no replica is in region {region}")]
    UnknownRegion {
        /// Which region.
        region: K,
    },
    /// The level does not fit the replicas of a region, or of all regions.
    #[error(transparent)]
    Level(#[from] LevelError),
}

/// Why times do not make distances between regions. Nothing was constructed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DistancesError {
    /// There is no region.
    #[error("distances need at least one region")]
    NoRegions,
    /// More regions than [`MAX_REGIONS`](crate::advisor::MAX_REGIONS).
    #[error("there can be at most 64 regions")]
    TooManyRegions,
    /// A region was named twice.
    #[error("region {region} is named twice")]
    RepeatedRegion {
        /// Which region.
        region: String,
    },
    /// A distance names a region that was not listed.
    #[error("there is no region {region}")]
    UnknownRegion {
        /// Which region.
        region: String,
    },
    /// The matrix is not as wide and as high as there are regions.
    #[error("a matrix for {regions} regions has {regions} rows of {regions} times each")]
    NotSquare {
        /// The number of regions.
        regions: usize,
    },
    /// A distance was given twice, or from a region to itself.
    #[error("the distance from {from} to {to} is given twice, or is none")]
    RepeatedPair {
        /// One region.
        from: String,
        /// The other.
        to: String,
    },
    /// A distance was not given.
    #[error("the distance from {from} to {to} is not given")]
    MissingPair {
        /// One region.
        from: String,
        /// The other.
        to: String,
    },
    /// A time longer than [`LONGEST`](crate::advisor::LONGEST).
    #[error("a message takes at most a day, not {given:?}")]
    TooLong {
        /// The time given.
        given: Duration,
    },
}

/// Why numbers are not requirements that advice can be given for. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequirementsError {
    /// There is no replica anywhere.
    #[error("there must be at least one replica")]
    NoReplicas,
    /// More replicas than [`MAX_REPLICAS`](crate::advisor::MAX_REPLICAS).
    #[error("advice is given for at most 128 replicas, not for {given}")]
    TooManyReplicas {
        /// How many there would be.
        given: u64,
    },
    /// There must be exactly one number for each region.
    #[error("there are {regions} regions, which need one number each")]
    NotOnePerRegion {
        /// The number of regions.
        regions: usize,
    },
    /// No region has any client.
    #[error("some region must have clients")]
    NoClients,
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

/// Why targets cannot be tuned for. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum TargetsError {
    /// The range begins at 0 replicas, which are no configuration.
    #[error("a configuration has at least one replica")]
    NoReplicas,
    /// The range has no number in it.
    #[error("no number of replicas is from {from} to {to}")]
    EmptyRange {
        /// Where the range begins.
        from: u32,
        /// Where it ends.
        to: u32,
    },
    /// The range goes beyond [`MAX_TUNED`](crate::tune::MAX_TUNED).
    #[error("at most 32 replicas are tuned for, not {given}")]
    TooManyReplicas {
        /// Where the range ends.
        given: u32,
    },
    /// A latency to stay below is negative, infinite or not a number.
    #[error("a latency to stay below is finite and not negative, {given} is not")]
    InvalidLatency {
        /// The latency given.
        given: f64,
    },
}
