//! Cutting the newest end off, and remembering that it was.

use alloc::{collections::VecDeque, vec::Vec};

use super::{
    Arc, CreateError, Log, Lsn, PoisonedBy, Storage, StorageFile, SyncError,
    boundary::{Boundary, Unread},
    file_name,
};
use crate::{
    TruncateAfterError, Truncation,
    limits::MAX_REMEMBERED_TRUNCATIONS,
    recover::{Intent, Remains, carry_out, declare},
};

impl<S: Storage> Log<S> {
    /// Makes `lsn` the last record: what is newer is gone when this returns and never comes back,
    /// whenever the power fails.
    ///
    /// `floor` is the last record that must stay whatever is asked, for example the highest one known
    /// to be committed or applied; [`Lsn::ZERO`] if none must. A batch stays or goes as a whole. The
    /// log may be emptied: the record before the oldest is a boundary too. The epoch is kept, also
    /// when the batches that raised it go. A checkpoint that is given as
    /// [`LogOptions::known_durable`](crate::LogOptions::known_durable) has to be lowered before.
    ///
    /// Everything is made durable first. Then the intent is, in a file of its own, and from then on
    /// the log ends at `lsn`: if this is interrupted, opening the log finishes it and says so in
    /// [`RecoveryReport::truncated`](crate::RecoveryReport::truncated). O(bytes cut) and the bytes of
    /// 64 KiB of batches around the cut; seven syncs at most.
    ///
    /// ```
    /// use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, RecordKind, storage::MemoryStorage};
    ///
    /// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
    /// for item in [&b"milk"[..], b"bread", b"wine"] {
    ///     log.append(&Batch::of(Epoch::new(1), RecordKind(1), item)?)?;
    /// }
    /// let committed = Lsn::new(1);
    /// assert_eq!(log.truncate_after(Lsn::new(2), committed)?.last, Lsn::new(2));
    /// assert_eq!((log.last(), log.durable()), (Lsn::new(2), Lsn::new(2)));
    /// assert!(log.truncate_after(Lsn::ZERO, committed).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Refused when `lsn` is below `floor`, below the record before the oldest, above the end or
    /// inside a batch, or while a sync is under way. A storage failure after the intent was written
    /// poisons the log.
    pub fn truncate_after(&mut self, lsn: Lsn, floor: Lsn) -> Result<Truncation, TruncateAfterError> {
        self.check_poison()?;
        self.check_range(lsn, floor)?;
        if self.is_preparing() {
            return Err(TruncateAfterError::SyncUnderWay);
        }
        // What stays must not depend on bytes that only the cache has.
        self.sync()?;
        let (index, place) = match self.boundary(lsn)? {
            Boundary::At(index, place) => (index, place),
            Boundary::Inside { below, .. } => {
                return Err(TruncateAfterError::InsideBatch { asked: lsn, boundary: below });
            }
        };
        let segment = self.segments.get(index).unwrap_or(self.segments.active());
        let intent = Intent {
            log_id: self.id,
            segment: segment.id,
            offset: place.offset,
            last: lsn,
            epoch: self.epoch(),
            chain: place.chain,
        };
        if lsn == self.last() {
            return Ok(intent.report(Vec::new()));
        }
        let (identity, used_end) = (segment.identity, segment.end().offset);
        let file = self.storage.open(&file_name(segment.id))?;
        // Whatever of it lies behind its batches is zero.
        let length = file.len()?;
        declare(&*self.storage, &intent).map_err(|error| match error {
            CreateError::Unborn(error) => TruncateAfterError::Storage(error),
            CreateError::Unknown(error) => self.poisoned(PoisonedBy::Truncation, error).into(),
        })?;

        // The segment that was prepared would not be the next one any more.
        self.discard_prepared();
        self.truncations.add(lsn);
        let removed = self.segments.cut(index, place);
        let remains = Remains { file: &file, identity, place, used_end, later: &removed };
        let outcome = carry_out(&*self.storage, &intent, &remains);
        let end = outcome.map_err(|error| self.poisoned(PoisonedBy::Truncation, error))?;
        self.segments.extend(end);
        self.zeroed = length.max(end.offset);
        self.file = Arc::new(file);
        (self.written, self.durable, self.durable_epoch) = (lsn, lsn, self.epoch());
        self.closed = false;
        Ok(intent.report(removed))
    }

    /// How often the newest end was cut since the log was opened. A record's number means the same
    /// record only as long as [`cut_since`](Log::cut_since) does not say that it was cut.
    pub fn truncations(&self) -> u64 {
        self.truncations.count
    }

    /// The last record that has stayed through all cuts since there were `truncations` of them;
    /// `None` when there was no cut since. O(log cuts).
    pub fn cut_since(&self, truncations: u64) -> Option<Lsn> {
        self.truncations.lowest_since(truncations)
    }

    fn check_range(&self, lsn: Lsn, floor: Lsn) -> Result<(), TruncateAfterError> {
        if lsn < floor {
            return Err(TruncateAfterError::BelowFloor { asked: lsn, floor });
        }
        let (oldest, next) = (self.oldest(), self.segments.end().next);
        if lsn.next().is_some_and(|behind| behind < oldest) {
            return Err(TruncateAfterError::BelowOldest { asked: lsn, oldest });
        }
        if lsn >= next {
            let last = next.previous().unwrap_or(Lsn::ZERO);
            return Err(TruncateAfterError::AboveEnd { asked: lsn, last });
        }
        Ok(())
    }
}

impl From<Unread> for TruncateAfterError {
    fn from(reason: Unread) -> Self {
        match reason {
            Unread::Corrupt(corruption) => Self::Corrupt(corruption),
            Unread::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<SyncError> for TruncateAfterError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::UnderWay => Self::SyncUnderWay,
            SyncError::Poisoned(poison) => Self::Poisoned(poison),
        }
    }
}

/// Where the log was cut since it was opened, so that a number given out before a cut is not taken for
/// the same number given out after it (rabbitmq/ra #637).
#[derive(Debug, Default)]
pub(super) struct Truncations {
    count: u64,
    /// The cuts below which there was no later one, each with its number: ascending in both.
    lowest: VecDeque<(u64, Lsn)>,
}

impl Truncations {
    fn add(&mut self, last: Lsn) {
        self.count += 1;
        while self.lowest.back().is_some_and(|&(_, lower)| lower >= last) {
            self.lowest.pop_back();
        }
        self.lowest.push_back((self.count, last));
        if self.lowest.len() > MAX_REMEMBERED_TRUNCATIONS
            && let Some((_, lower)) = self.lowest.pop_front()
            && let Some(oldest) = self.lowest.front_mut()
        {
            oldest.1 = lower;
        }
    }

    fn lowest_since(&self, count: u64) -> Option<Lsn> {
        let first = self.lowest.partition_point(|&(number, _)| number <= count);
        self.lowest.get(first).map(|&(_, last)| last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_lowest_cut_since_is_the_minimum_of_all_since(cuts in prop::collection::vec(0_u64..50, 0..60)) {
            let mut truncations = Truncations::default();
            for &last in &cuts {
                truncations.add(Lsn::new(last));
            }
            for since in 0..=cuts.len() {
                let lowest = cuts[since..].iter().min().copied().map(Lsn::new);
                prop_assert_eq!(truncations.lowest_since(since as u64), lowest);
            }
        }
    }
}
