//! Since when records wait, and what becomes of that.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::{Lsn, limits::MAX_BACKLOG_MARKS};

/// Whether the policy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does: what is acknowledged is with all whom it asks for.
    Armed,
    /// It does not: the leader's disk is enough, every commit is stamped as degraded, and the loss of the
    /// leader may take it back.
    Degraded {
        /// Since when.
        since: Duration,
    },
}

/// Which records wait for followers since when, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlog {
    /// Up to which record waits since when.
    since: VecDeque<(Lsn, Duration)>,
}

impl Backlog {
    pub(super) fn push(&mut self, through: Lsn, now: Duration) {
        if self.since.len() == MAX_BACKLOG_MARKS {
            // The newest are taken for younger than they are. The oldest, which decides, is not touched.
            self.since.pop_back();
        }
        self.since.push_back((through, now));
    }

    /// What has come through waits no longer.
    pub(super) fn pass(&mut self, through: Lsn) {
        while self.since.front().is_some_and(|(last, _)| *last <= through) {
            self.since.pop_front();
        }
    }

    pub(super) fn oldest(&self) -> Option<Duration> {
        self.since.front().map(|(_, since)| *since)
    }

    pub(super) fn clear(&mut self) {
        self.since.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_oldest_decides_also_when_there_are_more_than_are_told_apart() {
        let mut backlog = Backlog::default();
        let many = MAX_BACKLOG_MARKS as u64 + 10;
        for number in 1..=many {
            backlog.push(Lsn::new(number), at(number));
        }
        assert_eq!((backlog.oldest(), backlog.since.len()), (Some(at(1)), MAX_BACKLOG_MARKS));
        backlog.pass(Lsn::new(MAX_BACKLOG_MARKS as u64 - 1));
        assert_eq!(backlog.oldest(), Some(at(many)), "younger than it is, never older");
        backlog.pass(Lsn::new(many));
        assert_eq!(backlog.oldest(), None);
    }
}
