//! What can go wrong with a table, one enum per kind of operation.

use core::fmt;

use super::format::{FormatMismatch, PageId, PageSizeError};
use crate::{Lsn, storage::StorageError};

/// Why a table was not created or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenTableError {
    /// The options ask for a size no page can have. Nothing was created.
    #[error(transparent)]
    PageSize(#[from] PageSizeError),
    /// The file was written in another format. It was not touched.
    #[error(transparent)]
    Format(#[from] FormatMismatch),
    /// Page 0 says nothing: both of its marks are damaged, or the file is no table. It was not touched.
    #[error("no intact checkpoint mark in page 0: the file is no table or is damaged; it was not touched")]
    NoMark,
    /// The storage failed. Opening again begins anew.
    #[error("the table could not be opened: {0}")]
    Storage(#[from] StorageError),
}

/// Why a table did not do what it was asked. Nothing was installed: the table is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The key is longer than a table with pages of this size takes.
    #[error("a key of {bytes} bytes is longer than the limit of {limit}; the table is unchanged")]
    KeyTooLong {
        /// The length of the key.
        bytes: usize,
        /// The bound it exceeds.
        limit: usize,
    },
    /// The value is larger than [`MAX_ROW_VALUE_BYTES`](crate::limits::MAX_ROW_VALUE_BYTES).
    #[error("a value of {bytes} bytes is larger than the limit of {limit}; the table is unchanged")]
    ValueTooLong {
        /// The size of the value.
        bytes: usize,
        /// The bound it exceeds.
        limit: usize,
    },
    /// The table has run out of page numbers.
    #[error("the table has no page numbers left; it is unchanged")]
    Full,
    /// An earlier call of this mini-transaction failed half-way, so it can only be dropped.
    #[error("the mini-transaction failed half-way and can only be dropped; the table is unchanged")]
    Broken,
    /// A page is not what it was written as.
    #[error(transparent)]
    Damaged(#[from] DamagedPage),
    /// A page is newer than all that was replayed: the log lacks records that the table has seen.
    #[error("page {page} is of record {lsn}, the log was replayed to {applied} only; the table is unchanged")]
    AheadOfLog {
        /// The page.
        page: PageId,
        /// The record that changed it last.
        lsn: Lsn,
        /// The last record that was applied.
        applied: Lsn,
    },
    /// The storage failed.
    #[error("the table could not be read: {0}")]
    Storage(#[from] StorageError),
    /// A sync failed earlier, so what reached the disk is unknown.
    #[error("a sync of the table failed earlier ({0}); open it again and replay the log")]
    Poisoned(StorageError),
}

/// Why a change did not become part of the table, which is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The change's records cannot have got these numbers: the table has seen later ones.
    #[error("{entries} entries cannot end at record {last}: the table stands at {applied}; it is unchanged")]
    NotNext {
        /// The number that the last entry is said to have got.
        last: Lsn,
        /// How many entries the change has.
        entries: u64,
        /// The last record that the table has seen.
        applied: Lsn,
    },
}

/// Why a checkpoint was not taken. The one before it stands, and recovery begins there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A page would get to the disk before the record that explains it: the rule of write-ahead
    /// logging. Nothing was written.
    #[error("page {page} is of record {lsn}, but only {durable} is durable; nothing was written")]
    NotDurable {
        /// The page.
        page: PageId,
        /// The record that changed it last.
        lsn: Lsn,
        /// What the caller says is durable.
        durable: Lsn,
    },
    /// A page could not be written. The table can be used further, and the checkpoint tried again.
    #[error("the checkpoint could not be written, the one before it stands: {0}")]
    Storage(#[source] StorageError),
    /// A sync failed, now or earlier: the bytes may be gone although later syncs succeed.
    #[error("a sync of the table failed ({0}); open it again and replay the log")]
    Poisoned(StorageError),
}

/// A page is not what it was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("page {page} {damage}; nothing was changed")]
pub struct DamagedPage {
    /// The page.
    pub page: PageId,
    /// What is wrong with it.
    pub damage: PageDamage,
}

/// What is wrong with a damaged page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageDamage {
    /// The file ends before it.
    Missing,
    /// The bytes do not match the checksum: torn or rotten.
    Checksum,
    /// It is intact and of another format version.
    Version(u8),
    /// It is intact and another page.
    Misplaced,
    /// It is intact and of another kind than what refers to it says, or of no known kind.
    Kind,
    /// It is intact and holds what no table writes.
    Content,
}

impl fmt::Display for PageDamage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("is missing"),
            Self::Checksum => formatter.write_str("does not match its checksum"),
            Self::Version(version) => write!(formatter, "has format version {version}"),
            Self::Misplaced => formatter.write_str("belongs elsewhere"),
            Self::Kind => formatter.write_str("is of the wrong kind"),
            Self::Content => formatter.write_str("holds what no table writes"),
        }
    }
}
