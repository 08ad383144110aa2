//! Why a token was not believed, or not made.

use crdt_core::codec::DecodeError;
use thiserror::Error;

/// A token was refused, and with it the request that came along: nothing was written or read. A client that cannot
/// mend its token begins a new session, whose token is empty.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// No token is that long here. The client is at fault, or another node has a larger limit; the token was not
    /// looked at.
    #[error("a session token of {found} bytes is over the limit of {limit}; nothing was done")]
    TooLong {
        /// How long it is.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// No token is that short: the client, or what carried it, has cut it.
    #[error("a session token of {found} bytes is cut off; nothing was done")]
    Truncated {
        /// How long it is.
        found: usize,
    },
    /// The token was made by a release with another format.
    #[error("session token version {found}, this release reads {supported}; nothing was done")]
    OtherVersion {
        /// The version in the token.
        found: u8,
        /// The version this release reads.
        supported: u8,
    },
    /// The token was made in another cluster. The client mixed them up.
    #[error("the session token belongs to another cluster; nothing was done")]
    OtherCluster,
    /// The token is not one that this cluster made: it was changed or cut on the way, or made up.
    #[error("the session token was not made here, or was changed since; nothing was done")]
    NotAuthentic,
    /// The token is genuine and makes no sense. The node that made it is at fault.
    #[error("the session token is genuine, but what it holds is malformed: {0}; nothing was done")]
    Malformed(#[from] DecodeError),
    /// The token speaks of another topology than the one that this node, or the other token, belongs to.
    #[error("the session token is of another topology; nothing was done")]
    OtherTopology,
    /// The session depends on more origins than a token may name. The client begins a new one.
    #[error("the session token would have {found} bytes, over the limit of {limit}; nothing was done")]
    Overflow {
        /// How long it would be.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A request in a session that holds a request in a session, or one for an administrator.
    #[error("a request in a session can only read or write; nothing was done")]
    Nested,
}
