//! Who falls too far behind, told once.

use alloc::{collections::BTreeSet, vec::Vec};
use core::time::Duration;

use super::{Lag, LagTracker};
use crate::{limits::MAX_LAG_RULES, ship::Stage};

/// From where on a lag is too much, and down to where it has to come until it no longer is. What comes
/// back only a little below the first would go above it again, and nobody reads an alarm that flaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Threshold {
    /// In bytes of the log.
    Bytes {
        /// Raised at this or more.
        raise: u64,
        /// Cleared at this or less.
        clear: u64,
    },
    /// In records.
    Entries {
        /// Raised at this or more.
        raise: u64,
        /// Cleared at this or less.
        clear: u64,
    },
    /// In time.
    Time {
        /// Raised at this or more.
        raise: Duration,
        /// Cleared at this or less.
        clear: Duration,
    },
}

impl Threshold {
    fn is_reached(self, lag: &Lag) -> bool {
        match self {
            Self::Bytes { raise, .. } => lag.bytes >= raise,
            Self::Entries { raise, .. } => lag.entries >= raise,
            Self::Time { raise, .. } => lag.time >= raise,
        }
    }

    fn is_cleared(self, lag: &Lag) -> bool {
        match self {
            Self::Bytes { clear, .. } => lag.bytes <= clear,
            Self::Entries { clear, .. } => lag.entries <= clear,
            Self::Time { clear, .. } => lag.time <= clear,
        }
    }

    fn is_ordered(self) -> bool {
        match self {
            Self::Bytes { raise, clear } | Self::Entries { raise, clear } => clear < raise,
            Self::Time { raise, clear } => clear < raise,
        }
    }
}

/// What is watched at every follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LagRule {
    /// The stage at which the lag is measured.
    pub stage: Stage,
    /// How much is too much.
    pub threshold: Threshold,
}

/// Alarms over the lag of followers: one event when a threshold is reached, one when it is left.
///
/// ```
/// use core::time::Duration;
/// use replication_log::{
///     Lsn,
///     ship::{Marks, Stage, lag::{AlarmChange, LagAlarms, LagRule, LagTracker, Threshold}},
/// };
///
/// let threshold = Threshold::Entries { raise: 100, clear: 10 };
/// let mut alarms = LagAlarms::new([LagRule { stage: Stage::Flushed, threshold }])?;
/// let mut tracker = LagTracker::new(Lsn::ZERO, Duration::ZERO);
/// tracker.add("b", Marks::default())?;
/// tracker.note(Lsn::new(120), 12_000, Duration::ZERO);
///
/// let now = Duration::from_secs(1);
/// let events = alarms.check(&tracker, now);
/// assert_eq!((events.len(), events[0].change, events[0].lag.entries), (1, AlarmChange::Raised, 120));
/// tracker.report(&"b", &Marks::all(Lsn::new(60)), now)?;
/// assert!(alarms.check(&tracker, now).is_empty(), "60 are fewer than 100 and still not few");
/// tracker.report(&"b", &Marks::all(Lsn::new(110)), now)?;
/// assert_eq!(alarms.check(&tracker, now)[0].change, AlarmChange::Cleared);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct LagAlarms<N> {
    rules: Vec<LagRule>,
    /// Whose lag is too much by which rule.
    raised: BTreeSet<(N, usize)>,
}

/// A threshold that was reached, or left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LagAlarm<N> {
    /// The follower.
    pub node: N,
    /// What is watched.
    pub rule: LagRule,
    /// Which of the two it is.
    pub change: AlarmChange,
    /// All figures at that stage and time; nothing for a follower that is gone.
    pub lag: Lag,
    /// When that was noticed.
    pub at: Duration,
}

/// What became of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmChange {
    /// The lag is too much from now on.
    Raised,
    /// It no longer is.
    Cleared,
    /// The follower is not measured any more.
    Gone,
}

/// Alarms by no rules.
impl<N> Default for LagAlarms<N> {
    fn default() -> Self {
        Self { rules: Vec::new(), raised: BTreeSet::new() }
    }
}

impl<N: Ord + Clone> LagAlarms<N> {
    /// Alarms by these rules, none raised.
    pub fn new(rules: impl IntoIterator<Item = LagRule>) -> Result<Self, RulesError> {
        let rules: Vec<LagRule> = rules.into_iter().take(MAX_LAG_RULES + 1).collect();
        if rules.len() > MAX_LAG_RULES {
            return Err(RulesError::TooMany { limit: MAX_LAG_RULES });
        }
        match rules.iter().position(|rule| !rule.threshold.is_ordered()) {
            Some(rule) => Err(RulesError::Flapping { rule }),
            None => Ok(Self { rules, raised: BTreeSet::new() }),
        }
    }

