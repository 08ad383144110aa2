//! What can go wrong, one enum per operation. Each message says what happened and what it did to
//! the log.

mod append;

pub use append::{AppendCopyError, AppendError, BatchError};

use crate::{Epoch, Lsn, SegmentId, storage::StorageError};

/// The storage failure after which a log refuses to go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{by} failed earlier ({error}), so what reached the disk is unknown; open the log again to recover")]
pub struct Poison {
    /// What the log was doing.
    pub by: PoisonedBy,
    /// What the storage said.
    pub error: StorageError,
}

/// The operations whose failure leaves the state of the disk unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoisonedBy {
    /// A write of staged batches, which may have reached the file in part.
    Write,
    /// A sync: the operating system may have dropped the bytes and will not report it twice.
    Sync,
    /// The start of a new segment.
    Rotation,
    /// The sealing of a batch, which reached no file.
    Sealing,
    /// A cut of the newest end, which opening the log again finishes or finds not begun.
    Truncation,
}

impl core::fmt::Display for PoisonedBy {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Write => "a write",
            Self::Sync => "a sync",
            Self::Rotation => "starting a new segment",
            Self::Sealing => "sealing a batch",
            Self::Truncation => "cutting the newest end",
        })
    }
}

/// Why a sync made nothing durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// Another sync of this log has begun and not finished.
    #[error("another sync is under way; nothing was done")]
    UnderWay,
    /// The sync failed, or an earlier operation did. Nothing further will be acknowledged.
    #[error("the log is poisoned: {0}")]
    Poisoned(#[from] Poison),
}

