//! The two images of a disk, and what a power cut leaves of them.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use super::{
    super::{StorageError, StorageErrorKind, StorageOperation, chunk_of, memory::copy_in},
    SECTOR_BYTES, Survivors,
};

#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) inodes: Vec<Inode>,
    pub(super) live: BTreeMap<String, usize>,
    pub(super) durable: BTreeMap<String, usize>,
    pub(super) unsynced_entries: Vec<EntryChange>,
    /// Counts power cuts; a file opened before the last one is disconnected.
    pub(super) boots: u64,
    pub(super) operations: u64,
    pub(super) syncs: u64,
    pub(super) stop_at: Option<u64>,
    pub(super) failing_syncs: u64,
    pub(super) lying_syncs: bool,
    pub(super) free_bytes: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Inode {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) unsynced: BTreeSet<usize>,
    /// The shortest length since the last sync, if the file was cut below what is durable.
    pub(super) shrunk: Option<usize>,
}

#[derive(Debug)]
pub(super) enum EntryChange {
    Create(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

impl Disk {
    pub(super) fn check_running(&self, operation: StorageOperation, name: &str) -> Result<(), StorageError> {
        match self.stop_at {
            Some(stop) if self.operations >= stop => {
                Err(StorageError::new(StorageErrorKind::Disconnected, operation, name))
            }
            _ => Ok(()),
        }
    }

    /// Counts a changing operation, unless the machine has stopped.
    pub(super) fn begin(&mut self, operation: StorageOperation, name: &str) -> Result<(), StorageError> {
        self.check_running(operation, name)?;
        self.operations += 1;
        Ok(())
    }

    /// Fails a sync that was ordered to fail, after it has lost what it was to make durable.
    pub(super) fn begin_sync(
        &mut self,
        operation: StorageOperation,
        name: &str,
        lose: impl FnOnce(&mut Self),
    ) -> Result<(), StorageError> {
        if self.failing_syncs == 0 {
            return Ok(());
        }
        self.failing_syncs -= 1;
        lose(self);
        Err(StorageError::new(StorageErrorKind::Other("input/output error".into()), operation, name))
    }

    /// How many of the bytes fit on the device; takes their room.
    pub(super) fn claim_space(&mut self, inode: usize, offset: u64, length: usize) -> usize {
        let Some(free) = self.free_bytes else {
            return length;
        };
        let present = self.inodes[inode].live.len() as u64;
        let growth = (offset + length as u64).saturating_sub(present);
        let granted = growth.min(free);
        self.free_bytes = Some(free - granted);
        length - chunk_of(growth - granted, length)
    }

    pub(super) fn lose_power(&mut self, survivors: Survivors) {
        let mut index = 0;
        for inode in &mut self.inodes {
            inode.lose_power(|| {
                index += 1;
                survivors.sectors.keeps(index - 1)
            });
        }
        for (index, change) in core::mem::take(&mut self.unsynced_entries).into_iter().enumerate() {
            if survivors.entries.keeps(index) {
                change.apply(&mut self.durable);
            }
        }
        self.live = self.durable.clone();
        self.boots += 1;
        (self.stop_at, self.failing_syncs, self.lying_syncs, self.free_bytes) = (None, 0, false, None);
    }
}

impl EntryChange {
    pub(super) fn apply(self, entries: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create(name, inode) => {
                entries.insert(name, inode);
            }
            Self::Remove(name) => {
                entries.remove(&name);
            }
            Self::Rename(from, to, inode) => {
                entries.remove(&from);
                entries.insert(to, inode);
            }
        }
    }
}

impl Inode {
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Option<()> {
        copy_in(&mut self.live, offset, bytes)?;
        let start = usize::try_from(offset).ok()?;
        self.unsynced.extend(start / SECTOR_BYTES..(start + bytes.len()).div_ceil(SECTOR_BYTES));
        Some(())
    }

    pub(super) fn set_len(&mut self, length: usize) {
        if length < self.live.len() {
            self.shrunk = Some(self.shrunk.map_or(length, |shrunk| shrunk.min(length)));
            self.unsynced.retain(|sector| sector * SECTOR_BYTES < length);
        }
        self.live.resize(length, 0);
    }

    /// Only what is unsynced reaches the disk: sectors that a failed sync forgot do not.
    pub(super) fn sync(&mut self) {
        self.persist(|| true);
        self.durable.resize(self.live.len(), 0);
        self.forget();
    }

    pub(super) fn forget(&mut self) {
        self.unsynced.clear();
        self.shrunk = None;
    }

    /// How many choices a crash makes about this file.
    pub(super) fn choices(&self) -> usize {
        self.unsynced.len() + usize::from(self.shrunk.is_some())
    }

    pub(super) fn lose_power(&mut self, keeps: impl FnMut() -> bool) {
        self.persist(keeps);
        self.live.clone_from(&self.durable);
        self.forget();
    }

    fn persist(&mut self, mut keeps: impl FnMut() -> bool) {
        if let Some(length) = self.shrunk
            && keeps()
        {
            self.durable.truncate(length);
        }
        for &sector in &self.unsynced {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(self.live.len());
            if keeps() && start < end {
                if self.durable.len() < end {
                    self.durable.resize(end, 0);
                }
                self.durable[start..end].copy_from_slice(&self.live[start..end]);
            }
        }
    }
}
