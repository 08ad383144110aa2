//! A directory in memory that fails and loses power when told to.

mod disk;

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use disk::{Disk, EntryChange, Inode};

use super::{
    Storage, StorageError, StorageErrorKind, StorageFile, StorageOperation,
    memory::{copy_out, not_found, too_large},
    shared::Shared,
};
use crate::mix::mix;

/// What a disk writes in one piece: a sector is kept or lost as a whole.
pub const SECTOR_BYTES: usize = 512;

/// A directory in memory with two images: *live*, what a running machine reads, and *durable*, what
/// a power cut leaves.
///
/// A write changes the live image. Syncing a file makes its sectors durable, syncing the directory
/// makes its entries durable. At [`crash`](FaultStorage::crash), [`Survivors`] choose which
/// unsynced sectors and entries had reached the disk on their own, in any order; everything else is
/// gone, and files opened before are disconnected.
///
/// Errors can be ordered in advance: a machine that stops after some operations, a full device, a
/// failing sync, a lying one. Like Linux, a failed sync reports its error once, forgets which
/// sectors were unsynced, and keeps showing the bytes to readers: they are lost at the next crash
/// although later syncs succeed.
///
/// Clones share the same disk. The model after redb's `CrashBackend` and Pillai et al., *All file
/// systems are not created equal* (OSDI 2014).
///
/// ```
/// use replication_log::storage::{FaultStorage, Storage, StorageFile, Survivors};
///
/// let disk = FaultStorage::new();
/// let file = disk.create("a")?;
/// disk.sync_directory()?;
/// file.write_at(0, b"synced")?;
/// file.sync_data()?;
/// file.write_at(6, b", not synced")?;
///
/// disk.crash(Survivors::NOTHING);
/// assert_eq!(disk.bytes("a").as_deref(), Some(&b"synced"[..]));
/// # Ok::<(), replication_log::storage::StorageError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FaultStorage {
    disk: Shared<Disk>,
}

/// Which unsynced changes had reached the disk when the power went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survivors {
    /// Of the unsynced sectors, counted over all files in the order of their creation.
    pub sectors: Keep,
    /// Of the unsynced directory changes, counted in the order they were made.
    pub entries: Keep,
}

impl Survivors {
    /// A disk that wrote nothing before it was told to.
    pub const NOTHING: Self = Self { sectors: Keep::None, entries: Keep::None };
    /// A disk that wrote everything at once.
    pub const EVERYTHING: Self = Self { sectors: Keep::All, entries: Keep::All };
}

/// A choice among changes that are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// None of them.
    None,
    /// All of them.
    All,
    /// This one alone.
    Only(usize),
    /// All others.
    AllBut(usize),
    /// Each with probability one half, decided by a seed.
    Random(u64),
}

impl Keep {
    fn keeps(self, index: usize) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(only) => index == only,
            Self::AllBut(but) => index != but,
            Self::Random(seed) => mix(seed, index as u64) & 1 == 1,
        }
    }
}

impl FaultStorage {
    /// An empty, healthy disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power: what was unsynced is lost unless it is among the survivors, and all ordered
    /// errors are cleared.
    pub fn crash(&self, survivors: Survivors) {
        let mut disk = self.disk.lock();
        disk.lose_power(survivors);
    }

    /// Lets `count` more changing operations succeed and fails every operation after them, as if
    /// the machine had stopped, until [`crash`](Self::crash).
    pub fn stop_after(&self, count: u64) {
        let mut disk = self.disk.lock();
        disk.stop_at = Some(disk.operations + count);
    }

    /// Ends what [`stop_after`](Self::stop_after) ordered without cutting the power: a process
    /// died, and its successor finds all that was written, synced or not.
    pub fn resume(&self) {
        self.disk.lock().stop_at = None;
    }

    /// Fails the next `count` syncs of files and directory. The bytes they were to make durable
    /// will never be.
    pub fn fail_syncs(&self, count: u64) {
        self.disk.lock().failing_syncs = count;
    }

    /// Makes syncs report success without doing anything, as some disks do, or stops that.
    pub fn lie_about_syncs(&self, lie: bool) {
        self.disk.lock().lying_syncs = lie;
    }

    /// Leaves room for files to grow by this much in total. A write that needs more is cut short;
    /// `None` lifts the limit.
    pub fn limit_space(&self, free_bytes: Option<u64>) {
        self.disk.lock().free_bytes = free_bytes;
    }

    /// How many operations have changed or synced anything so far.
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// How many times a file was synced so far.
    pub fn syncs(&self) -> u64 {
        self.disk.lock().syncs
    }

    /// How many sectors a crash would decide about now.
    pub fn unsynced_sectors(&self) -> usize {
        self.disk.lock().inodes.iter().map(Inode::choices).sum()
    }

    /// How many directory changes a crash would decide about now.
    pub fn unsynced_entries(&self) -> usize {
        self.disk.lock().unsynced_entries.len()
    }

