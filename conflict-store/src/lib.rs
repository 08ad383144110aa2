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

pub use backend::{ApplyError, Backend, ChangedKey, FillError, KeyVersion, MemoryBackend, StoredState};
pub use resolve::{
    Conflict, Custom, KeepAll, LastWriterWins, Reading, Resolution, ResolveError, Resolver, SettleError,
};
pub use revision::{
    DecodeTreeError, Document, InsertError, ParseVersionIdError, PutError, RevisionTree, Version, VersionId,
    Written,
};
pub use store::{
    Changes, CollectError, Collected, Cursor, ExportError, FeedError, ImportError, KeyedReading, ReadError,
    Store, Strategy, WriteError,
};
