//! A disk on which someone watches every read of a file, and every sync.

use std::sync::Arc;

use replication_log::storage::{FaultFile, FaultStorage, Storage, StorageError, StorageFile};

/// What is about to happen to a file.
enum Access {
    /// So many bytes are asked for.
    Read(usize),
    Sync,
}

type Watcher = Arc<dyn Fn(Access) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) disk: FaultStorage,
    watcher: Watcher,
}

impl Watched {
    /// Calls `on_read` before every read with the number of bytes asked for.
    pub(crate) fn reads(disk: FaultStorage, on_read: impl Fn(usize) + Send + Sync + 'static) -> Self {
        let watcher = move |access| {
            if let Access::Read(bytes) = access {
                on_read(bytes);
            }
        };
        Self { disk, watcher: Arc::new(watcher) }
    }

    /// Calls `on_sync` before every sync of a file.
    pub(crate) fn syncs(disk: FaultStorage, on_sync: impl Fn() + Send + Sync + 'static) -> Self {
        let watcher = move |access| {
            if let Access::Sync = access {
                on_sync();
            }
        };
        Self { disk, watcher: Arc::new(watcher) }
    }

    fn watch(&self, file: FaultFile) -> WatchedFile {
        WatchedFile(file, Arc::clone(&self.watcher))
    }
}

pub(crate) struct WatchedFile(FaultFile, Watcher);

impl Storage for Watched {
    type File = WatchedFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> Result<WatchedFile, StorageError> {
        self.disk.create(name).map(|file| self.watch(file))
    }

    fn open(&self, name: &str) -> Result<WatchedFile, StorageError> {
        self.disk.open(name).map(|file| self.watch(file))
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
        (self.1)(Access::Read(buffer.len()));
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
        (self.1)(Access::Sync);
        self.0.sync_data()
    }
}
