//! Errors of configurations, levels and targets.

use alloc::string::String;
use core::time::Duration;

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
