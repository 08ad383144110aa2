//! Shoot the other node in the head: an old leader that is made to stop, for those who do not only follow epochs.
//!
//! Everything that checks epochs refuses an old leader by itself, logs and stores of this family do. A hook is for the
//! rest: the address that moves, the disk that is shared, the job that runs where the leader runs. The host carries it
//! out, by a power switch or a cloud's API or a command, and says whether the node is *confirmed* to have stopped; that
//! a command was sent confirms nothing.
//!
//! Only one node shoots. With a coordinator outside it has been granted the right to lead before, and with the promises
//! of the nodes it hears a majority, and not the leader.

use core::time::Duration;

use thiserror::Error;

use super::Grant;
use crate::time::Instant;

/// Whether an old leader that is not heard has to be stopped before another one leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stonith {
    /// Nobody leads before it is confirmed.
    Required {
        /// How long that may take.
        timeout: Duration,
    },
    /// It is tried; if it fails, the next one leads all the same, and says so.
    BestEffort {
        /// How long that may take.
        timeout: Duration,
    },
}

/// How the hook ended, where it did not confirm anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotFenced {
    /// The node may go on.
    #[error("the old leader may go on")]
    Failed,
    /// Nothing was heard in time.
    #[error("nobody confirmed in time that the old leader stopped")]
    TimedOut,
}

/// What follows from how the hook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The way is free.
    Promote,
    /// The way is free, and nobody knows whether the old leader stopped.
    PromoteUnfenced(NotFenced),
    /// Nobody leads.
    Refuse(NotFenced),
}

impl Stonith {
    /// How long the hook may take.
    pub const fn timeout(self) -> Duration {
        match self {
            Self::Required { timeout } | Self::BestEffort { timeout } => timeout,
        }
    }

    /// What follows from how it ended.
    ///
    /// ```
    /// use core::time::Duration;
    /// use crdt_sync::failover::stonith::{NotFenced, Stonith, Verdict};
    ///
    /// let timeout = Duration::from_secs(20);
    /// let failed = Err(NotFenced::TimedOut);
    /// assert_eq!(Stonith::Required { timeout }.judge(Ok(())), Verdict::Promote);
    /// assert_eq!(Stonith::Required { timeout }.judge(failed), Verdict::Refuse(NotFenced::TimedOut));
    /// assert_eq!(Stonith::BestEffort { timeout }.judge(failed), Verdict::PromoteUnfenced(NotFenced::TimedOut));
    /// ```
    pub const fn judge(self, ended: Result<(), NotFenced>) -> Verdict {
        match (self, ended) {
            (_, Ok(())) => Verdict::Promote,
            (Self::Required { .. }, Err(why)) => Verdict::Refuse(why),
            (Self::BestEffort { .. }, Err(why)) => Verdict::PromoteUnfenced(why),
        }
    }
}

/// A second failover soon after the first is more often the same trouble once more than a second one: it waits for
/// somebody to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flapping {
    window: Duration,
    /// The grant that the last failover gave, when that was heard of, and how long ago it was then.
    last: Option<(Grant, Instant, Duration)>,
    acknowledged: Option<Grant>,
}

impl Flapping {
    /// Orchestrator's hour.
    pub(crate) const DEFAULT_WINDOW: Duration = Duration::from_secs(3_600);

    pub(crate) const fn new(window: Duration) -> Self {
        Self { window, last: None, acknowledged: None }
    }

    /// Somebody leads by that grant because the one before failed, for so long.
    pub(crate) fn happened(&mut self, grant: Grant, ago: Duration, now: Instant) {
        if self.last.is_none_or(|(last, ..)| grant > last) {
            self.last = Some((grant, now, ago));
        }
    }

    /// Somebody has looked, at the failover that gave this grant and at those before.
    pub(crate) fn acknowledge(&mut self, grant: Grant) {
        self.acknowledged = self.acknowledged.max(Some(grant));
    }

    pub(crate) const fn acknowledged(&self) -> Option<Grant> {
        self.acknowledged
    }

    /// The grant that the last failover gave, and how long ago.
    pub(crate) fn last(&self, now: Instant) -> Option<(Grant, Duration)> {
        self.last.map(|(grant, heard, ago)| (grant, ago.saturating_add(now.since(heard))))
    }

    /// Until when no other failover begins, if so.
    pub(crate) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        let (grant, heard, ago) = self.last?;
        let until = heard + self.window.saturating_sub(ago);
        (now < until && self.acknowledged < Some(grant)).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_failover_waits_for_the_window_or_for_somebody_who_looked() {
        let at = |seconds: u64| Instant::from_micros(seconds * 1_000_000);
        let grant = |number| Grant::new(number).unwrap();
        let mut flapping = Flapping::new(Flapping::DEFAULT_WINDOW);
        assert_eq!(flapping.blocked_until(at(0)), None);
        flapping.happened(grant(2), Duration::from_secs(100), at(10));
        flapping.happened(grant(2), Duration::ZERO, at(500));
        assert_eq!(flapping.last(at(50)), Some((grant(2), Duration::from_secs(140))));
        assert_eq!(flapping.blocked_until(at(3_509)), Some(at(3_510)), "counted once, from when it happened");
        assert_eq!(flapping.blocked_until(at(3_510)), None);
        flapping.acknowledge(grant(2));
        assert_eq!(flapping.blocked_until(at(11)), None);
        flapping.happened(grant(3), Duration::ZERO, at(20));
        assert_eq!(flapping.blocked_until(at(21)), Some(at(3_620)), "the next one was not looked at");
    }
}
