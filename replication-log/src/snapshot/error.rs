//! Why a snapshot was not written, not read, or of no use.

use crate::{Lsn, PositionError, ReadError, storage::StorageError};

/// Why a snapshot was not begun. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// The log has no such place, or not durably.
    #[error("no snapshot was begun: {0}")]
    Position(#[from] PositionError),
    /// The storage failed.
    #[error("no snapshot was begun: {0}")]
    Storage(#[from] StorageError),
}

/// Why a snapshot cannot be read. What was lent before the error was intact; the whole is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It was written by another version of the format.
    #[error("the snapshot of record {lsn} has format version {found}, this build reads {supported}")]
    UnsupportedVersion {
        /// The record in the snapshot's name.
        lsn: Lsn,
        /// The version it states.
        found: u32,
        /// The version this build reads and writes.
        supported: u32,
    },
    /// It was whole when it got its name and no longer is.
    #[error("the snapshot of record {lsn} is damaged: {damage} at offset {offset}; use another one")]
    Damaged {
        /// The record in the snapshot's name.
        lsn: Lsn,
        /// What is wrong.
        damage: SnapshotDamage,
        /// Where the damaged part begins.
        offset: u64,
    },
    /// The storage failed.
    #[error("could not read the snapshot: {0}")]
    Storage(#[from] StorageError),
}

/// What is wrong with a damaged snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotDamage {
    /// Its header does not verify, or there is none.
    Header,
    /// It is intact but its name says that it is of another record.
    Misplaced,
    /// Its footer does not verify.
    Footer,
    /// It is longer or shorter than its footer says.
    Length,
    /// A chunk does not verify.
    Chunk,
    /// Every chunk verifies, but the last one is not the one the footer ends.
    Whole,
}

impl core::fmt::Display for SnapshotDamage {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Header => "no intact header",
            Self::Misplaced => "a snapshot of another record",
            Self::Footer => "no intact footer",
            Self::Length => "not as long as its footer says",
            Self::Chunk => "no intact chunk",
            Self::Whole => "chunks that are not those of its footer",
        })
    }
}

/// Why a log cannot continue a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableSnapshot {
    /// Records between the snapshot and the oldest of the log are gone.
    #[error(
        "the snapshot is of record {snapshot}, the log's oldest record is {oldest}: what lies between is gone"
    )]
    TooOld {
        /// The record the snapshot is of.
        snapshot: Lsn,
        /// The oldest record the log still holds.
        oldest: Lsn,
    },
    /// The log does not reach as far as the snapshot.
    #[error("the snapshot is of record {snapshot}, the log is durable up to {durable} only")]
    TooNew {
        /// The record the snapshot is of.
        snapshot: Lsn,
        /// The last durable record of the log.
        durable: Lsn,
    },
    /// The log holds other batches than those the snapshot was taken of.
    #[error("the snapshot of record {snapshot} was taken of a log that held other batches")]
    Diverged {
        /// The record the snapshot is of.
        snapshot: Lsn,
    },
    /// The log cannot be read there.
    #[error("whether the log continues the snapshot is unknown: {0}")]
    Unreadable(#[source] ReadError),
}
