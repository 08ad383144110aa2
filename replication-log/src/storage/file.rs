//! A directory of the operating system. Nothing else in this crate touches files.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is the door to the disk")]

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use fs4::{FileExt, TryLockError};

use super::{Storage, StorageError, StorageErrorKind, StorageFile, StorageOperation};

/// The file whose lock stands for the whole directory.
const LOCK_NAME: &str = "lock";

/// A real directory, locked against every other process and handle while any clone of this is alive,
/// or open for reading only and not locked at all.
///
/// Reads and writes are positioned (`pread`, `pwrite`); syncs are `fdatasync` (`F_FULLFSYNC` on
/// Apple systems). On Windows the directory itself cannot be synced and the file system's own
/// ordering is relied upon.
///
/// ```
/// use replication_log::storage::{FileStorage, StorageErrorKind};
///
/// let directory = tempfile::tempdir()?;
/// let storage = FileStorage::open(directory.path())?;
/// assert_eq!(FileStorage::open(directory.path()).unwrap_err().kind, StorageErrorKind::Locked);
/// drop(storage);
/// FileStorage::open(directory.path())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileStorage {
    directory: PathBuf,
    /// Without it nothing may be changed.
    lock: Option<Arc<DirectoryLock>>,
}

/// The lock on a directory. The operating system releases it when the process is killed.
#[derive(Debug)]
struct DirectoryLock(File);

impl DirectoryLock {
    fn take(directory: &Path, name: &str) -> Result<Self, StorageError> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join(LOCK_NAME))
            .map_err(|error| failure(StorageOperation::Lock, LOCK_NAME, &error))?;
        // Spelt out because newer standard libraries have a method of the same name.
        FileExt::try_lock(&lock).map_err(|error| match error {
            TryLockError::WouldBlock => {
                StorageError::new(StorageErrorKind::Locked, StorageOperation::Lock, name)
            }
            TryLockError::Error(error) => failure(StorageOperation::Lock, LOCK_NAME, &error),
        })?;
        Ok(Self(lock))
    }
}

/// Given back and not merely closed: a process that was just started elsewhere in this one shares the open file for a
/// moment, and would keep the lock that long.
impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing the file is what remains if this fails, and what the next statement does.
        let _ = FileExt::unlock(&self.0);
    }
}

impl FileStorage {
    /// Opens `directory`, creating it if need be, and locks it.
    ///
    /// Fails with [`StorageErrorKind::Locked`] while another process or handle has it.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StorageError> {
        let directory = directory.as_ref().to_path_buf();
        let name = directory.to_string_lossy().into_owned();
        let create = || create_directory(&directory);
        create().map_err(|error| failure(StorageOperation::Open, &name, &error))?;
        let lock = DirectoryLock::take(&directory, &name)?;
        Ok(Self { directory, lock: Some(Arc::new(lock)) })
    }

    /// Opens an existing `directory` to look at it. Creating, removing and renaming fails with
    /// [`StorageErrorKind::ReadOnly`], and writing to a file as the operating system words it.
    ///
    /// Takes no lock, not even a shared one: that would be refused beside a live writer, and would
    /// keep a writer from starting for as long as someone looks. Whoever reads must therefore expect
    /// files to grow and to go, as [`ReadOnlyLog`](crate::ReadOnlyLog) does.
    pub fn open_read_only(directory: impl AsRef<Path>) -> Result<Self, StorageError> {
        let directory = directory.as_ref().to_path_buf();
        let name = directory.to_string_lossy().into_owned();
        fs::read_dir(&directory).map_err(|error| failure(StorageOperation::Open, &name, &error))?;
        Ok(Self { directory, lock: None })
    }

    /// Refuses to change a directory that is only read.
    fn check_writable(&self, operation: StorageOperation, name: &str) -> Result<(), StorageError> {
        let refusal = || StorageError::new(StorageErrorKind::ReadOnly, operation, name);
        self.lock.as_ref().map(drop).ok_or_else(refusal)
    }

    fn path(&self, operation: StorageOperation, name: &str) -> Result<PathBuf, StorageError> {
        let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', ':', '\0']);
        if plain && name != LOCK_NAME {
            Ok(self.directory.join(name))
        } else {
            Err(StorageError::new(StorageErrorKind::InvalidName, operation, name))
        }
    }
}

