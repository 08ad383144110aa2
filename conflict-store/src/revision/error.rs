//! Why a write or a foreign version was refused.

use alloc::vec::Vec;

use crdt_core::codec::DecodeError;

use super::id::VersionId;

/// A write was refused. The tree is as it was.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum PutError {
    /// The write names a version that is not a leaf, or names none although the document exists.
    /// Someone else wrote in between: read again, and write on what is there now.
    #[error(
        "the write is not on top of a current version; the current ones are {leaves:?}; nothing was written"
    )]
    Conflict {
        /// The current leaves, ascending: first versions to write on.
        leaves: Vec<VersionId>,
    },
    /// The document does not exist or is deleted already; the caller asked to delete it.
    #[error("there is no live version to delete; nothing was written")]
    NothingToDelete,
    /// The write supersedes more versions at once than [`MAX_PARENTS`](crate::limits::MAX_PARENTS).
    /// Close the conflict in several steps.
    #[error("{given} versions to supersede exceed the limit of {limit}; nothing was written")]
    TooManyParents {
        /// How many versions the write named.
        given: usize,
        /// The limit.
        limit: usize,
    },
}

/// A replicated version or branch was refused. Whoever sent it is at fault, or what carried it. The tree is
/// as it was.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// The version came with an id that is not the digest of its content.
    #[error(
        "the id {claimed:?} was claimed for content whose id is {actual:?}; the version was not inserted"
    )]
    Forged {
        /// The id that came with the version.
        claimed: VersionId,
        /// The id of the content.
        actual: VersionId,
    },
    /// The version names more parents than [`MAX_PARENTS`](crate::limits::MAX_PARENTS).
    #[error("the version supersedes {given} versions, more than the limit of {limit}; it was not inserted")]
    TooManyParents {
        /// How many parents the version names.
        given: usize,
        /// The limit.
        limit: usize,
    },
    /// A branch came without any version.
    #[error("a branch has at least its leaf, and this one has nothing; nothing was inserted")]
    NoLeaf,
    /// Of the first version of a branch, its leaf, only the place was told.
    #[error("the leaf {leaf:?} came without its content; nothing was inserted")]
    LeafWithoutContent {
        /// The leaf.
        leaf: VersionId,
    },
    /// A branch holds a version that none of the newer ones before it was written on.
    #[error("{given:?} is no ancestor of the branch it came with; nothing was inserted")]
    NotAnAncestor {
        /// The version.
        given: VersionId,
    },
}

/// Foreign bytes are not the encoding of a tree. The sender or the transport is at fault; nothing
/// was decoded.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeTreeError {
    /// The bytes themselves were refused.
    #[error(transparent)]
    Payload(#[from] DecodeError),
    /// A version names a parent before the first version of the encoding.
    #[error("version {version} refers {back} versions back, before the first one; nothing was decoded")]
    DanglingParent {
        /// Position of the version in the encoding.
        version: usize,
        /// How far back it refers.
        back: u64,
    },
    /// A version names more parents than [`MAX_PARENTS`](crate::limits::MAX_PARENTS).
    #[error(
        "version {version} supersedes {given} versions, more than the limit of {limit}; nothing was decoded"
    )]
    TooManyParents {
        /// Position of the version in the encoding.
        version: usize,
        /// How many parents it names.
        given: usize,
        /// The limit.
        limit: usize,
    },
    /// The versions are a tree, but the bytes are not the ones its encoding has: out of order,
    /// repeated, or said the long way.
    #[error("version {version} is not encoded the canonical way; nothing was decoded")]
    NotCanonical {
        /// Position of the version in the encoding.
        version: usize,
    },
}
