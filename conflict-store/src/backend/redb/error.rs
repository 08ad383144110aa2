//! What can go wrong with a file of documents.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use std::io;
use std::path::PathBuf;

use crdt_core::ReplicaId;

/// A store in a file failed. What was to be read was not read, and what was to be written was not written.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RedbError {
    /// What is stored for a key is not what was written: the disk, or another program. The other keys can be read.
    #[error(
        "what is stored for the key \"{}\" is damaged: {reason}; fetch it from another replica",
        key.escape_ascii()
    )]
    Damaged {
        /// The key.
        key: Vec<u8>,
        /// What is wrong with it.
        reason: String,
    },
    /// A state has more bytes than this store would read back. The caller is at fault, or its limits are.
    #[error(
        "the state of \"{}\" has {found} bytes, over the limit of {limit}; nothing was written",
        key.escape_ascii()
    )]
    TooLarge {
        /// The key.
        key: Vec<u8>,
        /// How many bytes the state has.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// What the file says about itself is not what was written.
    #[error("the file's own notes are damaged: {reason}; restore a copy")]
    DamagedFile {
        /// What is wrong with them.
        reason: String,
    },
    /// Every sequence has been given out.
    #[error("all sequences are used up; nothing was written")]
    SequencesExhausted,
    /// The engine beneath failed, in most cases because the disk did. After a failed write it refuses all
    /// others until the file is opened again.
    #[error("the engine failed: {0}")]
    Engine(#[source] Box<::redb::Error>),
}

/// A store in a file was not opened, or not copied.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is open already, here or in another process.
    #[error("{} is open already; it was left alone", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// There is a file where a copy should go.
    #[error("there is a file at {} already; it was left alone", path.display())]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a release with another layout.
    #[error("the file has layout {found}, this release reads {supported}; it was left alone")]
    UnsupportedLayout {
        /// The layout of the file.
        found: u16,
        /// The layout this release reads.
        supported: u16,
    },
    /// The file is another program's, not a store of documents.
    #[error("{} is a database of something else; it was left alone", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The id offered as a fresh one is the one the store has had until now. The caller is at fault: ids
    /// are random and new for every call.
    #[error("{replica} is no fresh id, the store has been writing under it; nothing was changed")]
    NotFresh {
        /// The id in question.
        replica: ReplicaId,
    },
    /// The store in the file failed.
    #[error(transparent)]
    Store(#[from] RedbError),
    /// A file beside the store could not be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        error: io::Error,
    },
}

impl OpenError {
    pub(super) fn of_engine(path: &std::path::Path, error: ::redb::DatabaseError) -> Self {
        match error {
            ::redb::DatabaseError::DatabaseAlreadyOpen => Self::Locked { path: path.into() },
            error => Self::Store(error.into()),
        }
    }
}

macro_rules! from_engine {
    ($($error:ident),*) => {$(
        impl From<::redb::$error> for RedbError {
            fn from(error: ::redb::$error) -> Self {
                Self::Engine(Box::new(error.into()))
            }
        }
    )*};
}

from_engine!(CommitError, DatabaseError, SetDurabilityError, StorageError, TableError, TransactionError);
