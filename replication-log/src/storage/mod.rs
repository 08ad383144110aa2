//! The only door to disk.
//!
//! A [`Storage`] is one flat directory of files. The log asks for nothing else, so whatever can
//! offer these few calls can hold a log: [`MemoryStorage`] for tests and simulation,
//! [`FaultStorage`] for a disk that loses what was not synced, `FileStorage` (feature `std`) for a
//! real directory.

mod fault;
#[cfg(feature = "std")]
mod file;
mod memory;
mod shared;

use alloc::{string::String, vec::Vec};
use core::fmt;

pub use fault::{FaultFile, FaultStorage, Keep, SECTOR_BYTES, Survivors};
#[cfg(feature = "std")]
pub use file::{DiskFile, FileStorage};
pub use memory::{MemoryFile, MemoryStorage};

/// One flat directory of files.
///
/// Creating, renaming and removing a file is durable only after
/// [`sync_directory`](Storage::sync_directory); what is written to a file is durable only after
/// [`StorageFile::sync_data`]. All names are relative to the directory.
pub trait Storage {
    /// An open file of this storage.
    type File: StorageFile;

    /// The names of all files, in ascending order.
    fn list(&self) -> Result<Vec<String>, StorageError>;

    /// Creates an empty file; fails with [`StorageErrorKind::AlreadyExists`] when there is one of
    /// that name.
    fn create(&self, name: &str) -> Result<Self::File, StorageError>;

    /// Opens an existing file for reading and writing; for reading only where the storage is.
    fn open(&self, name: &str) -> Result<Self::File, StorageError>;

    /// Removes a file.
    fn remove(&self, name: &str) -> Result<(), StorageError>;

    /// Renames a file in one step, replacing any file that has the new name.
    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError>;

    /// Makes every earlier creation, renaming and removal durable.
    fn sync_directory(&self) -> Result<(), StorageError>;
}

impl<S: Storage> Storage for &S {
    type File = S::File;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        S::list(self)
    }

    fn create(&self, name: &str) -> Result<Self::File, StorageError> {
        S::create(self, name)
    }

    fn open(&self, name: &str) -> Result<Self::File, StorageError> {
        S::open(self, name)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        S::remove(self, name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        S::rename(self, from, to)
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        S::sync_directory(self)
    }
}

/// An open file. All calls take `&self`, so that one thread can sync while another appends.
#[expect(clippy::len_without_is_empty, reason = "a length in bytes, asked for once when a segment is opened")]
pub trait StorageFile {
    /// Fills `buffer` from `offset` on and returns how many bytes there were: fewer only at the end
    /// of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError>;

    /// Writes all of `bytes` at `offset`, growing the file as needed. After an error any part may
    /// have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError>;

    /// Cuts the file off, or extends it with zeros.
    fn set_len(&self, length: u64) -> Result<(), StorageError>;

    /// The length in bytes.
    fn len(&self) -> Result<u64, StorageError>;

    /// Makes everything written so far durable. After an error nothing is known about any of it,
    /// and a later success says nothing about bytes written before the error.
    fn sync_data(&self) -> Result<(), StorageError>;
}

/// What the storage could not do, to which file, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not {operation} `{name}`: {kind}")]
pub struct StorageError {
    /// Why it failed.
    pub kind: StorageErrorKind,
    /// What was tried.
    pub operation: StorageOperation,
    /// The file it was tried on; empty for the directory itself.
    pub name: String,
}

impl StorageError {
    /// An error of `kind` in `operation` on the file `name`.
    pub fn new(kind: StorageErrorKind, operation: StorageOperation, name: &str) -> Self {
        Self { kind, operation, name: name.into() }
    }
}

/// Why a storage operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// There is no such file.
    NotFound,
    /// There already is a file of that name.
    AlreadyExists,
    /// The device is full.
    NoSpace,
    /// Another process or handle holds the directory.
    Locked,
    /// The operating system did not allow it.
    PermissionDenied,
    /// The directory was opened for reading only.
    ReadOnly,
    /// The name is not one plain file name.
    InvalidName,
    /// The file belongs to a machine that has since lost power.
    Disconnected,
    /// Anything else, in the words of the operating system.
    Other(String),
}

impl fmt::Display for StorageErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotFound => "no such file",
            Self::AlreadyExists => "the file already exists",
            Self::NoSpace => "no space left on the device",
            Self::Locked => "another process or handle holds the directory",
            Self::PermissionDenied => "permission denied",
            Self::ReadOnly => "the directory was opened for reading only",
            Self::InvalidName => "not a plain file name",
            Self::Disconnected => "the storage went away",
            Self::Other(reason) => reason,
        })
    }
}

/// What was asked of the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageOperation {
    /// Listing the directory.
    List,
    /// Creating a file.
    Create,
    /// Opening a file or the directory.
    Open,
    /// Removing a file.
    Remove,
    /// Renaming a file.
    Rename,
    /// Making the directory durable.
    SyncDirectory,
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Changing or asking for a file's length.
    Length,
    /// Making a file's bytes durable.
    SyncData,
    /// Taking the directory's lock.
    Lock,
}

impl fmt::Display for StorageOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::List => "list",
            Self::Create => "create",
            Self::Open => "open",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::SyncDirectory => "sync the directory",
            Self::Read => "read",
            Self::Write => "write",
            Self::Length => "measure or resize",
            Self::SyncData => "sync",
            Self::Lock => "lock",
        })
    }
}

/// Creates an empty file in place of any that was left there.
pub(crate) fn create_anew<S: Storage>(storage: &S, name: &str) -> Result<S::File, StorageError> {
    match storage.create(name) {
        Err(error) if error.kind == StorageErrorKind::AlreadyExists => {
            storage.remove(name)?;
            storage.create(name)
        }
        created => created,
    }
}

/// Writes zeros over `from..to`; nothing when that is empty.
pub(crate) fn write_zeros<F: StorageFile>(file: &F, from: u64, to: u64) -> Result<(), StorageError> {
    const CHUNK_BYTES: usize = 64 << 10;
    static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];
    let mut offset = from;
    while offset < to {
        let chunk = &ZEROS[..chunk_of(to - offset, CHUNK_BYTES)];
        file.write_at(offset, chunk)?;
        offset += chunk.len() as u64;
    }
    Ok(())
}

/// How much to handle at once when this much is left, and at most so much.
pub(crate) fn chunk_of(left: u64, most: usize) -> usize {
    usize::try_from(left).map_or(most, |left| left.min(most))
}
