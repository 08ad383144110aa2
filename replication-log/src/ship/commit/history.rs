//! What became of a record.

use alloc::vec::Vec;

use super::ReignError;
use crate::{
    Epoch, Lsn,
    limits::{MAX_DEGRADED_RANGES, MAX_REMEMBERED_REIGNS},
};

/// What became of a record, named by its number and the epoch under which it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is committed, and whoever waited for it is told.
    Acknowledged {
        /// Whether only the leader's disk vouched for it then.
        degraded: bool,
    },
    /// It is committed: no failover that the policy provides for takes it back. Where clients wait for more,
    /// that has not come yet.
    Committed,
    /// It is neither committed nor cut, and may become either.
    Pending,
    /// It is not in the log any more, and never will be.
    Cut,
    /// It is of no reign of this node, or of one too long ago to be remembered.
    Unknown,
}

/// One reign of this node, and which records of it are in the log still.
#[derive(Clone, Copy, Debug)]
struct Reign {
    epoch: Epoch,
    first: Lsn,
    last: Lsn,
}

/// The reigns of this node, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Reigns {
    known: Vec<Reign>,
    current: Option<Lsn>,
}

impl Reigns {
    /// The first record of the reign that has begun and not ended.
    pub(super) const fn current(&self) -> Option<Lsn> {
        self.current
    }

    pub(super) fn begin(&mut self, epoch: Epoch, first: Lsn) -> Result<(), ReignError> {
        if let Some(newest) = self.known.last()
            && epoch <= newest.epoch
        {
            return Err(ReignError::NotNewer { have: newest.epoch, got: epoch });
        }
        // What stood there before is not there any more.
        self.cut(first.previous().unwrap_or(Lsn::ZERO));
        if self.known.len() == MAX_REMEMBERED_REIGNS {
            self.known.remove(0);
        }
        self.known.push(Reign { epoch, first, last: Lsn::new(u64::MAX) });
        self.current = Some(first);
        Ok(())
    }

    pub(super) fn end(&mut self) {
        self.current = None;
    }

    pub(super) fn cut(&mut self, to: Lsn) {
        for reign in &mut self.known {
            reign.last = reign.last.min(to);
        }
    }

    /// Whether the record written under `epoch` is in the log still; `None` if that is not known.
    pub(super) fn keeps(&self, epoch: Epoch, lsn: Lsn) -> Option<bool> {
        let place = self.known.binary_search_by_key(&epoch, |reign| reign.epoch).ok()?;
        let reign = self.known[place];
        (lsn >= reign.first).then_some(lsn <= reign.last)
    }
}

/// The records for which only the leader's disk vouched, as runs in ascending order.
#[derive(Clone, Debug, Default)]
pub(super) struct DegradedRanges {
    runs: Vec<(Lsn, Lsn)>,
}

impl DegradedRanges {
    /// The records after `after` up to `last`, which come after all that are known.
    pub(super) fn add(&mut self, after: Lsn, last: Lsn) {
        if let Some((_, end)) = self.runs.last_mut()
            && *end >= after
        {
            *end = last;
            return;
        }
        self.runs.extend(after.next().map(|first| (first, last)));
        if self.runs.len() > MAX_DEGRADED_RANGES {
            let (_, end) = self.runs.remove(1);
            self.runs[0].1 = end;
        }
    }

    pub(super) fn contains(&self, lsn: Lsn) -> bool {
        let place = self.runs.partition_point(|(_, last)| *last < lsn);
        self.runs.get(place).is_some_and(|(first, _)| *first <= lsn)
    }

    pub(super) fn cut(&mut self, to: Lsn) {
        self.runs.retain(|(first, _)| *first <= to);
        if let Some((_, last)) = self.runs.last_mut() {
            *last = (*last).min(to);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Lsn, Lsn)> + '_ {
        self.runs.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lsn(number: usize) -> Lsn {
        Lsn::new(number as u64)
    }

    #[test]
    fn with_more_runs_than_are_told_apart_the_oldest_become_one() {
        let mut ranges = DegradedRanges::default();
        for run in 0..=MAX_DEGRADED_RANGES {
            ranges.add(lsn(10 * run), lsn(10 * run + 3));
        }
        assert_eq!(ranges.runs.len(), MAX_DEGRADED_RANGES);
        assert!(ranges.contains(lsn(5)), "said to be degraded although it was not");
        assert!(!ranges.contains(lsn(15)) && !ranges.contains(lsn(20)) && ranges.contains(lsn(21)));
        ranges.cut(lsn(12));
        assert_eq!(ranges.runs, [(lsn(1), lsn(12))]);
        ranges.add(lsn(12), lsn(20));
        assert_eq!(ranges.runs, [(lsn(1), lsn(20))], "runs that touch are one");
    }

    #[test]
    fn reigns_too_long_ago_are_forgotten() {
        let mut reigns = Reigns::default();
        for epoch in 1..=MAX_REMEMBERED_REIGNS + 1 {
            reigns.begin(Epoch::new(epoch as u64), lsn(epoch)).expect("newer");
        }
        assert_eq!(reigns.keeps(Epoch::new(1), lsn(1)), None);
        assert_eq!(reigns.keeps(Epoch::new(2), lsn(2)), Some(true));
        assert_eq!(reigns.keeps(Epoch::new(2), lsn(3)), Some(false), "the next reign begins there");
        assert_eq!(reigns.keeps(Epoch::new(2), lsn(1)), None);
        let again = reigns.begin(Epoch::new(5), lsn(999));
        assert_eq!(again, Err(ReignError::NotNewer { have: Epoch::new(65), got: Epoch::new(5) }));
    }
}
