//! Finding the place behind a record, which there is only at the end of a batch.

use super::{Arc, Log, Lsn, Place, Storage, StorageError, file_name};
use crate::{
    Corruption,
    reader::damage,
    seal::Unsealer,
    segment::{Step, Walk},
};

/// Where a record ends.
pub(super) enum Boundary {
    /// With its batch: the index of the segment, and the place behind the record in it.
    At(usize, Place),
    /// Inside a batch, which begins behind the record `below` and ends with `last`.
    Inside { below: Lsn, last: Lsn },
}

/// Why the log could not be read up to the record.
pub(super) enum Unread {
    Corrupt(Corruption),
    Storage(StorageError),
}

impl<S: Storage> Log<S> {
    /// Where record `lsn` ends. The caller has checked that the log has it, or begins behind it.
    ///
    /// O(log segments) to find the place, then O(bytes) between two entries of the segment's index.
    pub(super) fn boundary(&self, lsn: Lsn) -> Result<Boundary, Unread> {
        let index = self.segments.find(lsn);
        let segment = self.segments.get(index).unwrap_or(self.segments.active());
        let file = Arc::new(self.storage.open(&file_name(segment.id))?);
        let walk = Walk::new(file, segment.identity, segment.seek(lsn), segment.end().offset);
        let mut walk = walk.unseal_with(Unsealer::new(self.sealing().clone()));
        loop {
            let before = walk.place();
            if Some(before.next) == lsn.next() {
                return Ok(Boundary::At(index, before));
            }
            let Step::Batch(_) = walk.step()? else {
                let corruption = damage(segment, before.offset, before.next, self.durable);
                return Err(Unread::Corrupt(corruption));
            };
            let after = walk.place().next;
            if Some(after) > lsn.next() {
                let last = |next: Lsn| next.previous().unwrap_or(Lsn::ZERO);
                return Ok(Boundary::Inside { below: last(before.next), last: last(after) });
            }
        }
    }
}

impl From<StorageError> for Unread {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