/// Why an epoch was not promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PromiseError {
    /// A newer epoch was promised or accepted before.
    #[error("fenced: the log has seen epoch {have}, the promise is for epoch {got}; nothing was written")]
    Fenced {
        /// The epoch the log stands at.
        have: Epoch,
        /// The epoch asked for.
        got: Epoch,
    },
    /// The log has run out of segment numbers.
    #[error("the log has no numbers left; nothing was promised")]
    Exhausted,
    /// A sync has begun and not finished, or the preparation of a segment that is needed.
    #[error("a sync or preparation is under way; nothing was done")]
    SyncUnderWay,
    /// The storage refused to make room. The log can be used further; nothing was promised.
    #[error("no room for the promise; the log is as it was: {0}")]
    NoRoom(#[source] StorageError),
    /// The promise may or may not have reached the disk; it must not be acted upon.
    #[error("the log is poisoned: {0}")]
    Poisoned(#[from] Poison),
}

/// Why an effect must not be let out. The log is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// A newer epoch was promised or accepted since. The record may be durable all the same.
    #[error("fenced: the log has seen epoch {have}, the effect is of epoch {got}; it must not be let out")]
    Fenced {
        /// The epoch the log stands at.
        have: Epoch,
        /// The epoch of the effect.
        got: Epoch,
    },
    /// The record is not durable yet.
    #[error("record {asked} is not durable, the last that is is {durable}; ask again after a sync")]
    NotDurable {
        /// The record the effect depends on.
        asked: Lsn,
        /// The last durable record.
        durable: Lsn,
    },
    /// The log is poisoned, so whether the record is durable is unknown.
    #[error("the log is poisoned: {0}")]
    Poisoned(#[from] Poison),
}

/// Why old segments were not dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TruncateError {
    /// The storage failed. Segments that are already gone stay gone; the others are still there and
    /// readable.
    #[error("could not drop a segment; the remaining log is intact: {0}")]
    Storage(#[from] StorageError),
    /// The log is poisoned and drops nothing.
    #[error("the log is poisoned: {0}")]
    Poisoned(#[from] Poison),
}

/// Why the newest end was not cut. Unless it is [`Poisoned`](TruncateAfterError::Poisoned), the log
/// is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TruncateAfterError {
    /// The caller still needs records above the cut, for example because they are committed.
    #[error(
        "cutting after record {asked} would remove records up to {floor} that must stay; nothing was cut"
    )]
    BelowFloor {
        /// The record that was to be the last.
        asked: Lsn,
        /// The last record that must stay.
        floor: Lsn,
    },
    /// The record was dropped together with its segment, so the log cannot end with it.
    #[error("record {asked} was truncated away, the oldest is {oldest}; nothing was cut")]
    BelowOldest {
        /// The record that was to be the last.
        asked: Lsn,
        /// The oldest record the log still holds.
        oldest: Lsn,
    },
    /// The log ends before this record.
    #[error("the log ends at record {last}, before {asked}; nothing was cut")]
    AboveEnd {
        /// The record that was to be the last.
        asked: Lsn,
        /// The last record there is.
        last: Lsn,
    },
    /// The record is not the last of its batch, and a batch stays or goes as a whole.
    #[error("record {asked} is inside a batch; the boundary below it is {boundary}; nothing was cut")]
    InsideBatch {
        /// The record that was to be the last.
        asked: Lsn,
        /// The last record of the batch before.
        boundary: Lsn,
    },
    /// A sync has begun and not finished.
    #[error("a sync is under way; nothing was cut")]
    SyncUnderWay,
    /// What was intact when it was written no longer is, below the cut.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// The storage failed before anything was decided.
    #[error("nothing was cut: {0}")]
    Storage(#[from] StorageError),
    /// The log is poisoned. If it is so by this call, opening it again finds the cut made or not begun.
    #[error("the log is poisoned: {0}")]
    Poisoned(#[from] Poison),
}

/// Why a log could not be closed cleanly. Opening it recovers as after a crash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The log has run out of segment numbers; all records are durable.
    #[error("no segment number left for the closing mark; all records are durable")]
    Exhausted,
    /// There was no room for the closing mark; all records are durable.
    #[error("no room for the closing mark; all records are durable: {0}")]
    NoRoom(#[source] StorageError),
    /// A sync has begun and not finished, or the preparation of a segment that is needed.
    #[error("a sync or preparation is under way; the log was dropped without a closing mark")]
    SyncUnderWay,
    /// The log was poisoned, now or earlier.
    #[error("the log is poisoned: {0}")]
    Poisoned(#[from] Poison),
}

/// Why a log could not be opened. No file that held records was touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The options ask for a segment size outside the [`limits`](crate::limits).
    #[error("segments of {bytes} bytes are outside {min}..={max}; nothing was read")]
    SegmentSize {
        /// The size asked for.
        bytes: u64,
        /// The smallest allowed.
        min: u64,
        /// The largest allowed.
        max: u64,
    },
    /// A snapshot is to take the place of the log, which may be half gone:
    /// [`install::resume`](crate::install::resume) comes before. No file was touched.
    #[error("a snapshot is to take the place of this log, and that comes first; no file was touched")]
    InstallUnderWay,
    /// A segment was written by another version of the format. No file was touched.
    #[error(
        "segment {segment} has format version {found}, this build reads {supported}; no file was touched"
    )]
    UnsupportedVersion {
        /// The segment.
        segment: SegmentId,
        /// The version it states.
        found: u32,
        /// The version this build reads and writes.
        supported: u32,
    },
    /// A batch is intact but of a kind, or sealed in a way, that this version of the format does not
    /// have. No file was touched.
    #[error(
        "segment {segment} has a batch of unknown kind {kind:#04x} at offset {offset}; no file was touched"
    )]
    UnsupportedBatch {
        /// The segment.
        segment: SegmentId,
        /// Where in it the batch begins.
        offset: u64,
        /// Its kind and flags.
        kind: u8,
    },
    /// A batch is compressed or encrypted, and this build cannot read that. No file was touched.
    #[error(
        "the batch at offset {offset} of segment {segment} needs a build with the feature `{feature}`; \
         no file was touched"
    )]
    FeatureMissing {
        /// The segment.
        segment: SegmentId,
        /// Where in it the batch begins.
        offset: u64,
        /// The feature.
        feature: &'static str,
    },
    /// A batch is encrypted, and no key was given. No file was touched.
    #[error(
        "the batch at offset {offset} of segment {segment} is encrypted and no key was given; no file was \
         touched"
    )]
    KeyRequired {
        /// The segment.
        segment: SegmentId,
        /// Where in it the batch begins.
        offset: u64,
    },
    /// A batch is encrypted with a key that is none of those given. No file was touched.
    #[error(
        "the batch at offset {offset} of segment {segment} is encrypted with another key; no file was \
         touched"
    )]
    WrongKey {
        /// The segment.
        segment: SegmentId,
        /// Where in it the batch begins.
        offset: u64,
    },
    /// The bytes that were to be drawn for this opening were used for an earlier one: writing with
    /// them would use a nonce twice. No file was touched.
    #[error(
        "the fresh bytes were used for the batch at offset {offset} of segment {segment} before; draw \
         others; no file was touched"
    )]
    FreshBytesReused {
        /// The segment.
        segment: SegmentId,
        /// Where in it the batch begins.
        offset: u64,
    },
    /// The log ends before the place it was to begin behind, so a gap would open between the two.
    /// Remove the old log first.
    #[error(
        "the log ends at record {last}, before record {start} behind which it was to begin; no file was \
         touched"
    )]
    EndsBeforeStart {
        /// The last record of the log.
        last: Lsn,
        /// The record of [`LogOptions::starts_after`](crate::LogOptions::starts_after).
        start: Lsn,
    },
    /// The log was to begin behind the last number there is.
    #[error("no record number is left behind the place where the log was to begin; nothing was created")]
    Exhausted,
    /// A truncation was begun by another version of the format. No file was touched.
    #[error(
        "a truncation intent has format version {found}, this build reads {supported}; no file was touched"
    )]
    UnsupportedIntent {
        /// The version it states.
        found: u32,
        /// The version this build reads and writes.
        supported: u32,
    },
    /// Something that was durable is damaged or missing.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// The storage failed. Opening again continues where this attempt stopped.
    #[error("the log could not be read or repaired at its end: {0}")]
    Storage(#[from] StorageError),
}

