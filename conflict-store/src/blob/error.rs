//! Why a blob, a reference to one or a manifest was refused.

use crdt_core::codec::DecodeError;

use super::id::BlobId;

/// A blob was not stored or not read. What is stored is as it was.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError<E> {
    /// The bytes are more than [`MAX_BLOB_BYTES`](crate::limits::MAX_BLOB_BYTES). The caller is at
    /// fault: larger files are cut into several blobs.
    #[error("a blob of {given} bytes exceeds the limit of {limit}; it was not stored")]
    TooLarge {
        /// How many bytes were given.
        given: usize,
        /// The limit.
        limit: usize,
    },
    /// The bytes came with an id that is not theirs. Whoever sent them is at fault, or what carried
    /// them.
    #[error("bytes whose id is {actual} came as the blob {claimed}; they were not stored")]
    Forged {
        /// The id that came with the bytes.
        claimed: BlobId,
        /// The id of the bytes.
        actual: BlobId,
    },
    /// The stored bytes are not what was put. The storage is at fault. Get the blob from a replica
    /// and put it again.
    #[error("the blob {id} is damaged: the id of what is stored is {actual}; nothing was read")]
    Damaged {
        /// The id of the blob.
        id: BlobId,
        /// The id of the bytes stored.
        actual: BlobId,
    },
    /// The storage failed.
    #[error("the storage of blobs failed: {0}")]
    Storage(E),
}

/// A text is not the text of a [`BlobId`]. The caller, or whoever sent the text, is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a blob id is 64 lower-case hex digits")]
pub struct ParseBlobIdError;

/// A text is no media type a [`BlobRef`](super::BlobRef) takes. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a media type is 1 to 255 visible ASCII characters or spaces")]
pub struct InvalidMediaType;

/// A manifest was not made or not read. Nothing was changed.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The name of an attachment is empty or longer than
    /// [`MAX_ATTACHMENT_NAME_BYTES`](crate::limits::MAX_ATTACHMENT_NAME_BYTES).
    #[error("the name of an attachment has {given} bytes, not 1 to {limit}; it was not attached")]
    Name {
        /// How many bytes the name has.
        given: usize,
        /// The limit.
        limit: usize,
    },
    /// There are more attachments than [`MAX_ATTACHMENTS`](crate::limits::MAX_ATTACHMENTS).
    #[error("{given} attachments exceed the limit of {limit}; none was added")]
    TooMany {
        /// How many there are, or would be.
        given: usize,
        /// The limit.
        limit: usize,
    },
    /// The bytes are not those of a manifest. Whoever wrote them is at fault, or what carried them.
    #[error(transparent)]
    Payload(#[from] DecodeError),
}
