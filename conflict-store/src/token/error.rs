//! Why a token was not made or not believed.

use crdt_core::codec::DecodeError;

/// No token was made of this. Nothing was changed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealTokenError {
    /// What was seen is too long to be carried around. Of siblings, seal
    /// [`live`](crate::Siblings::live) instead of the context.
    #[error("the token would have {found} bytes, over the limit of {limit}; none was made")]
    TooLarge {
        /// How long it would be.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

/// A token was refused, and with it the write that came along. Nothing was changed; the client reads
/// again and writes with the token of what it read.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenTokenError {
    /// No token is that long. The client is at fault; the token was not looked at.
    #[error("a token of {found} bytes is over the limit of {limit}; it was not opened, read again")]
    TooLarge {
        /// How long it is.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// No token is that short: the client, or what carried it, has cut it.
    #[error("a token of {found} bytes is cut off; it was not opened, read again")]
    Truncated {
        /// How long it is.
        found: usize,
    },
    /// The token was made by a release with another format.
    #[error("token format version {found}, this release reads {supported}; it was not opened, read again")]
    UnsupportedVersion {
        /// The version in the token.
        found: u8,
        /// The version this release reads.
        supported: u8,
    },
    /// The token is not one that was sealed under these keys: it was changed or cut on the way, made
    /// up, sealed by another cluster, or under a key that has been rotated out.
    #[error("the token was not sealed here, or was changed since; it was not opened, read again")]
    NotAuthentic,
    /// The token is genuine, and belongs to another key, collection or cluster. The client mixed them
    /// up.
    #[error("the token was handed out for another key, collection or cluster; it was not opened, read again")]
    Elsewhere,
    /// The token is genuine, and what it says is not what the caller takes: of siblings one of
    /// documents, or the other way round.
    #[error("the token holds {found}, the caller takes {expected}; it was not used, read again")]
    WrongKind {
        /// What the caller takes.
        expected: &'static str,
        /// What is in the token.
        found: &'static str,
    },
    /// The token is genuine and makes no sense. Whoever sealed it is at fault.
    #[error("the token is genuine, but what it holds is malformed: {0}")]
    Malformed(#[from] DecodeError),
}

/// A text is not the text of a [`Token`](crate::Token). The client, or whoever sent the text, is at fault; nothing
/// was changed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTokenError {
    /// No token is that long. The text was not looked at.
    #[error("a token of {found} characters is over the limit of {limit}; it was not read")]
    TooLong {
        /// How long the text is.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Something else than an even number of lower-case hex digits.
    #[error("a token is an even number of lower-case hex digits; it was not read")]
    NotHex,
}
