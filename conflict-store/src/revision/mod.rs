//! Documents as trees of versions.
//!
//! - [`id`]: the name of a version.
//! - [`version`]: one version, and how its name follows from its content.
//! - [`tree`]: all versions of one document; writing, replicating, reading.
//! - [`merge`]: the tree as a CRDT.
//! - [`descent`]: walking from leaves towards the first version: history, common ancestors, stemming.
//! - [`wire`]: the bytes.

mod descent;
mod error;
mod id;
mod merge;
mod tree;
mod version;
mod wire;

pub use error::{DecodeTreeError, InsertError, PutError};
pub use id::{DIGEST_BYTES, ParseVersionIdError, VersionId};
pub use tree::{Document, RevisionTree, Written};
pub use version::Version;

pub(crate) use descent::common_ancestor;
