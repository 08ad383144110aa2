//! Why a slot is not what was asked for.

use super::SlotState;
use crate::{Lsn, Malformed, TruncateError, storage::StorageError};

/// Why a slot was not created. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateSlotError {
    /// There is one of that name.
    #[error("there already is a slot of that name")]
    Exists,
    /// The name is empty, or the name or the class is too long.
    #[error("a slot's name has 1 to {limit} bytes and its class has at most {limit}")]
    Name {
        /// The bound.
        limit: usize,
    },
    /// There are as many slots as there may be.
    #[error("there are {limit} slots already, which is as many as there may be")]
    TooMany {
        /// The bound.
        limit: usize,
    },
    /// The log does not have what the follower needs next.
    #[error(transparent)]
    Outside(#[from] OutsideLog),
}

/// Why a follower that has everything up to a position cannot go on from this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutsideLog {
    /// The next record it needs is gone: it needs a newer snapshot.
    #[error("record {needed} is gone, the oldest is {oldest}")]
    Gone {
        /// The record behind the position.
        needed: Lsn,
        /// The oldest record there is.
        oldest: Lsn,
    },
    /// The position is beyond the durable end of the log.
    #[error("record {asked} is not durable here, the last that is is {durable}")]
    Ahead {
        /// The position.
        asked: Lsn,
        /// The last durable record.
        durable: Lsn,
    },
}

/// Why a slot was not given a position. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResetError {
    /// There is no slot of that name.
    #[error("there is no slot of that name")]
    Unknown,
    /// The log does not have what the follower needs next.
    #[error(transparent)]
    Outside(#[from] OutsideLog),
}

/// Why what a follower confirmed was not noted. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfirmError {
    /// There is no slot of that name.
    #[error("there is no slot of that name")]
    Unknown,
    /// The slot has lost records; its follower must begin anew.
    #[error("the slot is lost; its follower must begin anew from a snapshot")]
    Lost,
    /// The follower confirms what was never sent to it.
    #[error("record {asked} is not durable here, the last that is is {durable}")]
    Ahead {
        /// What was confirmed.
        asked: Lsn,
        /// The last durable record.
        durable: Lsn,
    },
}

/// Why no follower was attached to a slot. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is no slot of that name.
    #[error("there is no slot of that name")]
    Unknown,
    /// The slot has lost records; its follower must begin anew.
    #[error("the slot is lost; its follower must begin anew from a snapshot")]
    Lost,
    /// Another follower is attached, or this one still is.
    #[error("a follower is attached to the slot")]
    InUse,
}

/// Why a slot was not dropped. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DropSlotError {
    /// There is no slot of that name.
    #[error("there is no slot of that name")]
    Unknown,
    /// A follower is attached, and would go on without anybody keeping what it needs.
    #[error("a follower is attached to the slot, which is {state}; detach it first")]
    InUse {
        /// The slot's state.
        state: SlotState,
    },
}

/// Why slots were not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotsFileError {
    /// They were written by another version of the format.
    #[error("the slots have format version {found}, this build reads {supported}")]
    UnsupportedVersion {
        /// The version they state.
        found: u32,
        /// The version this build reads and writes.
        supported: u32,
    },
    /// They are the slots of another log.
    #[error("the slots belong to log {found:#x}, not to {expected:#x}")]
    OtherLog {
        /// The log they belong to.
        found: u64,
        /// The log they were to belong to.
        expected: u64,
    },
    /// They were whole when they got their name and no longer are. Without them nothing says what the
    /// followers need: keep the log, and create the slots anew from what the followers say.
    #[error("the slots are damaged: their checksum does not fit")]
    Damaged,
    /// The checksum fits, but no build writes such bytes.
    #[error("the slots are not what any build writes: {0}")]
    Malformed(#[from] Malformed),
    /// The storage failed.
    #[error("could not read the slots: {0}")]
    Storage(#[from] StorageError),
}

/// Why nothing was dropped, or not all that could have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TruncateSlotsError {
    /// What the slots confirm could not be made durable, so nothing was dropped on the strength of it.
    #[error("the slots could not be written, so nothing was dropped: {0}")]
    Save(#[source] StorageError),
    /// The log could not drop. Slots that were to lose their records are lost all the same.
    #[error("the slots are written, but the log was not truncated: {0}")]
    Log(#[from] TruncateError),
}
