#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod backend;
pub mod limits;
pub mod resolve;
pub mod revision;
mod store;

pub use backend::{ApplyError, Backend, MemoryBackend};
pub use resolve::{
    AskUser, AuditEntry, Chain, Conflict, CrdtMerge, Custom, FieldBase, FieldConflict, FieldMap, FieldMerge,
    FieldResolution, FieldRule, FieldValue, Fields, KeepAll, LastWriterWins, Lines, LinesError, Reading,
    Resolution, ResolveError, Resolver, SettleError, SuspendReason, SuspendedConflict,
};
pub use revision::{
    DecodeTreeError, Document, InsertError, ParseVersionIdError, PutError, RevisionTree, Version, VersionId,
    Written,
};
pub use store::{KeyedReading, ReadError, Store, Strategy, WriteError};
