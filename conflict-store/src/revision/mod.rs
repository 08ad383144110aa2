//! Documents as trees of versions.
//!
//! `id` and `version` say what a version is and how its name follows from its content; `tree` holds
//! all versions of one document; `merge` makes it a CRDT; `branch` takes in what was written
//! elsewhere and `place` says where it came to lie; `descent` walks from leaves towards the first
//! version, for history, common ancestors and stemming; `view` is what is shown; `wire` has the
//! bytes.

mod branch;
mod content;
mod descent;
mod digest;
mod error;
mod held;
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
pub use content::{Attribution, Content};
pub use digest::{DIGEST_BYTES, Digest};
pub use error::{DecodeTreeError, InsertError, PutError};
pub use id::{ParseVersionIdError, VersionId};
pub use merge::KnownVersions;
pub use place::{Inserted, Merged, Place};
pub use tree::{Document, RevisionTree, Written};
pub use version::Version;
pub use view::DocumentView;

pub(crate) use descent::common_ancestor;
