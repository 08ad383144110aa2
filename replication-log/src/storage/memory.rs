//! A directory in memory that forgets nothing.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

use super::{Storage, StorageError, StorageErrorKind, StorageFile, StorageOperation, shared::Shared};

/// A directory in memory. Clones share the same files, so a log can be dropped and opened again.
///
/// Nothing is ever lost or fails: for crashes and errors use [`FaultStorage`](super::FaultStorage).
/// With the feature `std` it can be shared between threads.
///
/// ```
/// use replication_log::storage::{MemoryStorage, Storage, StorageFile};
///
/// let storage = MemoryStorage::new();
/// storage.create("a")?.write_at(0, b"hello")?;
/// assert_eq!(storage.clone().open("a")?.len()?, 5);
/// # Ok::<(), replication_log::storage::StorageError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    files: Shared<BTreeMap<String, Shared<Vec<u8>>>>,
}

impl MemoryStorage {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of a file's bytes, for a test to look at.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.files.lock().get(name).map(|bytes| bytes.lock().clone())
    }

    /// Replaces or creates a file, for a test to prepare.
    pub fn set_bytes(&self, name: &str, bytes: Vec<u8>) {
        self.files.lock().insert(name.to_string(), Shared::new(bytes));
    }
}

impl Storage for MemoryStorage {
    type File = MemoryFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.files.lock().keys().cloned().collect())
    }

    fn create(&self, name: &str) -> Result<MemoryFile, StorageError> {
        let mut files = self.files.lock();
        if files.contains_key(name) {
            return Err(StorageError::new(StorageErrorKind::AlreadyExists, StorageOperation::Create, name));
        }
        let bytes = Shared::new(Vec::new());
        files.insert(name.to_string(), bytes.clone());
        Ok(MemoryFile { bytes, name: name.to_string() })
    }

    fn open(&self, name: &str) -> Result<MemoryFile, StorageError> {
        let files = self.files.lock();
        let bytes = files.get(name).ok_or_else(|| not_found(StorageOperation::Open, name))?;
        Ok(MemoryFile { bytes: bytes.clone(), name: name.to_string() })
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let removed = self.files.lock().remove(name);
        removed.map(drop).ok_or_else(|| not_found(StorageOperation::Remove, name))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let mut files = self.files.lock();
        let bytes = files.remove(from).ok_or_else(|| not_found(StorageOperation::Rename, from))?;
        files.insert(to.to_string(), bytes);
        Ok(())
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// An open file of a [`MemoryStorage`].
#[derive(Clone, Debug)]
pub struct MemoryFile {
    bytes: Shared<Vec<u8>>,
    name: String,
}

impl StorageFile for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        Ok(copy_out(&self.bytes.lock(), offset, buffer))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        copy_in(&mut self.bytes.lock(), offset, bytes)
            .ok_or_else(|| too_large(StorageOperation::Write, &self.name))
    }

    fn set_len(&self, length: u64) -> Result<(), StorageError> {
        let length = usize::try_from(length).map_err(|_| too_large(StorageOperation::Length, &self.name))?;
        self.bytes.lock().resize(length, 0);
        Ok(())
    }

    fn len(&self) -> Result<u64, StorageError> {
        Ok(self.bytes.lock().len() as u64)
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// Copies what the file has at `offset` into `buffer`, and says how much that was.
pub(super) fn copy_out(file: &[u8], offset: u64, buffer: &mut [u8]) -> usize {
    let Some(available) = usize::try_from(offset).ok().and_then(|start| file.get(start..)) else {
        return 0;
    };
    let count = available.len().min(buffer.len());
    buffer[..count].copy_from_slice(&available[..count]);
    count
}

/// Writes `bytes` at `offset`, with zeros before it where the file was shorter; `None` when memory
/// cannot address it.
pub(super) fn copy_in(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) -> Option<()> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(bytes.len())?;
    if file.len() < end {
        file.resize(end, 0);
    }
    file[start..end].copy_from_slice(bytes);
    Some(())
}

pub(super) fn not_found(operation: StorageOperation, name: &str) -> StorageError {
    StorageError::new(StorageErrorKind::NotFound, operation, name)
}

pub(super) fn too_large(operation: StorageOperation, name: &str) -> StorageError {
    StorageError::new(StorageErrorKind::NoSpace, operation, name)
}
