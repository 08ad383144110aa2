//! Places between two batches, which every copy of the log can name and compare.

use super::{
    Log, Lsn, Storage,
    boundary::{Boundary, Unread},
};
use crate::{Epoch, PositionError};

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
    /// The epoch of that record's batch. Where that batch is no longer in the log, what the log
    /// states there: the epoch of the batch or of a later promise.
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
            Boundary::At(_, place) => Ok(Position { lsn, epoch: place.epoch, checksum: place.chain }),
            Boundary::Inside { last, .. } => Err(PositionError::InsideBatch { asked: lsn, last }),
        }
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
