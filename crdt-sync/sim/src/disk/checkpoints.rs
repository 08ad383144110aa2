//! Checkpoints on a disk that can lose power, as a driver keeps them: the last two, and the log from the older one on.

use replication_log::Lsn;
use replication_log::snapshot::Snapshots;
use replication_log::storage::FaultStorage;

use super::{Disk, DiskError};

/// Small, so that one has several chunks.
pub(super) const CHUNK_BYTES: u32 = 256;

impl Disk {
    /// The checkpoints there are, oldest first. What was never finished is removed.
    pub(super) fn snapshots(&self) -> Result<Snapshots<FaultStorage>, DiskError> {
        Ok(Snapshots::open(self.storage.clone())?.chunk_bytes(CHUNK_BYTES))
    }

    /// The records that checkpoints stand for, oldest first. Each of them must serve.
    pub(crate) fn checkpoints(&self) -> Result<Vec<Lsn>, DiskError> {
        Ok(self.snapshots()?.list()?)
    }

    /// The bytes of a checkpoint, which must go with the log.
    pub(crate) fn read_checkpoint(&self, lsn: Lsn) -> Result<Vec<u8>, DiskError> {
        let log = self.log.as_ref().ok_or(DiskError::Closed)?;
        let mut reader = self.snapshots()?.read(lsn)?;
        reader.usable_with(log)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = reader.next_chunk()? {
            bytes.extend_from_slice(chunk);
        }
        Ok(bytes)
    }

    /// Writes a checkpoint and drops what is older than the one before it. Returns the oldest record left in the log.
    ///
    /// `ignores_the_floor` is a planted mistake: the log is cut as far as it can be.
    pub(crate) fn put_away(
        &mut self,
        lsn: Lsn,
        bytes: &[u8],
        ignores_the_floor: bool,
    ) -> Result<Lsn, DiskError> {
        let snapshots = self.snapshots()?;
        let before = snapshots.newest()?.filter(|before| *before < lsn);
        let log = self.log.as_mut().ok_or(DiskError::Closed)?;
        let mut writer = snapshots.begin(log, lsn)?;
        writer.write(bytes)?;
        writer.finish()?;
        if let Some(served) = &mut self.shared.served {
            served.renewed(lsn);
        }
        let Some(before) = before.filter(|_| !self.shared.keeps_all) else { return Ok(log.oldest()) };
        snapshots.remove_before(before)?;
        let needed = if ignores_the_floor { log.last() } else { before };
        Ok(log.truncate_before(Lsn::new(needed.get() + 1))?)
    }
}
