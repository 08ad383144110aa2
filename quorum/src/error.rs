//! What can go wrong, one enum per operation. All of it is the caller's to fix: this crate does no IO.

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
