//! How far each follower is behind.

use alloc::collections::{BTreeMap, btree_map::Entry};
use core::time::Duration;

use super::Timeline;
use crate::{
    Lsn,
    limits::MAX_LAG_FOLLOWERS,
    ship::{Marks, Stage},
};

/// How far a follower is behind the durable end of the leader's log, at one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Bytes of the log, as far as [`Timeline`] tells records apart.
    pub bytes: u64,
    /// Records; exact.
    pub entries: u64,
    /// The age of the oldest record that has not come to the stage; zero when all have.
    pub time: Duration,
}

/// The lag of every follower at every stage.
///
/// It is told what becomes durable at the leader and what the followers report, and it is a function of
/// that and of the time it is asked about. What every follower has applied is forgotten; a follower that
/// reports nothing holds on to the past, not to memory: see [`Timeline`] for what is left of its accuracy.
/// See the [module](super) for an example.
#[derive(Clone, Debug)]
pub struct LagTracker<N> {
    timeline: Timeline,
    followers: BTreeMap<N, Follower>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Follower {
    marks: Marks,
    delays: [Option<Duration>; 4],
}

impl<N: Ord + Clone> LagTracker<N> {
    /// A tracker without followers, over a log whose records up to `durable` are durable at `now`.
    pub fn new(durable: Lsn, now: Duration) -> Self {
        Self::with_timeline(Timeline::new(Timeline::DEFAULT_NOTES, durable, now))
    }

    /// A tracker over a timeline of a size of its own.
    pub fn with_timeline(timeline: Timeline) -> Self {
        Self { timeline, followers: BTreeMap::new() }
    }

    /// Measures the lag of `node` too, which has come to `marks`. If that is before what is remembered, its
    /// lag in bytes and time is a lower bound until it has caught up with that.
    pub fn add(&mut self, node: N, marks: Marks) -> Result<(), AddFollowerError> {
        let room = self.followers.len() < MAX_LAG_FOLLOWERS;
        match self.followers.entry(node) {
            Entry::Occupied(_) => Err(AddFollowerError::Known),
            Entry::Vacant(_) if !room => Err(AddFollowerError::TooMany { limit: MAX_LAG_FOLLOWERS }),
            Entry::Vacant(place) => {
                place.insert(Follower { marks, ..Follower::default() });
                Ok(())
            }
        }
    }

    /// Measures the lag of `node` no longer. Returns whether it did.
    pub fn remove(&mut self, node: &N) -> bool {
        let removed = self.followers.remove(node).is_some();
        self.forget();
        removed
    }

    /// Notes that everything up to `lsn` became durable here; see [`Timeline::note`]. Amortised O(1), and
    /// O(followers) while there are none that need it.
    pub fn note(&mut self, lsn: Lsn, bytes: u64, now: Duration) {
        self.timeline.note(lsn, bytes, now);
        if self.followers.is_empty() {
            self.forget();
        }
    }

    /// Notes how far `node` says it is. Returns whether that was news. O(followers + log notes).
    pub fn report(&mut self, node: &N, marks: &Marks, now: Duration) -> Result<bool, UnknownFollower> {
        let follower = self.followers.get_mut(node).ok_or(UnknownFollower)?;
        let before = follower.marks;
        let news = follower.marks.join(marks);
        for (stage, delay) in Stage::ALL.into_iter().zip(&mut follower.delays) {
            let lsn = follower.marks.at(stage);
            if lsn > before.at(stage) {
                *delay = Some(now.saturating_sub(self.timeline.durable_since(lsn)));
            }
        }
        if news {
            self.forget();
        }
        Ok(news)
    }

    /// Takes back everything above `lsn`, here and at the followers: the end of the log was cut there.
    pub fn cut(&mut self, lsn: Lsn) {
        self.timeline.cut(lsn);
        for follower in self.followers.values_mut() {
            follower.marks.cut(lsn);
        }
    }

    /// How far `node` is behind at `stage`; `None` when there is no such follower. O(log).
    pub fn lag(&self, node: &N, stage: Stage, now: Duration) -> Option<Lag> {
        let lsn = self.marks(node)?.at(stage);
        let waiting = self.timeline.waiting_since(lsn).filter(|_| lsn < self.timeline.newest());
        Some(Lag {
            bytes: self.timeline.bytes_behind(lsn),
            entries: self.timeline.entries_behind(lsn),
            time: waiting.map_or(Duration::ZERO, |since| now.saturating_sub(since)),
        })
    }

    /// How long the record that `node` reported last took to come to `stage`, from becoming durable here to
    /// the report; `None` before the first report. It does not change while nothing is reported.
    pub fn delay(&self, node: &N, stage: Stage) -> Option<Duration> {
        self.followers.get(node)?.delays[stage as usize]
    }

    /// How far `node` is.
    pub fn marks(&self, node: &N) -> Option<Marks> {
        self.followers.get(node).map(|follower| follower.marks)
    }

