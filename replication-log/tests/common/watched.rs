//! A disk on which someone watches every read.

use std::sync::Arc;

use replication_log::storage::{FaultFile, FaultStorage, Storage, StorageError, StorageFile};

/// Called before every read with the number of bytes asked for.
pub(crate) type OnRead = Arc<dyn Fn(usize) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) disk: FaultStorage,
    pub(crate) on_read: OnRead,
}

pub(crate) struct WatchedFile(FaultFile, OnRead);

impl Storage for Watched {
    type File = WatchedFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> Result<WatchedFile, StorageError> {
        self.disk.create(name).map(|file| WatchedFile(file, Arc::clone(&self.on_read)))
    }

    fn open(&self, name: &str) -> Result<WatchedFile, StorageError> {
        self.disk.open(name).map(|file| WatchedFile(file, Arc::clone(&self.on_read)))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.disk.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.disk.rename(from, to)
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        self.disk.sync_directory()
    }
}

impl StorageFile for WatchedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        (self.1)(buffer.len());
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.write_at(offset, bytes)
    }

    fn set_len(&self, length: u64) -> Result<(), StorageError> {
        self.0.set_len(length)
    }

    fn len(&self) -> Result<u64, StorageError> {
        self.0.len()
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.0.sync_data()
    }
}
