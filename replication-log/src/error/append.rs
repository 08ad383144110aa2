//! Why something was not appended.

use super::Poison;
use crate::{Epoch, Lsn, Position, storage::StorageError};

/// Why a record did not go into a batch. The batch is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The payload is larger than [`MAX_RECORD_BYTES`](crate::limits::MAX_RECORD_BYTES).
    #[error("a record of {bytes} bytes is larger than the limit of {limit}; the batch is unchanged")]
    RecordTooLarge {
        /// The size of the payload.
        bytes: usize,
        /// The bound it exceeds.
        limit: usize,
    },
    /// The batch would grow past [`MAX_BATCH_BYTES`](crate::limits::MAX_BATCH_BYTES).
    #[error("the batch would grow to {bytes} bytes, past the limit of {limit}; it is unchanged")]
    BatchTooLarge {
        /// The size the batch would have had.
        bytes: usize,
        /// The bound it exceeds.
        limit: usize,
    },
    /// The batch already holds [`MAX_BATCH_RECORDS`](crate::limits::MAX_BATCH_RECORDS) records.
    #[error("the batch already holds {limit} records, as many as it may; it is unchanged")]
    TooManyRecords {
        /// The bound.
        limit: usize,
    },
}

/// Why a batch was not appended. Unless it is [`Poisoned`](AppendError::Poisoned), the log is as it
/// was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The batch holds no record.
    #[error("an empty batch takes no place in the log; nothing was written")]
    Empty,
    /// The batch was made under an older epoch than the log has promised or accepted.
    #[error("fenced: the log has seen epoch {have}, the batch is of epoch {got}; nothing was written")]
    Fenced {
        /// The epoch the log stands at.
        have: Epoch,
        /// The epoch of the batch.
        got: Epoch,
    },
    /// The batch does not fit into one segment.
    #[error("a batch of {bytes} bytes does not fit into a segment, which holds {limit}; nothing was written")]
    TooLarge {
        /// The size of the batch, framing included.
        bytes: u64,
        /// What a segment has room for.
        limit: u64,
    },
    /// The log has run out of record or segment numbers.
    #[error("the log has no numbers left; nothing was written")]
    Exhausted,
    /// A new segment is due, or as much is staged as may be
    /// ([`MAX_STAGED_BYTES`](crate::limits::MAX_STAGED_BYTES)), and either has to wait until the sync
    /// under way, or the preparation of that segment, is finished.
    #[error("there is no room until the sync or preparation under way is finished; nothing was written")]
    SyncUnderWay,
    /// The record cannot be part of any batch.
    #[error("not appended: {0}")]
    Batch(#[from] BatchError),
    /// The storage refused to make room, for example because the device is full. The log can be
    /// used further.
    #[error("no room for the batch; the log is as it was: {0}")]
    NoRoom(#[source] StorageError),
    /// The log does not accept anything any more.
    #[error("the log is poisoned: {0}")]
    Poisoned(#[from] Poison),
}

/// Why a batch of another log was not appended to its copy. Unless the log is poisoned, it is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendCopyError {
    /// The sender's epoch has to be [promised](crate::Log::promise_epoch) first, so that nothing of an older one
    /// is accepted any more once the copy is acknowledged.
    #[error("the sender's epoch {reign} is not promised yet, only {promised} is; nothing was written")]
    NotPromised {
        /// The epoch the log stands at.
        promised: Epoch,
        /// The epoch of the sender.
        reign: Epoch,
    },
    /// The batch is not the one that comes next: something before it is missing, or it is there already.
    #[error("record {wanted} comes next and the batch begins with {got}; nothing was written")]
    NotNext {
        /// The record that comes next.
        wanted: Lsn,
        /// The first record of the batch.
        got: Lsn,
    },
    /// The running checksum of the batch is not what it would be here: it was damaged on the way, or the two
    /// logs parted before it.
    #[error("the batch does not follow what this log has up to record {}; nothing was written", .end.lsn)]
    Parted {
        /// Where this log ends.
        end: Position,
    },
    /// Epochs never decrease along a log, and nobody has records of a later epoch than his own.
    #[error(
        "a batch of epoch {got} cannot come behind epoch {last} from a sender of epoch {reign}; \
         nothing was written"
    )]
    OutOfOrder {
        /// The epoch of the last record.
        last: Epoch,
        /// The epoch of the sender.
        reign: Epoch,
        /// The epoch of the batch.
        got: Epoch,
    },
    /// For the reasons any batch can be refused.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<Poison> for AppendCopyError {
    fn from(poison: Poison) -> Self {
        AppendError::from(poison).into()
    }
}
