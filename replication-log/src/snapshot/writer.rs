//! Writing a snapshot, chunk by chunk.

use alloc::vec::Vec;

use super::{
    SnapshotIdentity, file_name,
    format::{CHUNK_HEADER_BYTES, Footer, HEADER_BYTES, Header},
    unborn_file_name,
};
use crate::storage::{Storage, StorageError, StorageFile, chunk_of};

/// A snapshot that is being written. It holds one chunk in memory.
///
/// Nothing of it is to be seen until [`finish`](SnapshotWriter::finish); dropped before, or after
/// an error, it leaves nothing behind. See the [module](super) for an example.
#[derive(Debug)]
pub struct SnapshotWriter<S: Storage> {
    storage: S,
    file: S::File,
    header: Header,
    /// The checksum of the last chunk written.
    checksum: u32,
    offset: u64,
    /// What the footer will say.
    state_bytes: u64,
    chunks: u64,
    /// The next chunk, with room in front for its checksum.
    chunk: Vec<u8>,
    /// The failure after which nothing further is written.
    failed: Option<StorageError>,
    finished: bool,
}

impl<S: Storage> SnapshotWriter<S> {
    pub(super) fn create(
        storage: S,
        identity: SnapshotIdentity,
        chunk_bytes: u32,
    ) -> Result<Self, StorageError> {
        let header = Header { identity, chunk_bytes };
        let file = storage.create(&unborn_file_name(identity.position.lsn))?;
        let writer = Self {
            storage,
            file,
            header,
            checksum: header.checksum(),
            offset: HEADER_BYTES as u64,
            state_bytes: 0,
            chunks: 0,
            chunk: alloc::vec![0; CHUNK_HEADER_BYTES],
            failed: None,
            finished: false,
        };
        writer.file.write_at(0, &header.encode())?;
        Ok(writer)
    }

    /// What the snapshot is of.
    pub fn identity(&self) -> SnapshotIdentity {
        self.header.identity
    }

    /// Adds bytes at the end; O(bytes), one write to the storage for each full chunk.
    ///
    /// After an error the snapshot cannot be finished: every later call returns that error.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), StorageError> {
        self.check()?;
        let full = CHUNK_HEADER_BYTES + self.header.chunk_bytes as usize;
        while !bytes.is_empty() {
            let count = chunk_of(bytes.len() as u64, full - self.chunk.len());
            let (now, later) = bytes.split_at(count);
            self.chunk.extend_from_slice(now);
            bytes = later;
            if self.chunk.len() == full {
                self.flush_chunk()?;
            }
        }
        Ok(())
    }

    /// Makes the snapshot durable and gives it its name, in place of an older one of the same record.
    ///
    /// Costs one sync of the file and one of the directory. After an error the snapshot may be
    /// there or not, but if it is, it is whole.
    pub fn finish(mut self) -> Result<(), StorageError> {
        self.check()?;
        if self.chunk.len() > CHUNK_HEADER_BYTES {
            self.flush_chunk()?;
        }
        let footer = Footer { state_bytes: self.state_bytes, chunks: self.chunks, last: self.checksum };
        self.file.write_at(self.offset, &footer.encode(&self.header))?;
        // The bytes before the name: a name that survives a crash alone would be taken for a snapshot.
        self.file.sync_data()?;
        let lsn = self.header.identity.position.lsn;
        self.storage.rename(&unborn_file_name(lsn), &file_name(lsn))?;
        self.finished = true;
        self.storage.sync_directory()
    }

    fn flush_chunk(&mut self) -> Result<(), StorageError> {
        let (prefix, state) = self.chunk.split_at_mut(CHUNK_HEADER_BYTES);
        self.checksum = self.header.chunk_checksum(self.checksum, self.chunks, state);
        prefix.copy_from_slice(&self.checksum.to_le_bytes());
        self.state_bytes += state.len() as u64;
        let written = self.file.write_at(self.offset, &self.chunk);
        written.inspect_err(|error| self.failed = Some(error.clone()))?;
        self.chunks += 1;
        self.offset += self.chunk.len() as u64;
        self.chunk.truncate(CHUNK_HEADER_BYTES);
        Ok(())
    }

    fn check(&self) -> Result<(), StorageError> {
        self.failed.clone().map_or(Ok(()), Err)
    }
}

impl<S: Storage> Drop for SnapshotWriter<S> {
    fn drop(&mut self) {
        if !self.finished {
            // If it cannot be removed now, the next opening does it.
            self.storage.remove(&unborn_file_name(self.header.identity.position.lsn)).ok();
        }
    }
}