/// Why records could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The record was dropped together with its segment.
    #[error("record {asked} was truncated away; the oldest is {oldest}")]
    Truncated {
        /// The record asked for.
        asked: Lsn,
        /// The oldest record the log still holds.
        oldest: Lsn,
    },
    /// What was intact when the log was opened or written no longer is.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// The storage failed.
    #[error("could not read the log: {0}")]
    Storage(#[from] StorageError),
}

/// Why a log has no position at a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PositionError {
    /// The record is not durable, so a crash may yet take it back.
    #[error("record {asked} is not durable; the last durable one is {durable}")]
    NotDurable {
        /// The record asked for.
        asked: Lsn,
        /// The last durable record of the log.
        durable: Lsn,
    },
    /// The record was dropped together with its segment.
    #[error("record {asked} was truncated away; the oldest is {oldest}")]
    Truncated {
        /// The record asked for.
        asked: Lsn,
        /// The oldest record the log still holds.
        oldest: Lsn,
    },
    /// Batches are atomic: there is no place between two records of one.
    #[error("record {asked} is not the last of its batch, which is {last}")]
    InsideBatch {
        /// The record asked for.
        asked: Lsn,
        /// The last record of its batch.
        last: Lsn,
    },
    /// What was intact when the log was opened or written no longer is.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// The storage failed.
    #[error("could not read the log: {0}")]
    Storage(#[from] StorageError),
}

/// Something that was durable is damaged or missing: reading on would lose it silently, so nothing
/// was touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "corrupt log: {damage} in segment {segment} at offset {offset}, where record {lsn} belongs, while \
     records up to {stated_durable} are stated to be durable; no file was touched"
)]
pub struct Corruption {
    /// The segment that is damaged, or the first one that is missing.
    pub segment: SegmentId,
    /// Where in that segment the intact part ends.
    pub offset: u64,
    /// The first record that cannot be read.
    pub lsn: Lsn,
    /// What is wrong there.
    pub damage: Damage,
    /// The highest durable record that any intact part of the log, or the caller, states.
    pub stated_durable: Lsn,
    /// How many intact batch headers lie behind the damage, in this segment and later ones.
    pub batches_behind: u64,
}

/// What is wrong where a log is corrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The segment's header is damaged. It was durable before the segment got its name.
    Header,
    /// The segment's header is intact but belongs elsewhere: another log, or another place in this one.
    Misplaced,
    /// The batch is damaged, or there is none.
    Batch,
    /// The segment is missing although a later one is there.
    Missing,
    /// The intent of an interrupted truncation is damaged or does not fit to the log. It was durable
    /// before it got its name.
    Intent,
}

impl core::fmt::Display for Damage {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Header => "a damaged segment header",
            Self::Misplaced => "a segment of another place or log",
            Self::Batch => "a damaged or missing batch",
            Self::Missing => "a missing segment",
            Self::Intent => "a damaged truncation intent, and records that end",
        })
    }
}
