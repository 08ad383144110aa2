//! Snapshots beside a log: sent to followers that lack what the log does not have any more, and received from a leader.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

use replication_log::Lsn;
use replication_log::ship::SnapshotOffer;
use replication_log::snapshot::{SnapshotError, SnapshotIdentity, SnapshotReader, SnapshotWriter, Snapshots};
use replication_log::storage::{Storage, StorageError, StorageErrorKind};

use super::TaskError;

/// So many followers are sent a snapshot at a time without one of them having to look for its place again.
const CURSORS: usize = 4;

/// The snapshots of a node, and those that are on their way from or to it.
pub struct Photographs<S: Storage> {
    snapshots: Snapshots<S>,
    /// Where followers are, the one that read last at the end.
    cursors: Vec<Cursor<S>>,
    incoming: Option<Incoming<S>>,
    /// Those of which a part could not be read: to offer one again is to break off at that part again.
    damaged: BTreeSet<Lsn>,
    /// Where somebody had got to in a file that another one took the place of: what follows there need not go with it.
    broken_off: BTreeSet<(Lsn, u64)>,
    /// Whether there is less to begin with than there should be.
    wanted: bool,
}

struct Cursor<S: Storage> {
    reader: SnapshotReader<S::File>,
    offset: u64,
}

/// A snapshot that arrives. One that breaks off leaves nothing behind.
struct Incoming<S: Storage> {
    writer: SnapshotWriter<S>,
    offset: u64,
}

impl<S: Storage + Clone> Photographs<S> {
    /// Of the snapshots in a directory.
    pub fn new(snapshots: Snapshots<S>) -> Self {
        let (damaged, broken_off) = (BTreeSet::new(), BTreeSet::new());
        Self { snapshots, cursors: Vec::new(), incoming: None, damaged, broken_off, wanted: false }
    }

    /// The newest snapshot that a log goes on from which begins with this record, for
    /// [`LogNews::Seen`](crate::LogNews::Seen); none that was found to be damaged. O(snapshots).
    pub fn offer(&mut self, oldest: Lsn) -> Option<SnapshotOffer> {
        let all = self.snapshots.list().ok()?;
        for lsn in all.into_iter().rev().take_while(|lsn| lsn.next() >= Some(oldest)) {
            if self.damaged.contains(&lsn) {
                continue;
            }
            match self.snapshots.read(lsn) {
                Ok(reader) => {
                    return Some(SnapshotOffer { identity: reader.identity(), bytes: reader.state_bytes() });
                }
                Err(error) => self.take_note_of(lsn, &error),
            }
        }
        // Of a log that is whole nobody needs one.
        self.wanted |= oldest > Lsn::FIRST;
        None
    }

    /// Whether another snapshot should be made, though there is nothing new to be put into it: one was found to be
    /// damaged since this was asked last, or whoever lacks the beginning of the log has nothing to begin with.
    pub fn take_wanted(&mut self) -> bool {
        core::mem::take(&mut self.wanted)
    }

    /// Another snapshot was written in the place of the one of this record, if there was one. Whoever was in the middle
    /// of that begins anew.
    pub fn renewed(&mut self, lsn: Lsn) {
        let is_of_it = |cursor: &mut Cursor<S>| cursor.reader.identity().position.lsn == lsn;
        let left = self.cursors.extract_if(.., is_of_it).filter(|cursor| cursor.offset > 0);
        self.broken_off.extend(left.map(|cursor| (lsn, cursor.offset)));
        self.damaged.remove(&lsn);
    }

    /// Forgets the snapshots of what is about to be cut off the log.
    pub fn forget_behind(&mut self, lsn: Lsn) -> Result<(), StorageError> {
        self.cursors.clear();
        self.damaged.retain(|damaged| *damaged <= lsn);
        self.broken_off.clear();
        self.snapshots.remove_after(lsn).map(drop)
    }

    /// What follows so many bytes of a snapshot, for [`LogNews::SnapshotRead`](crate::LogNews::SnapshotRead): a chunk
    /// of it. `None` when it is gone, damaged, or has no more. O(chunk) for whoever reads on where it ended before.
    pub fn read(&mut self, identity: SnapshotIdentity, offset: u64) -> Option<Vec<u8>> {
        self.try_read(identity, offset).unwrap_or_else(|error| {
            self.take_note_of(identity.position.lsn, &error);
            None
        })
    }

    fn try_read(
        &mut self,
        identity: SnapshotIdentity,
        offset: u64,
    ) -> Result<Option<Vec<u8>>, SnapshotError> {
        let here = |cursor: &Cursor<S>| cursor.reader.identity() == identity && cursor.offset == offset;
        let known = self.cursors.iter().position(here).map(|place| self.cursors.remove(place));
        let found = match known {
            None if self.broken_off.remove(&(identity.position.lsn, offset)) => None,
            None => self.seek(identity, offset)?,
            known => known,
        };
        let Some(mut cursor) = found else { return Ok(None) };
        let Some(part) = cursor.reader.next_chunk()?.map(<[u8]>::to_vec) else { return Ok(None) };
        cursor.offset += part.len() as u64;
        if self.cursors.len() == CURSORS {
            self.cursors.remove(0);
        }
        self.cursors.push(cursor);
        Ok(Some(part))
    }

