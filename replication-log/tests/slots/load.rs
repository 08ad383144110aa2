//! A follower under more load than it can bear for a minute, and how long it takes to recover.
//!
//! It applies 800 records a second. The leader writes 1000 a second for 60 seconds and 200 a second from then
//! on, each of 100 bytes. So it falls behind by 200 a second, to 12 000, and comes back by 600 a second, in 20
//! seconds.

use core::time::Duration;

use replication_log::{
    Lsn,
    ship::{
        Marks, Stage,
        lag::{AlarmChange, Lag, LagAlarms, LagRule, LagTracker, Threshold},
    },
};

/// The world moves on ten times a second, for a minute and a half.
const STEPS: u64 = 900;

/// What a minute and a half looked like.
struct Course {
    /// The lag at each step, in milliseconds from the beginning.
    lags: Vec<(u64, Lag)>,
    alarms: Vec<(u64, AlarmChange, u64)>,
}

fn run() -> Course {
    let threshold = Threshold::Entries { raise: 10_000, clear: 2_000 };
    let mut alarms = LagAlarms::new([LagRule { stage: Stage::Applied, threshold }]).expect("ordered");
    let mut tracker = LagTracker::new(Lsn::ZERO, Duration::ZERO);
    tracker.add("b", Marks::default()).expect("room");
    let (mut written, mut applied) = (0, 0);
    let mut course = Course { lags: Vec::new(), alarms: Vec::new() };
    for millis in (1..=STEPS).map(|step| 100 * step) {
        let now = Duration::from_millis(millis);
        written += if millis <= 60_000 { 100 } else { 20 };
        applied = (applied + 80).min(written);
        tracker.note(Lsn::new(written), 100 * written, now);
        tracker.report(&"b", &Marks::all(Lsn::new(applied)), now).expect("added");
        course.lags.push((millis, tracker.lag(&"b", Stage::Applied, now).expect("added")));
        for alarm in alarms.check(&tracker, now) {
            course.alarms.push((millis, alarm.change, alarm.lag.entries));
        }
    }
    course
}

impl Course {
    fn at(&self, millis: u64) -> Lag {
        self.lags.iter().find(|(at, _)| *at == millis).expect("a step").1
    }
}

#[test]
fn the_lag_grows_to_12_000_records_in_a_minute_and_is_gone_20_seconds_later() {
    let course = run();
    let most = course.lags.iter().map(|(_, lag)| lag.entries).max();
    assert_eq!((course.at(60_000).entries, most), (12_000, Some(12_000)));
    assert_eq!(course.at(70_000).entries, 6_000, "half way back");
    let recovered = course.lags.iter().find(|(at, lag)| *at > 60_000 && lag.entries == 0).map(|(at, _)| *at);
    assert_eq!(recovered, Some(80_000));
    assert!(course.lags.iter().all(|(at, lag)| *at < 80_000 || *lag == Lag::default()), "and stays gone");
}

#[test]
fn bytes_follow_records_within_what_one_note_holds() {
    for (at, lag) in run().lags {
        let exact = 100 * lag.entries;
        assert!((exact..exact + 100 * 100).contains(&lag.bytes), "{} for {exact} at {at} ms", lag.bytes);
    }
}

#[test]
fn time_peaks_15_seconds_after_records_do() {
    // At 60 s the follower applies record 48 000, written at 48 s. It comes to the last of the busy minute at
    // 75 s, when that is 15 s old and the one behind it 14.9 s; only then does it reach the quiet time.
    let course = run();
    assert_eq!(course.at(60_000).time, Duration::from_millis(11_900), "record 48 001 was written at 48.1 s");
    let (at, worst) = course.lags.iter().max_by_key(|(_, lag)| lag.time).expect("some");
    assert_eq!((*at, worst.time), (75_000, Duration::from_millis(14_900)));
    assert_eq!(worst.entries, 3_000, "a quarter of the most there were");
}

#[test]
fn the_alarm_comes_at_10_000_records_and_goes_at_2_000() {
    let expected = [(50_000, AlarmChange::Raised, 10_000), (76_700, AlarmChange::Cleared, 1_980)];
    assert_eq!(run().alarms, expected);
}
