//! Why bytes were refused.

use alloc::string::String;

/// Foreign bytes were refused. No value was produced and nothing was changed.
///
/// Each variant names what is wrong and, as far as bytes can tell, on whose side.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input is longer than [`Limits::max_bytes`](crate::Limits::max_bytes). It was not looked
    /// at.
    #[error("{found} bytes are over the receiver's limit of {limit}; nothing was decoded")]
    TooLarge {
        /// Length of the input.
        found: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The input ends before the value does.
    #[error("the bytes end before the value does: cut by the sender or on the way; nothing was decoded")]
    Truncated,
    /// The input does not start with the magic of an envelope.
    #[error("not an envelope: the bytes start with {found:02x?}; nothing was decoded")]
    WrongMagic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// The envelope has a format version this release does not read.
    #[error("format version {found}, this release reads {supported}; nothing was decoded")]
    UnsupportedVersion {
        /// The version in the envelope.
        found: u16,
        /// The version this release reads.
        supported: u16,
    },
    /// The envelope holds a value of another type.
    #[error("the envelope holds type {found:#06x}, the caller asked for {name}; nothing was decoded")]
    WrongType {
        /// The tag of the type asked for.
        expected: u16,
        /// The name of the type asked for.
        name: &'static str,
        /// The tag in the envelope.
        found: u16,
    },
    /// The value was written against another baseline: replicas have been retired that one side
    /// still counts.
    #[error("baseline {found} is not {expected}: resynchronise by snapshot; nothing was decoded")]
    WrongBaseline {
        /// The baseline in the envelope.
        found: u64,
        /// The baseline of this side.
        expected: u64,
    },
    /// The length in the envelope is not the length of what follows it.
    #[error(
        "the envelope claims {claimed} bytes, {found} follow: cut or joined on the way; nothing was decoded"
    )]
    LengthMismatch {
        /// What the envelope claims.
        claimed: u64,
        /// What follows the envelope.
        found: usize,
    },
    /// The input holds, or claims to hold, more elements than
    /// [`Limits::max_elements`](crate::Limits::max_elements).
    #[error("over the receiver's limit of {limit} elements; nothing was decoded")]
    TooManyElements {
        /// The limit in force.
        limit: usize,
    },
    /// The value nests deeper than [`Limits::max_depth`](crate::Limits::max_depth).
    #[error("nested over the receiver's limit of {limit} levels; nothing was decoded")]
    TooDeep {
        /// The limit in force.
        limit: usize,
    },
    /// Bytes follow the end of the value.
    #[error("{extra} bytes follow the end of the value: added on the way; nothing was decoded")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
    /// The bytes decode to a value, but the value has another encoding; an over-long integer, for
    /// example.
    #[error("not the canonical bytes of their value: the sender's encoder is at fault; nothing was decoded")]
    NotCanonical,
    /// The bytes are no value of the type at all.
    #[error("no value of this type, ill-made by the sender or damaged: {reason}; nothing was decoded")]
    Malformed {
        /// What was wrong, in the words of the type's own decoder.
        reason: String,
    },
}

/// A value could not be encoded. No bytes were produced; the value is as it was.
///
/// No type of this crate fails to encode by itself: the cause is the
/// [`Serialize`](serde::Serialize) of an element or value type of the user, such as a path that is
/// not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value's own Serialize failed ({reason}); no bytes were produced")]
pub struct EncodeError {
    /// What was wrong, in the words of the type's own encoder.
    pub reason: String,
}
