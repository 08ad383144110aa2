//! What can go wrong, in words for whoever started the program.

use std::io;
use std::path::PathBuf;

use crdt_sync::RecoverError;
use crdt_sync_driver::{NodeError, OpenError};
use thiserror::Error;

use crate::tsv::TsvError;

/// Why the job was not done.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Tsv(#[from] TsvError),
    #[error("cannot read {}: {cause}", path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("cannot write {}: {cause}", path.display())]
    Write { path: PathBuf, cause: io::Error },
    #[error(
        "one catalogue agrees with itself; give two or more, or none for the ones that come with the example"
    )]
    OnlyOneFile,
    #[error("{count} versions shall differ, but the catalogue has only {entries}")]
    TooManyDiffer { count: usize, entries: usize },
    #[error("there is no replica {name:?} to edit; there are {known}")]
    NoSuchReplica { name: String, known: String },
    #[error("{} was made with another --resolve: {cause}", directory.display())]
    OtherRule { directory: PathBuf, cause: RecoverError },
    #[error("cannot open {}: {cause}", directory.display())]
    Open { directory: PathBuf, cause: OpenError },
    #[error(transparent)]
    Listen(OpenError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(
        "interrupted before all replicas agreed; what is in a --data-dir stays, and the next run goes on from it"
    )]
    Interrupted,
    #[error("cannot wait for Ctrl-C: {0}")]
    Signal(io::Error),
}

impl Failure {
    /// A node could not be opened in a directory.
    pub(crate) fn open(directory: PathBuf, cause: OpenError) -> Self {
        match cause {
            OpenError::Recover(cause @ RecoverError::OtherCollections) => {
                Self::OtherRule { directory, cause }
            }
            cause => Self::Open { directory, cause },
        }
    }
}
