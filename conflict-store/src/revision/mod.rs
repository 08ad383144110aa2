//! Documents as trees of versions.
//!
//! `id` and `version` say what a version is and how its name follows from its content; `tree` holds
//! all versions of one document; `merge` makes it a CRDT; `branch` takes in what was written
//! elsewhere and `place` says where it came to lie; `descent` walks from leaves towards the first
//! version, for history, common ancestors and stemming; `view` is what is shown; `wire` has the
//! bytes.

mod branch;
mod descent;
mod error;
mod id;
mod merge;
mod place;
mod tree;
mod version;
mod view;
mod wire;

#[cfg(test)]
mod costs;
#[cfg(test)]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;

pub use branch::Claim;
pub use error::{DecodeTreeError, InsertError, PutError};
pub use id::{DIGEST_BYTES, ParseVersionIdError, VersionId};
pub use merge::KnownVersions;
pub use place::{Inserted, Merged, Place};
pub use tree::{Document, RevisionTree, Written};
pub use version::{Content, Version};
pub use view::DocumentView;

pub(crate) use descent::common_ancestor;
