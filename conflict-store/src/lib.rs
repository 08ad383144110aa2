#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod backend;
pub mod blob;
pub mod limits;
pub mod resolve;
pub mod revision;
pub mod siblings;
mod store;
pub mod token;

pub use backend::{ApplyError, Backend, ChangedKey, FillError, KeyVersion, MemoryBackend, StoredState};
pub use blob::{BlobError, BlobId, BlobRef, Blobs, Manifest, MemoryBlobs};
pub use resolve::{
    AskUser, AuditEntry, Chain, Conflict, CrdtMerge, Custom, FieldBase, FieldConflict, FieldMap, FieldMerge,
    FieldResolution, FieldRule, FieldValue, Fields, KeepAll, LastWriterWins, Lines, LinesError, Reading,
    Resolution, ResolveError, Resolver, SettleError, SuspendReason, SuspendedConflict,
};
pub use revision::{
    Attribution, Claim, Content, DecodeTreeError, Document, DocumentView, InsertError, Inserted, Merged,
    ParseVersionIdError, Place, PutError, RevisionTree, Version, VersionId, Written,
};
pub use siblings::{Crowding, SiblingWrite, SiblingWriteError, Siblings};
pub use store::{
    Changes, CollectError, Collected, Cursor, ExportError, FeedError, ImportError, KeyedReading, ReadError,
    Store, Strategy, WriteError,
};
pub use token::{OpenTokenError, ParseTokenError, SealTokenError, Seen, Token, TokenKey, TokenScope, Tokens};
