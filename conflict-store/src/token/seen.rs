//! What is inside a token.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crdt_core::codec::{DecodeError, decode_payload, encode_payload};
use crdt_core::{CausalContext, Limits};
use serde::{Deserialize, Serialize};

use super::error::OpenTokenError;
use crate::limits::MAX_TOKEN_BYTES;
use crate::revision::VersionId;

/// What a client had seen when it read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Of [`Siblings`](crate::Siblings): their context, or the live part of it.
    Context(CausalContext),
    /// Of a [`Document`](crate::Document): the versions its reading rests on, as in
    /// [`Reading::seen`](crate::Reading::seen). A set; in which order they are given makes no difference.
    Versions(Vec<VersionId>),
}

impl Seen {
    /// What a write to [`Siblings`](crate::Siblings) takes.
    pub fn into_context(self) -> Result<CausalContext, OpenTokenError> {
        match self {
            Self::Context(context) => Ok(context),
            Self::Versions(_) => {
                Err(OpenTokenError::WrongKind { expected: "a causal context", found: "version ids" })
            }
        }
    }

    /// What a write to a [`Document`](crate::Document) takes, ascending.
    pub fn into_versions(self) -> Result<Vec<VersionId>, OpenTokenError> {
        match self {
            Self::Versions(versions) => Ok(versions),
            Self::Context(_) => {
                Err(OpenTokenError::WrongKind { expected: "version ids", found: "a causal context" })
            }
        }
    }

    /// The canonical bytes, without any protection. O(size).
    pub fn encode(&self) -> Vec<u8> {
        encode_payload(&match self {
            Self::Context(context) => Wire::Context(Cow::Borrowed(context)),
            Self::Versions(versions) => {
                let mut versions = versions.clone();
                versions.sort_unstable();
                versions.dedup();
                Wire::Versions(versions)
            }
        })
    }

    /// What has exactly these canonical bytes, which are at most [`MAX_TOKEN_BYTES`]. O(size).
    ///
    /// Bytes from clients are opened by [`Tokens::open`](crate::Tokens::open), which lets only those
    /// through that were sealed here.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let limits = Limits { max_bytes: MAX_TOKEN_BYTES, max_elements: MAX_TOKEN_BYTES, ..Limits::DEFAULT };
        match decode_payload(bytes, &limits)? {
            Wire::Context(context) => Ok(Self::Context(context.into_owned())),
            Wire::Versions(versions) if versions.is_sorted_by(|a, b| a < b) => Ok(Self::Versions(versions)),
            Wire::Versions(_) => Err(DecodeError::NotCanonical),
        }
    }
}

#[derive(Serialize, Deserialize)]
enum Wire<'a> {
    Context(Cow<'a, CausalContext>),
    /// Strictly ascending.
    Versions(Vec<VersionId>),
}