impl Storage for FileStorage {
    type File = DiskFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.directory)? {
                let entry = entry?;
                let name = entry.file_name().into_string().ok().filter(|name| name != LOCK_NAME);
                if let Some(name) = name.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file())) {
                    names.push(name);
                }
            }
            names.sort_unstable();
            Ok(names)
        };
        list().map_err(|error| failure(StorageOperation::List, "", &error))
    }

    fn create(&self, name: &str) -> Result<DiskFile, StorageError> {
        self.check_writable(StorageOperation::Create, name)?;
        let path = self.path(StorageOperation::Create, name)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        file.map(|file| DiskFile::new(file, name))
            .map_err(|error| failure(StorageOperation::Create, name, &error))
    }

    fn open(&self, name: &str) -> Result<DiskFile, StorageError> {
        let path = self.path(StorageOperation::Open, name)?;
        let file = OpenOptions::new().read(true).write(self.lock.is_some()).open(path);
        file.map(|file| DiskFile::new(file, name))
            .map_err(|error| failure(StorageOperation::Open, name, &error))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.check_writable(StorageOperation::Remove, name)?;
        let path = self.path(StorageOperation::Remove, name)?;
        fs::remove_file(path).map_err(|error| failure(StorageOperation::Remove, name, &error))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let operation = StorageOperation::Rename;
        self.check_writable(operation, from)?;
        let (source, target) = (self.path(operation, from)?, self.path(operation, to)?);
        fs::rename(source, target).map_err(|error| failure(operation, from, &error))
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        self.check_writable(StorageOperation::SyncDirectory, "")?;
        sync_directory(&self.directory).map_err(|error| failure(StorageOperation::SyncDirectory, "", &error))
    }
}

/// An open file of a [`FileStorage`].
#[derive(Debug)]
pub struct DiskFile {
    file: positioned::PositionedFile,
    name: String,
}

impl DiskFile {
    fn new(file: File, name: &str) -> Self {
        Self { file: positioned::PositionedFile::new(file), name: name.to_owned() }
    }
}

impl StorageFile for DiskFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failure(StorageOperation::Read, &self.name, &error)),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| failure(StorageOperation::Write, &self.name, &error))
    }

    fn set_len(&self, length: u64) -> Result<(), StorageError> {
        let outcome = self.file.file().set_len(length);
        outcome.map_err(|error| failure(StorageOperation::Length, &self.name, &error))
    }

    fn len(&self) -> Result<u64, StorageError> {
        let metadata = self.file.file().metadata();
        metadata.map(|data| data.len()).map_err(|error| failure(StorageOperation::Length, &self.name, &error))
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.file.file().sync_data().map_err(|error| failure(StorageOperation::SyncData, &self.name, &error))
    }
}

/// Creates the directory and makes its name durable: a log is no safer than the path that leads to it.
fn create_directory(directory: &Path) -> io::Result<()> {
    let missing = directory.ancestors().take_while(|path| !path.is_dir()).count();
    fs::create_dir_all(directory)?;
    // Also the name of a directory that is there already: an earlier attempt may have stopped
    // before this.
    for created in directory.ancestors().take(missing.max(1)) {
        let parent = created.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_directory(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature on every system")]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

fn failure(operation: StorageOperation, name: &str, error: &io::Error) -> StorageError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => StorageErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => StorageErrorKind::AlreadyExists,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageErrorKind::NoSpace,
        io::ErrorKind::PermissionDenied => StorageErrorKind::PermissionDenied,
        _ => StorageErrorKind::Other(error.to_string()),
    };
    StorageError::new(kind, operation, name)
}

#[cfg(unix)]
mod positioned {
    use std::{fs::File, io, os::unix::fs::FileExt};

    /// A file that is read and written at offsets by one system call each.
    #[derive(Debug)]
    pub(super) struct PositionedFile(File);

    impl PositionedFile {
        pub(super) fn new(file: File) -> Self {
            Self(file)
        }

        pub(super) fn file(&self) -> &File {
            &self.0
        }

        pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            self.0.read_at(buffer, offset)
        }

        pub(super) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.0.write_all_at(bytes, offset)
        }
    }
}

#[cfg(not(unix))]
mod positioned {
    use std::{
        fs::File,
        io::{self, Read, Seek, SeekFrom, Write},
        sync::{Mutex, PoisonError},
    };

    /// A file whose one cursor is guarded by a lock, for systems without positioned calls in the
    /// standard library.
    #[derive(Debug)]
    pub(super) struct PositionedFile {
        file: File,
        cursor: Mutex<()>,
    }

    impl PositionedFile {
        pub(super) fn new(file: File) -> Self {
            Self { file, cursor: Mutex::new(()) }
        }

        pub(super) fn file(&self) -> &File {
            &self.file
        }

        pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let _cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
            let mut file = &self.file;
            file.seek(SeekFrom::Start(offset))?;
            file.read(buffer)
        }

        pub(super) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            let _cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
            let mut file = &self.file;
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DirectoryLock;

    /// A process that was just started has, until its first instruction, all open files of its parent: as does a copy
    /// of the handle.
    #[test]
    fn a_directory_is_free_once_it_is_closed_whoever_else_has_the_lock_file_open() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let take = || DirectoryLock::take(directory.path(), "here").expect("free");
        let lock = take();
        let still_open = lock.0.try_clone().expect("a copy");
        drop(lock);
        drop(take());
        drop(still_open);
    }
}
