#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod batch;
mod bytes;
mod checksum;
mod error;
mod log;
mod lsn;
mod mix;
mod options;
mod read_only;
mod reader;
mod record;
mod recover;
mod repair;
mod segment;
mod segments;

pub mod entry;
#[cfg(feature = "std")]
pub mod handle;
pub mod install;
pub mod limits;
pub mod page;
pub mod restore;
pub mod seal;
pub mod ship;
pub mod snapshot;
pub mod storage;

pub use batch::{Batch, BatchCopy, LoggedBatch};
pub use bytes::Malformed;
pub use error::{
    AppendCopyError, AppendError, BatchError, CloseError, Corruption, Damage, OpenError, Poison, PoisonedBy,
    PositionError, PromiseError, ReadError, ReleaseError, SyncError, TruncateAfterError, TruncateError,
};
#[cfg(feature = "std")]
pub use handle::LogHandle;
pub use log::{BatchWriter, Log, PendingSegment, PendingSync, Position};
pub use lsn::{Epoch, Lsn, SegmentId};
pub use options::{FsyncPolicy, LogOptions};
pub use read_only::{ReadOnlyLog, SegmentSummary};
pub use reader::{Batches, Reader, Records};
pub use record::{OwnedRecord, Record, RecordKind};
pub use recover::{Cut, RecoveryReport, Truncation};
pub use repair::{RepairReport, repair, repair_sealed};