    /// Compares every follower's lag at `now` with every rule and returns what changed: the followers that
    /// are gone first, then by follower and by the place of the rule. O(followers x rules).
    pub fn check(&mut self, tracker: &LagTracker<N>, now: Duration) -> Vec<LagAlarm<N>> {
        let mut alarms = self.withdraw(tracker, now);
        for node in tracker.followers() {
            for (index, &rule) in self.rules.iter().enumerate() {
                let Some(lag) = tracker.lag(node, rule.stage, now) else { continue };
                let key = (node.clone(), index);
                let raised = self.raised.contains(&key);
                let change = if !raised && rule.threshold.is_reached(&lag) {
                    self.raised.insert(key);
                    AlarmChange::Raised
                } else if raised && rule.threshold.is_cleared(&lag) {
                    self.raised.remove(&key);
                    AlarmChange::Cleared
                } else {
                    continue;
                };
                alarms.push(LagAlarm { node: node.clone(), rule, change, lag, at: now });
            }
        }
        alarms
    }

    /// The alarms that are raised: whose, and by which rule, ascending.
    pub fn raised(&self) -> impl Iterator<Item = (&N, LagRule)> {
        self.raised.iter().filter_map(|(node, rule)| Some((node, *self.rules.get(*rule)?)))
    }

    /// No alarm stays raised over somebody nobody measures.
    fn withdraw(&mut self, tracker: &LagTracker<N>, now: Duration) -> Vec<LagAlarm<N>> {
        let rules = &self.rules;
        let mut alarms = Vec::new();
        self.raised.retain(|(node, index)| {
            let stays = tracker.marks(node).is_some();
            if let Some(&rule) = rules.get(*index).filter(|_| !stays) {
                let (node, lag) = (node.clone(), Lag::default());
                alarms.push(LagAlarm { node, rule, change: AlarmChange::Gone, lag, at: now });
            }
            stays
        });
        alarms
    }
}

/// Why there are no alarms by these rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// A rule would raise an alarm again where it clears it.
    #[error("rule {rule} clears its alarm at or above what raises it")]
    Flapping {
        /// Its place, counted from 0.
        rule: usize,
    },
    /// There are more rules than there may be.
    #[error("more than {limit} rules")]
    TooMany {
        /// The bound.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lsn, ship::Marks};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn rules() -> [LagRule; 3] {
        let (bytes, entries) =
            (Threshold::Bytes { raise: 1000, clear: 0 }, Threshold::Entries { raise: 10, clear: 5 });
        let time = Threshold::Time { raise: seconds(3), clear: seconds(1) };
        [
            LagRule { stage: Stage::Applied, threshold: time },
            LagRule { stage: Stage::Flushed, threshold: bytes },
            LagRule { stage: Stage::Flushed, threshold: entries },
        ]
    }

    #[test]
    fn events_come_by_follower_and_then_by_rule_and_only_at_the_edge() {
        let mut tracker = LagTracker::new(Lsn::ZERO, seconds(0));
        for node in ["b", "a"] {
            tracker.add(node, Marks::default()).expect("room");
        }
        let mut alarms = LagAlarms::new(rules()).expect("ordered");
        tracker.note(Lsn::new(10), 1000, seconds(1));
        assert_eq!(alarms.check(&tracker, seconds(1)).len(), 4);
        let events = alarms.check(&tracker, seconds(4));
        let who: Vec<_> = events.iter().map(|event| (event.node, event.rule, event.change)).collect();
        let [time, ..] = rules();
        assert_eq!(who, [("a", time, AlarmChange::Raised), ("b", time, AlarmChange::Raised)]);
        assert_eq!(events[0].lag, Lag { bytes: 1000, entries: 10, time: seconds(3) });
        assert_eq!(alarms.check(&tracker, seconds(9)), []);
        assert_eq!(alarms.raised().count(), 6);

        tracker.remove(&"a");
        tracker.report(&"b", &Marks::all(Lsn::new(10)), seconds(9)).expect("added");
        let changes: Vec<_> =
            alarms.check(&tracker, seconds(9)).iter().map(|event| (event.node, event.change)).collect();
        let (gone, cleared) = (("a", AlarmChange::Gone), ("b", AlarmChange::Cleared));
        assert_eq!(changes, [gone, gone, gone, cleared, cleared, cleared]);
        assert_eq!(alarms.raised().count(), 0);
    }

    #[test]
    fn a_threshold_that_would_flap_is_refused() {
        let [time, bytes, entries] = rules();
        let flapping = LagRule { threshold: Threshold::Bytes { raise: 5, clear: 5 }, ..bytes };
        let refused = LagAlarms::<u32>::new([time, flapping, entries]).map(drop);
        assert_eq!(refused, Err(RulesError::Flapping { rule: 1 }));
        let many = LagAlarms::<u32>::new(core::iter::repeat(time)).map(drop);
        assert_eq!(many, Err(RulesError::TooMany { limit: MAX_LAG_RULES }));
    }
}
