//! Why a leader's commits refused something. Whatever is refused has changed nothing.

use crate::{Epoch, Lsn};

/// Why a follower was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// It is known. Remove it first: what is known of it may be of another machine.
    #[error("a follower of that name is known already")]
    Known,
    /// There are [`MAX_FOLLOWERS`](crate::limits::MAX_FOLLOWERS) of them.
    #[error("{limit} followers are known already, as many as there may be")]
    TooMany {
        /// The bound.
        limit: usize,
    },
}

/// Why nothing was noted about a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowerError {
    /// Nobody of that name was added.
    #[error("no follower of that name is known")]
    Unknown,
    /// It is gone: what still arrives is of a connection before, and says nothing about what it will have
    /// when it comes back.
    #[error("the follower is not connected")]
    NotConnected,
}

/// Why a commit was refused before anything was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// The policy cannot be met by who is there.
    #[error(
        "{needed} followers have to acknowledge, {live} are connected and have caught up; nothing was appended"
    )]
    NotEnoughFollowers {
        /// How many acknowledgements are needed.
        needed: u32,
        /// How many of those who count are connected and have caught up.
        live: u32,
    },
    /// [`MAX_WAITING_COMMITS`](crate::limits::MAX_WAITING_COMMITS) wait, or wait to be asked for.
    #[error("{limit} commits wait already, as many as may; nothing was appended")]
    TooManyWaiting {
        /// The bound.
        limit: usize,
    },
    /// This node does not lead.
    #[error("no reign has begun here; nothing was appended")]
    NoReign,
}

/// Why a commit does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// [`MAX_WAITING_COMMITS`](crate::limits::MAX_WAITING_COMMITS) wait, or wait to be asked for.
    #[error(
        "{limit} commits wait already, as many as may; the fate of this one can be asked for by its number"
    )]
    TooManyWaiting {
        /// The bound.
        limit: usize,
    },
    /// This node does not lead.
    #[error("no reign has begun here, so nothing is committed by waiting")]
    NoReign,
}

/// Why a reign does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReignError {
    /// Its epoch is not above all before it.
    #[error("a reign of epoch {got} cannot follow one of epoch {have}")]
    NotNewer {
        /// The epoch of the newest reign.
        have: Epoch,
        /// The epoch asked for.
        got: Epoch,
    },
    /// Its first record would take the place of one that is committed.
    #[error("a reign cannot begin with record {first}: everything up to {committed} is committed")]
    BelowCommitted {
        /// The first record asked for.
        first: Lsn,
        /// The last record that is committed.
        committed: Lsn,
    },
}
