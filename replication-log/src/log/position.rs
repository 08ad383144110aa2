//! Places between two batches, which every copy of the log can name and compare.

use alloc::vec::Vec;

use super::{
    Arc, Log, Lsn, ReadError, Storage,
    boundary::{Boundary, Unread},
    file_name,
};
use crate::{
    Epoch, PositionError,
    reader::damage,
    seal::Unsealer,
    segment::{Step, Walk},
};

/// A place between two batches: what a log is up to and including one record.
///
/// Two logs that hold the same batches have the same position at the same record, whatever their
/// segments; where the checksums differ, the logs do. A new log can begin behind a position
/// ([`LogOptions::starts_after`](crate::LogOptions::starts_after)) without what lies before it.
///
/// ```
/// use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, Position, RecordKind, storage::MemoryStorage};
///
/// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// assert_eq!(log.position(Lsn::ZERO)?, Position::ORIGIN);
///
/// log.append(&Batch::of(Epoch::new(2), RecordKind(1), b"milk")?)?;
/// log.sync()?;
/// let here = log.position(Lsn::FIRST)?;
/// assert_eq!((here.lsn, here.epoch, here.checksum), (Lsn::FIRST, Epoch::new(2), log.checksum()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last record before it; [`Lsn::ZERO`] at the beginning of a log.
    pub lsn: Lsn,
    /// The epoch under which that record was written.
    pub epoch: Epoch,
    /// The running checksum over every batch up to that record.
    pub checksum: u32,
}

impl Position {
    /// The beginning of every log.
    pub const ORIGIN: Self = Self { lsn: Lsn::ZERO, epoch: Epoch::ZERO, checksum: 0 };
}

impl<S: Storage> Log<S> {
    /// The position behind the durable record `lsn`, which must be the last of its batch.
    ///
    /// The record just before the oldest has one too: it is where the log begins. O(log segments)
    /// to find the place, then O(bytes) between two entries of the segment's index.
    pub fn position(&self, lsn: Lsn) -> Result<Position, PositionError> {
        let Some(next) = lsn.next().filter(|_| lsn <= self.durable) else {
            return Err(PositionError::NotDurable { asked: lsn, durable: self.durable });
        };
        let oldest = self.oldest();
        if next < oldest {
            return Err(PositionError::Truncated { asked: lsn, oldest });
        }
        match self.boundary(lsn)? {
            Boundary::At(_, place) => Ok(place.position()),
            Boundary::Inside { last, .. } => Err(PositionError::InsideBatch { asked: lsn, last }),
        }
    }

    /// Where the log ends, be it in memory only: what the next batch has to follow. O(1).
    pub fn last_position(&self) -> Position {
        self.segments.end().position()
    }

    /// Where the durable records end that were written under `epoch` and older ones; `None` if the oldest record
    /// is of a newer one.
    ///
    /// Two logs that hold records of one epoch hold the same ones, as far as both go, because an epoch has one
    /// leader. So where they part is found from their ends of epochs, without comparing records:
    /// [`ship`](crate::ship). O(log segments) to find the place, then O(bytes) between two
    /// entries of the segment's index.
    ///
    /// ```
    /// use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, RecordKind, storage::MemoryStorage};
    ///
    /// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
    /// for (epoch, item) in [(1, "milk"), (1, "bread"), (4, "wine")] {
    ///     log.append_record(Epoch::new(epoch), RecordKind(1), item.as_bytes())?;
    /// }
    /// log.sync()?;
    /// let end = |epoch| log.end_of_epoch(Epoch::new(epoch)).map(|end| end.map(|end| end.lsn.get()));
    /// assert_eq!((end(0)?, end(1)?, end(3)?, end(4)?), (Some(0), Some(2), Some(2), Some(3)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn end_of_epoch(&self, epoch: Epoch) -> Result<Option<Position>, ReadError> {
        let Some((segment, place)) = self.segments.seek_epoch(epoch) else { return Ok(None) };
        let file = Arc::new(self.storage.open(&file_name(segment.id))?);
        let walk = Walk::new(file, segment.identity, place, segment.end().offset);
        let mut walk = walk.unseal_with(Unsealer::new(self.sealing().clone()));
        let mut last = walk.place();
        while last.offset < segment.end().offset && last.next <= self.durable {
            let Step::Batch(_) = walk.step()? else {
                return Err(damage(segment, last.offset, last.next, self.durable).into());
            };
            if walk.place().reign > epoch {
                break;
            }
            last = walk.place();
        }
        Ok(Some(last.position()))
    }

    /// Where the durable records of each epoch end, newest first, down to where the log begins, and at most `max`
    /// of them. O(`max`) times [`end_of_epoch`](Log::end_of_epoch).
    pub fn epoch_ends(&self, max: usize) -> Result<Vec<Position>, ReadError> {
        let mut ends = Vec::new();
        let mut newest = Some(Epoch::new(u64::MAX));
        while let Some(epoch) = newest.filter(|_| ends.len() < max) {
            let Some(end) = self.end_of_epoch(epoch)? else { break };
            ends.push(end);
            newest = end.epoch.get().checked_sub(1).map(Epoch::new);
        }
        Ok(ends)
    }
}

impl From<Unread> for PositionError {
    fn from(reason: Unread) -> Self {
        match reason {
            Unread::Corrupt(corruption) => Self::Corrupt(corruption),
            Unread::Storage(error) => Self::Storage(error),
        }
    }
}