    /// A copy of the live bytes of a file.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        disk.live.get(name).and_then(|&inode| disk.inodes.get(inode)).map(|inode| inode.live.clone())
    }

    /// Replaces or creates a file, durably.
    pub fn set_bytes(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.disk.lock();
        let inode = disk.inodes.len();
        disk.inodes.push(Inode { durable: bytes.clone(), live: bytes, ..Inode::default() });
        disk.live.insert(name.to_string(), inode);
        disk.durable.insert(name.to_string(), inode);
    }

    /// Flips one bit of a file, durably, as a decaying disk does. Nothing happens beyond the file's
    /// end.
    pub fn flip_bit(&self, name: &str, bit: usize) {
        let mut disk = self.disk.lock();
        let Some(&index) = disk.live.get(name) else { return };
        let Some(inode) = disk.inodes.get_mut(index) else {
            return;
        };
        for image in [&mut inode.live, &mut inode.durable] {
            if let Some(byte) = image.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }
}

impl Storage for FaultStorage {
    type File = FaultFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        let disk = self.disk.lock();
        disk.check_running(StorageOperation::List, "")?;
        Ok(disk.live.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> Result<FaultFile, StorageError> {
        let mut disk = self.disk.lock();
        disk.begin(StorageOperation::Create, name)?;
        if disk.live.contains_key(name) {
            return Err(StorageError::new(StorageErrorKind::AlreadyExists, StorageOperation::Create, name));
        }
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.live.insert(name.to_string(), inode);
        disk.unsynced_entries.push(EntryChange::Create(name.to_string(), inode));
        Ok(self.file(inode, disk.boots, name))
    }

    fn open(&self, name: &str) -> Result<FaultFile, StorageError> {
        let disk = self.disk.lock();
        disk.check_running(StorageOperation::Open, name)?;
        let &inode = disk.live.get(name).ok_or_else(|| not_found(StorageOperation::Open, name))?;
        Ok(self.file(inode, disk.boots, name))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let mut disk = self.disk.lock();
        disk.begin(StorageOperation::Remove, name)?;
        disk.live.remove(name).ok_or_else(|| not_found(StorageOperation::Remove, name))?;
        disk.unsynced_entries.push(EntryChange::Remove(name.to_string()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let mut disk = self.disk.lock();
        disk.begin(StorageOperation::Rename, from)?;
        let inode = disk.live.remove(from).ok_or_else(|| not_found(StorageOperation::Rename, from))?;
        disk.live.insert(to.to_string(), inode);
        disk.unsynced_entries.push(EntryChange::Rename(from.to_string(), to.to_string(), inode));
        Ok(())
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        let mut disk = self.disk.lock();
        disk.begin(StorageOperation::SyncDirectory, "")?;
        disk.begin_sync(StorageOperation::SyncDirectory, "", |disk| {
            disk.unsynced_entries.clear();
        })?;
        if !disk.lying_syncs {
            disk.durable = disk.live.clone();
            disk.unsynced_entries.clear();
        }
        Ok(())
    }
}

impl FaultStorage {
    fn file(&self, inode: usize, boots: u64, name: &str) -> FaultFile {
        FaultFile { disk: self.disk.clone(), inode, boots, name: name.to_string() }
    }
}

/// An open file of a [`FaultStorage`].
#[derive(Clone, Debug)]
pub struct FaultFile {
    disk: Shared<Disk>,
    inode: usize,
    boots: u64,
    name: String,
}

impl FaultFile {
    /// Runs `action` on the file, unless the machine has stopped.
    fn with<R>(
        &self,
        operation: StorageOperation,
        action: impl FnOnce(&mut Disk, usize) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        let mut disk = self.disk.lock();
        let known = self.boots == disk.boots && self.inode < disk.inodes.len();
        if !known {
            return Err(StorageError::new(StorageErrorKind::Disconnected, operation, &self.name));
        }
        match operation {
            StorageOperation::Read => disk.check_running(operation, &self.name)?,
            _ => disk.begin(operation, &self.name)?,
        }
        action(&mut disk, self.inode)
    }
}

impl StorageFile for FaultFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.with(StorageOperation::Read, |disk, inode| {
            Ok(copy_out(&disk.inodes[inode].live, offset, buffer))
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.with(StorageOperation::Write, |disk, inode| {
            let fits = disk.claim_space(inode, offset, bytes.len());
            disk.inodes[inode]
                .write(offset, &bytes[..fits])
                .ok_or_else(|| too_large(StorageOperation::Write, &self.name))?;
            if fits < bytes.len() { Err(too_large(StorageOperation::Write, &self.name)) } else { Ok(()) }
        })
    }

    fn set_len(&self, length: u64) -> Result<(), StorageError> {
        self.with(StorageOperation::Length, |disk, inode| {
            let length =
                usize::try_from(length).map_err(|_| too_large(StorageOperation::Length, &self.name))?;
            disk.inodes[inode].set_len(length);
            Ok(())
        })
    }

    fn len(&self) -> Result<u64, StorageError> {
        self.with(StorageOperation::Read, |disk, inode| Ok(disk.inodes[inode].live.len() as u64))
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.with(StorageOperation::SyncData, |disk, inode| {
            disk.syncs += 1;
            disk.begin_sync(StorageOperation::SyncData, &self.name, |disk| {
                disk.inodes[inode].forget();
            })?;
            if !disk.lying_syncs {
                disk.inodes[inode].sync();
            }
            Ok(())
        })
    }
}
