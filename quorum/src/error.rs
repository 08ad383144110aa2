//! What can go wrong, one enum per operation. All of it is the caller's to fix: this crate does no IO.

use alloc::vec::Vec;

use thiserror::Error;

use crate::Vote;

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

/// Why a vote was not counted. The tally is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VoteError<N> {
    /// The node has no vote here: it answers another question, is no member, or is forged.
    #[error("node {node} has no vote here, what it says is not counted")]
    NoVoter {
        /// Who voted.
        node: N,
    },
    /// The node voted otherwise before, and the first vote stands. A voter that keeps its promises does not do this:
    /// its vote was not durable before it was sent, or two nodes use one name.
    #[error("node {node} {first} before and now says the opposite, its first vote stands")]
    Changed {
        /// Who voted.
        node: N,
        /// What it said first.
        first: Vote,
    },
}

/// Why an acknowledged position was not counted. The tally is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommitError<N> {
    /// The node is no member, so that what it holds commits nothing.
    #[error("node {node} is no member, what it holds is not counted")]
    NoMember {
        /// Who acknowledged.
        node: N,
    },
}

/// Why members with these votes do not make a tally. Nothing was constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VotesError<N> {
    /// A node is named twice, and it is not said which of its votes count.
    #[error("node {node} is named twice")]
    NamedTwice {
        /// Who it is.
        node: N,
    },
    /// A node has no votes, so that nothing depends on it.
    #[error("node {node} has no votes")]
    NoVotes {
        /// Who it is.
        node: N,
    },
    /// All votes together do not fit in 64 bits.
    #[error("the votes of all members together exceed 2^64 - 1")]
    TooManyVotes,
    /// No votes are needed, so that everything would be committed.
    #[error("at least one vote must be needed")]
    NeedsNothing,
    /// More votes are needed than there are, so that nothing would ever be committed.
    #[error("{need} votes are needed but all members together have {total}")]
    NeedsTooMuch {
        /// The votes needed.
        need: u64,
        /// The votes there are.
        total: u64,
    },
}