    /// Chunks are verified in their order, so that a place is found by going through what comes before it.
    fn seek(&self, identity: SnapshotIdentity, offset: u64) -> Result<Option<Cursor<S>>, SnapshotError> {
        let mut cursor = Cursor { reader: self.snapshots.read(identity.position.lsn)?, offset: 0 };
        if cursor.reader.identity() != identity {
            return Ok(None);
        }
        while cursor.offset < offset {
            let Some(part) = cursor.reader.next_chunk()? else { return Ok(None) };
            cursor.offset += part.len() as u64;
        }
        Ok((cursor.offset == offset).then_some(cursor))
    }

    /// What is gone is not offered again anyhow. All else would be, and is damaged, or the disk cannot read it: it will
    /// not be read to its end before it is written anew.
    fn take_note_of(&mut self, lsn: Lsn, error: &SnapshotError) {
        let is_gone = |error: &StorageError| error.kind == StorageErrorKind::NotFound;
        if !matches!(error, SnapshotError::Storage(error) if is_gone(error)) {
            self.wanted |= self.damaged.insert(lsn);
        }
    }

    /// Takes what follows of a snapshot that another node sends ([`LogTask::KeepSnapshot`](crate::LogTask)). An attempt
    /// of before is given up with the first bytes of the next one.
    pub fn keep(&mut self, identity: SnapshotIdentity, offset: u64, part: &[u8]) -> Result<(), TaskError> {
        if offset == 0 {
            // The one before it is gone before another one may have its name.
            self.incoming = None;
            let writer = self.snapshots.receive_at_leisure(identity)?;
            self.incoming = Some(Incoming { writer, offset });
        }
        let incoming = self.incoming.as_mut().filter(|incoming| incoming.offset == offset);
        let incoming = incoming.filter(|incoming| incoming.writer.identity() == identity);
        let Incoming { writer, offset } = incoming.ok_or(TaskError::NotWhole { identity })?;
        let written = writer.write(part);
        *offset += part.len() as u64;
        if written.is_err() {
            // It will never be whole.
            self.incoming = None;
        }
        Ok(written?)
    }

    /// The snapshot of which everything was kept so far, if one arrives.
    pub fn arriving(&self) -> Option<SnapshotIdentity> {
        self.incoming.as_ref().map(|incoming| incoming.writer.identity())
    }

    /// Gives a snapshot its name that is whole, durably.
    pub fn finish(&mut self, identity: SnapshotIdentity) -> Result<(), TaskError> {
        let incoming = self.incoming.take().filter(|incoming| incoming.writer.identity() == identity);
        Ok(incoming.ok_or(TaskError::NotWhole { identity })?.writer.finish()?)
    }
}

impl<S: Storage + Clone> fmt::Debug for Photographs<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Photographs").field("arrives", &self.arriving()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use replication_log::storage::{MemoryStorage, StorageFile};
    use replication_log::{Epoch, Position};

    use super::*;

    const LSN: Lsn = Lsn::new(9);

    fn identity() -> SnapshotIdentity {
        SnapshotIdentity { log_id: 1, position: Position { lsn: LSN, epoch: Epoch::new(1), checksum: 5 } }
    }

    fn write(snapshots: &Snapshots<MemoryStorage>, bytes: &[u8]) {
        let mut writer = snapshots.receive(identity()).unwrap();
        writer.write(bytes).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn whoever_was_in_the_middle_of_a_file_that_is_renewed_begins_anew() {
        let snapshots = Snapshots::open(MemoryStorage::new()).unwrap().chunk_bytes(4);
        write(&snapshots, b"one two thre");
        let mut photographs = Photographs::new(snapshots.clone());
        assert_eq!(photographs.read(identity(), 0).unwrap(), b"one ");
        write(&snapshots, b"1, 2, 3, 4, ");
        photographs.renewed(LSN);
        assert_eq!(photographs.read(identity(), 4), None);
        assert_eq!(photographs.read(identity(), 0).unwrap(), b"1, 2");
        assert_eq!(photographs.read(identity(), 4).unwrap(), b", 3,");
        assert!(!photographs.take_wanted());
    }

    #[test]
    fn what_is_damaged_is_not_offered_before_it_is_renewed() {
        let storage = MemoryStorage::new();
        let snapshots = Snapshots::open(storage.clone()).unwrap().chunk_bytes(4);
        write(&snapshots, b"one two thre");
        let mut photographs = Photographs::new(snapshots.clone());
        let offer = photographs.offer(LSN).unwrap();
        let file = storage.open(&storage.list().unwrap()[0]).unwrap();
        let middle = file.len().unwrap() / 2;
        file.write_at(middle, &[0xFF]).unwrap();
        let mut parts = (0..3).map(|part| photographs.read(offer.identity, part * 4));
        assert!(parts.any(|part| part.is_none()));
        assert_eq!((photographs.offer(LSN), photographs.take_wanted()), (None, true));
        write(&snapshots, b"one two thre");
        photographs.renewed(LSN);
        assert_eq!(photographs.offer(LSN), Some(offer));
        assert_eq!(photographs.offer(Lsn::new(11)), None, "the log does not go on from it");
        // What is gone is wanted, too, where the log is not whole.
        storage.remove(&storage.list().unwrap()[0]).unwrap();
        photographs.take_wanted();
        assert_eq!((photographs.offer(Lsn::FIRST), photographs.take_wanted()), (None, false));
        assert_eq!((photographs.offer(LSN), photographs.take_wanted()), (None, true));
    }
}
