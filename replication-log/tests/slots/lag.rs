//! How far behind a follower is, in three measures (case 47).

use core::time::Duration;

use replication_log::{
    Lsn,
    ship::{
        Marks, Stage,
        lag::{AlarmChange, Lag, LagAlarms, LagRule, LagTracker, Threshold},
    },
};

use crate::tools::seconds;

#[test]
fn the_lag_of_a_paused_follower_grows_in_every_measure() {
    let mut tracker = LagTracker::new(Lsn::ZERO, seconds(0));
    tracker.add("paused", Marks::default()).expect("room");
    tracker.add("live", Marks::default()).expect("room");
    let mut before = Lag::default();
    for second in 1..=100_000 {
        let last = Lsn::new(10 * second);
        tracker.note(last, 1000 * second, seconds(second));
        tracker.report(&"live", &Marks::all(last), seconds(second)).expect("added");
        let lag = tracker.lag(&"paused", Stage::Applied, seconds(second + 1)).expect("added");
        assert!(lag.bytes > before.bytes && lag.entries > before.entries && lag.time > before.time);
        before = lag;
        assert_eq!(tracker.lag(&"live", Stage::Applied, seconds(second + 1)), Some(Lag::default()));
    }
    let exact = Lag { bytes: 100_000_000, entries: 1_000_000, time: seconds(100_000) };
    assert_eq!(before, exact, "the oldest record is never forgotten for a follower that needs it");
}

#[test]
fn the_lag_of_a_follower_that_has_everything_does_not_drift_on_an_idle_leader() {
    let mut tracker = LagTracker::new(Lsn::ZERO, seconds(0));
    tracker.add("b", Marks::default()).expect("room");
    tracker.note(Lsn::new(10), 1000, seconds(1));
    tracker.report(&"b", &Marks::all(Lsn::new(10)), seconds(3)).expect("added");
    for day in 0..365 {
        let now = seconds(3 + 86_400 * day);
        for stage in Stage::ALL {
            assert_eq!(tracker.lag(&"b", stage, now), Some(Lag::default()), "day {day}, {stage}");
        }
    }
    assert_eq!(tracker.delay(&"b", Stage::Applied), Some(seconds(2)), "how long the last one took stays");

    // The first record after a year is as old as it is, not as old as the silence before it.
    let year = seconds(365 * 86_400);
    tracker.note(Lsn::new(11), 1100, year);
    let lag = tracker.lag(&"b", Stage::Applied, year + seconds(1)).expect("added");
    assert_eq!(lag, Lag { bytes: 100, entries: 1, time: seconds(1) });
}

#[test]
fn while_a_report_is_outstanding_the_lag_grows_without_anything_happening() {
    let mut tracker = LagTracker::new(Lsn::ZERO, seconds(0));
    tracker.add("b", Marks::default()).expect("room");
    tracker.note(Lsn::new(10), 1000, seconds(1));
    let mut received = Marks::default();
    received.raise(Stage::Received, Lsn::new(10));
    tracker.report(&"b", &received, seconds(2)).expect("added");
    for second in 2..60 {
        let lag = |stage| tracker.lag(&"b", stage, seconds(second)).expect("added").time;
        assert_eq!((lag(Stage::Received), lag(Stage::Flushed)), (Duration::ZERO, seconds(second - 1)));
    }
}

#[test]
fn an_alarm_is_raised_once_and_cleared_once_although_the_lag_swings() {
    let threshold = Threshold::Time { raise: seconds(10), clear: seconds(2) };
    let mut alarms = LagAlarms::new([LagRule { stage: Stage::Applied, threshold }]).expect("ordered");
    let mut tracker = LagTracker::new(Lsn::ZERO, seconds(0));
    tracker.add("b", Marks::default()).expect("room");
    let mut told = Vec::new();
    for second in 1..=100 {
        tracker.note(Lsn::new(second), 100 * second, seconds(second));
        // Twenty seconds of silence, then it swings between 8 and 12 seconds behind, then it catches up.
        let behind = match second {
            0..=19 => second,
            20..=79 => {
                if second % 2 == 0 {
                    8
                } else {
                    12
                }
            }
            _ => 0,
        };
        tracker.report(&"b", &Marks::all(Lsn::new(second - behind)), seconds(second)).expect("added");
        let events = alarms.check(&tracker, seconds(second));
        told.extend(events.into_iter().map(|event| (event.at, event.change, event.lag.time)));
    }
    let raised = (seconds(11), AlarmChange::Raised, seconds(10));
    assert_eq!(told, [raised, (seconds(80), AlarmChange::Cleared, seconds(0))]);
}
