//! What a shared log can answer besides what the log itself answers.

use crate::{AppendError, Corruption, Epoch, Lsn, Poison, storage::StorageError};

/// Why the shared log did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError<E: core::error::Error + 'static = AppendError> {
    /// The log refused it, and says what that did to it.
    #[error(transparent)]
    Refused(E),
    /// The log was closed through another clone of the handle; nothing was done.
    #[error("the log was closed through another handle; nothing was done")]
    Closed,
}

impl From<AppendError> for SubmitError {
    fn from(error: AppendError) -> Self {
        Self::Refused(error)
    }
}

/// Why waiting for durability ended without it. Unless it says otherwise, the batch may or may not
/// survive a crash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// A newer epoch was promised or accepted since the batch was appended. It may be durable, but
    /// nothing that depends on it may be let out any more.
    #[error(
        "fenced: the log has seen epoch {have}, the batch is of epoch {got}; nothing of it may be let out"
    )]
    Fenced {
        /// The epoch the log stands at.
        have: Epoch,
        /// The epoch of the batch.
        got: Epoch,
    },
    /// The batch was cut off the log's end. Records of the same numbers are others.
    #[error("the batch was cut: record {to} was made the last one since")]
    Truncated {
        /// The last record that stayed.
        to: Lsn,
    },
    /// The log is poisoned. Whether the batch is on the disk is unknown until the log is opened again.
    #[error("not known to be durable: {0}")]
    Poisoned(#[from] Poison),
    /// The log was closed, or its flusher ended, before it could be told.
    #[error("not known to be durable: the log was closed while waiting")]
    Closed,
    /// The policy is never to sync, and nobody has asked for it.
    #[error("not durable: the policy is never to sync, and no sync was asked for")]
    NeverSynced,
}

/// Why a batch was not appended and made durable in one go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendDurableError {
    /// It was not appended.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// It was appended, and may or may not survive a crash.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

/// Why a tail did not yield a record. It never leaves one out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// The next record was dropped together with its segment. Follow the log from `oldest` on with
    /// another tail, once what is missing was had from elsewhere.
    #[error("record {asked} was truncated away; the oldest is {oldest}")]
    Truncated {
        /// The record that was to come next.
        asked: Lsn,
        /// The oldest record the log still holds.
        oldest: Lsn,
    },
    /// The log's end was cut below what was yielded. The tail goes on behind the cut.
    #[error("the log was cut: record {to} was made the last one, and what was read above it is void")]
    Rewound {
        /// The last record that stayed.
        to: Lsn,
    },
    /// What was intact when it was written no longer is.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// The storage failed. Asking again tries again.
    #[error("could not read the log: {0}")]
    Storage(#[from] StorageError),
    /// Everything durable was yielded, and on a poisoned log nothing more will be.
    #[error("the log is poisoned: {0}")]
    Poisoned(#[from] Poison),
    /// The log was closed, or its flusher ended.
    #[error("the log was closed")]
    Closed,
}