    /// The followers, ascending.
    pub fn followers(&self) -> impl Iterator<Item = &N> {
        self.followers.keys()
    }

    /// What is remembered of the leader's log.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    fn forget(&mut self) {
        let applied = self.followers.values().map(|follower| follower.marks.at(Stage::Applied)).min();
        self.timeline.forget(applied.unwrap_or(self.timeline.newest()));
    }
}

/// Why a follower's lag is not measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddFollowerError {
    /// It is already.
    #[error("the follower's lag is measured already")]
    Known,
    /// There are as many as there may be.
    #[error("the lag of {limit} followers is measured already, which is as many as there may be")]
    TooMany {
        /// The bound.
        limit: usize,
    },
}

/// Somebody reported whose lag is not measured. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lag of this follower is not measured")]
pub struct UnknownFollower;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn without_followers_nothing_is_remembered_and_a_late_one_gets_a_lower_bound() {
        let mut tracker = LagTracker::new(Lsn::ZERO, at(0));
        for second in 1..=10 {
            tracker.note(Lsn::new(second), 100 * second, at(second));
        }
        tracker.add("late", Marks::default()).expect("room");
        let lag = tracker.lag(&"late", Stage::Received, at(15)).expect("added");
        assert_eq!(lag, Lag { bytes: 0, entries: 10, time: at(5) });
        tracker.note(Lsn::new(11), 1100, at(16));
        let lag = tracker.lag(&"late", Stage::Received, at(16)).expect("added");
        assert_eq!(lag, Lag { bytes: 100, entries: 11, time: at(6) });
    }

    #[test]
    fn a_follower_that_is_removed_holds_on_to_nothing() {
        let mut tracker = LagTracker::new(Lsn::ZERO, at(0));
        tracker.add("fast", Marks::default()).expect("room");
        tracker.add("dead", Marks::default()).expect("room");
        assert_eq!(tracker.add("dead", Marks::default()), Err(AddFollowerError::Known));
        tracker.note(Lsn::new(1), 100, at(1));
        tracker.report(&"fast", &Marks::all(Lsn::new(1)), at(1)).expect("added");
        assert_eq!(tracker.timeline().bytes_behind(Lsn::ZERO), 100);
        assert!(tracker.remove(&"dead") && !tracker.remove(&"dead"));
        assert_eq!(tracker.timeline().bytes_behind(Lsn::ZERO), 0);
        assert_eq!(tracker.lag(&"dead", Stage::Applied, at(2)), None);
        assert_eq!(tracker.report(&"dead", &Marks::default(), at(2)), Err(UnknownFollower));
        assert_eq!(tracker.followers().collect::<Vec<_>>(), [&"fast"]);
    }

    #[test]
    fn each_stage_has_a_lag_of_its_own_and_an_old_report_changes_none() {
        let mut tracker = LagTracker::new(Lsn::ZERO, at(0));
        tracker.add(7, Marks::default()).expect("room");
        tracker.note(Lsn::new(4), 400, at(1));
        tracker.note(Lsn::new(8), 800, at(2));
        let [eight, four, zero] = [8, 4, 0].map(Lsn::new);
        let marks = Marks::new(eight, eight, four, zero).expect("descending");
        assert_eq!(tracker.report(&7, &marks, at(3)), Ok(true));
        let lags = Stage::ALL.map(|stage| tracker.lag(&7, stage, at(3)).expect("added"));
        let flushed = Lag { bytes: 400, entries: 4, time: at(1) };
        let applied = Lag { bytes: 800, entries: 8, time: at(2) };
        assert_eq!(lags, [Lag::default(), Lag::default(), flushed, applied]);
        assert_eq!(tracker.delay(&7, Stage::Received), Some(at(1)));
        assert_eq!(tracker.delay(&7, Stage::Flushed), Some(at(2)));
        assert_eq!(tracker.delay(&7, Stage::Applied), None);

        assert_eq!(tracker.report(&7, &Marks::all(zero), at(9)), Ok(false), "it came late");
        assert_eq!(tracker.delay(&7, Stage::Received), Some(at(1)));
    }

    #[test]
    fn a_cut_takes_the_records_back_everywhere() {
        let mut tracker = LagTracker::new(Lsn::ZERO, at(0));
        tracker.add(7, Marks::default()).expect("room");
        for second in 1..=5 {
            tracker.note(Lsn::new(10 * second), 100 * second, at(second));
        }
        tracker.report(&7, &Marks::all(Lsn::new(41)), at(5)).expect("added");
        tracker.cut(Lsn::new(35));
        assert_eq!(tracker.lag(&7, Stage::Applied, at(9)), Some(Lag::default()), "it has all that is left");
        assert_eq!(tracker.timeline().newest(), Lsn::new(35));
        tracker.note(Lsn::new(36), 500, at(10));
        let lag = tracker.lag(&7, Stage::Applied, at(12)).expect("added");
        assert_eq!((lag.entries, lag.time), (1, at(2)));
    }
}
