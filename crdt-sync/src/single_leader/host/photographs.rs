//! Snapshots beside a log: sent to followers that lack what the log does not have any more, and received from a leader.

use alloc::vec::Vec;
use core::fmt;

use replication_log::Lsn;
use replication_log::ship::SnapshotOffer;
use replication_log::snapshot::{SnapshotIdentity, SnapshotReader, SnapshotWriter, Snapshots};
use replication_log::storage::{Storage, StorageError};

use super::TaskError;

/// So many followers are sent a snapshot at a time without one of them having to look for its place again.
const CURSORS: usize = 4;

/// The snapshots of a node, and those that are on their way from or to it.
pub struct Photographs<S: Storage> {
    snapshots: Snapshots<S>,
    /// Where followers are, the one that read last at the end.
    cursors: Vec<Cursor<S>>,
    incoming: Option<Incoming<S>>,
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
        Self { snapshots, cursors: Vec::new(), incoming: None }
    }

    /// The newest snapshot that can be read, for [`LogNews::Seen`](crate::LogNews::Seen). O(snapshots).
    pub fn offer(&self) -> Option<SnapshotOffer> {
        let newest = self.snapshots.list().ok()?.into_iter().rev();
        let mut whole = newest.filter_map(|lsn| self.snapshots.read(lsn).ok());
        whole.next().map(|reader| SnapshotOffer { identity: reader.identity(), bytes: reader.state_bytes() })
    }

    /// Forgets the snapshots of what is about to be cut off the log.
    pub fn forget_behind(&mut self, lsn: Lsn) -> Result<(), StorageError> {
        self.cursors.clear();
        self.snapshots.remove_after(lsn).map(drop)
    }

    /// What follows so many bytes of a snapshot, for [`LogNews::SnapshotRead`](crate::LogNews::SnapshotRead): a chunk
    /// of it. `None` when it is gone, damaged, or has no more. O(chunk) for whoever reads on where it ended before.
    pub fn read(&mut self, identity: SnapshotIdentity, offset: u64) -> Option<Vec<u8>> {
        let here = |cursor: &Cursor<S>| cursor.reader.identity() == identity && cursor.offset == offset;
        let mut cursor = match self.cursors.iter().position(here) {
            Some(place) => self.cursors.remove(place),
            None => self.seek(identity, offset)?,
        };
        let part = cursor.reader.next_chunk().ok()??.to_vec();
        cursor.offset += part.len() as u64;
        if self.cursors.len() == CURSORS {
            self.cursors.remove(0);
        }
        self.cursors.push(cursor);
        Some(part)
    }

    /// Chunks are verified in their order, so that a place is found by going through what comes before it.
    fn seek(&self, identity: SnapshotIdentity, offset: u64) -> Option<Cursor<S>> {
        let reader = self.snapshots.read(identity.position.lsn).ok()?;
        let mut cursor = Cursor { reader, offset: 0 };
        while cursor.offset < offset {
            cursor.offset += cursor.reader.next_chunk().ok()??.len() as u64;
        }
        (cursor.offset == offset && cursor.reader.identity() == identity).then_some(cursor)
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
