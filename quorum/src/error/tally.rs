//! Errors of tallies.

use thiserror::Error;

use crate::Vote;

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
