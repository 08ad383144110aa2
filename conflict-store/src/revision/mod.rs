//! Documents as trees of versions.
//!
//! `id` and `version` say what a version is and how its name follows from its content; `tree` holds
//! all versions of one document; `merge` makes it a CRDT; `descent` walks from leaves towards the
//! first version, for history, common ancestors and stemming; `wire` has the bytes.

mod descent;
mod error;
mod id;
mod merge;
mod tree;
mod version;
mod wire;

#[cfg(test)]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;

pub use error::{DecodeTreeError, InsertError, PutError};
pub use id::{DIGEST_BYTES, ParseVersionIdError, VersionId};
pub use tree::{Document, RevisionTree, Written};
pub use version::Version;

pub(crate) use descent::common_ancestor;
