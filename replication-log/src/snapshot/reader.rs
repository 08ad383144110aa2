//! Reading a snapshot back, chunk by chunk.

use alloc::vec::Vec;

use super::{
    SnapshotDamage, SnapshotError, SnapshotIdentity, UnusableSnapshot,
    format::{CHUNK_HEADER_BYTES, FOOTER_BYTES, FORMAT_VERSION, Footer, HEADER_BYTES, Header},
};
use crate::{
    Log, Lsn, PositionError, ReadError,
    segment::{HeaderError, read_le},
    storage::{Storage, StorageFile, chunk_of},
};

/// Lends the bytes of a snapshot chunk by chunk, each verified before it is lent.
///
/// It holds one chunk in memory. Only when it has returned `None` is the snapshot as a whole known
/// to be intact: what was restored from it must not be used before. See the [module](super) for an
/// example.
#[derive(Debug)]
pub struct SnapshotReader<F> {
    file: F,
    header: Header,
    footer: Footer,
    /// The checksum of the last chunk verified.
    checksum: u32,
    offset: u64,
    /// How many chunks were lent, and how many bytes are still to come.
    chunks: u64,
    left: u64,
    buffer: Vec<u8>,
}

impl<F: StorageFile> SnapshotReader<F> {
    pub(super) fn open(file: F, lsn: Lsn) -> Result<Self, SnapshotError> {
        let damaged = |damage, offset| Err(SnapshotError::Damaged { lsn, damage, offset });
        let mut bytes = [0; HEADER_BYTES];
        if file.read_at(0, &mut bytes)? < HEADER_BYTES {
            return damaged(SnapshotDamage::Header, 0);
        }
        let header = match Header::decode(&bytes) {
            Ok(header) => header,
            Err(HeaderError::Damaged) => return damaged(SnapshotDamage::Header, 0),
            Err(HeaderError::Version(found)) => {
                return Err(SnapshotError::UnsupportedVersion { lsn, found, supported: FORMAT_VERSION });
            }
        };
        if header.identity.position.lsn != lsn {
            return damaged(SnapshotDamage::Misplaced, 0);
        }
        let length = file.len()?;
        let footer_offset = length.saturating_sub(FOOTER_BYTES as u64).max(HEADER_BYTES as u64);
        let mut bytes = [0; FOOTER_BYTES];
        let count = file.read_at(footer_offset, &mut bytes)?;
        let footer = Footer::decode(&bytes, &header).filter(|_| count == FOOTER_BYTES);
        let Some(footer) = footer else {
            return damaged(SnapshotDamage::Footer, footer_offset);
        };
        if header.file_bytes(footer.state_bytes) != Some(length) {
            return damaged(SnapshotDamage::Length, footer_offset);
        }
        let (checksum, left) = (header.checksum(), footer.state_bytes);
        let offset = HEADER_BYTES as u64;
        Ok(Self { file, header, footer, checksum, offset, chunks: 0, left, buffer: Vec::new() })
    }

    /// What the snapshot is of.
    pub fn identity(&self) -> SnapshotIdentity {
        self.header.identity
    }

    /// How many bytes of state it holds.
    pub fn state_bytes(&self) -> u64 {
        self.footer.state_bytes
    }

    /// The next bytes of state, or `None` when all were lent and the whole is intact. After an
    /// error it returns that error again.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, SnapshotError> {
        if self.left == 0 {
            let whole = self.checksum == self.footer.last && self.chunks == self.footer.chunks;
            return if whole { Ok(None) } else { Err(self.damaged(SnapshotDamage::Whole)) };
        }
        // The footer's count was compared with the length of the file, so this much is there.
        let state = chunk_of(self.left, self.header.chunk_bytes as usize);
        self.buffer.resize(CHUNK_HEADER_BYTES + state, 0);
        let count = self.file.read_at(self.offset, &mut self.buffer)?;
        let checksum =
            self.header.chunk_checksum(self.checksum, self.chunks, &self.buffer[CHUNK_HEADER_BYTES..]);
        if count < self.buffer.len() || read_le!(u32, self.buffer, 0) != checksum {
            return Err(self.damaged(SnapshotDamage::Chunk));
        }
        self.checksum = checksum;
        self.chunks += 1;
        self.left -= state as u64;
        self.offset += self.buffer.len() as u64;
        Ok(Some(&self.buffer[CHUNK_HEADER_BYTES..]))
    }

    /// Whether `log` continues this snapshot without a gap and holds the batches it was taken of,
    /// so that the two together are all there ever was.
    ///
    /// Compares the running checksum at the snapshot's record; costs what
    /// [`Log::position`] does.
    pub fn usable_with<S: Storage>(&self, log: &Log<S>) -> Result<(), UnusableSnapshot> {
        let here = self.header.identity.position;
        let snapshot = here.lsn;
        match log.position(snapshot) {
            Ok(position) if position.checksum == here.checksum => Ok(()),
            Ok(_) | Err(PositionError::InsideBatch { .. }) => Err(UnusableSnapshot::Diverged { snapshot }),
            Err(PositionError::Truncated { oldest, .. }) => {
                Err(UnusableSnapshot::TooOld { snapshot, oldest })
            }
            Err(PositionError::NotDurable { durable, .. }) => {
                Err(UnusableSnapshot::TooNew { snapshot, durable })
            }
            Err(PositionError::Corrupt(corruption)) => {
                Err(UnusableSnapshot::Unreadable(ReadError::Corrupt(corruption)))
            }
            Err(PositionError::Storage(error)) => {
                Err(UnusableSnapshot::Unreadable(ReadError::Storage(error)))
            }
        }
    }

    fn damaged(&self, damage: SnapshotDamage) -> SnapshotError {
        SnapshotError::Damaged { lsn: self.header.identity.position.lsn, damage, offset: self.offset }
    }
}
