//! What a shared log can answer besides what the log itself answers.

use crate::{AppendError, Poison};

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

/// Why waiting for durability ended without it. The batch may or may not survive a crash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
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
