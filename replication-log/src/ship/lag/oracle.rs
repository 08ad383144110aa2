//! A timeline that keeps every note, and the bounded one compared with it.

use alloc::vec::Vec;
use core::time::Duration;
use proptest::prelude::*;

use super::Timeline;
use crate::{Lsn, limits::MIN_LAG_NOTES};

/// Every note there was.
#[derive(Default)]
struct Naive {
    notes: Vec<(Lsn, u64, Duration)>,
}

impl Naive {
    fn newest(&self) -> (Lsn, u64, Duration) {
        self.notes.last().copied().unwrap_or((Lsn::ZERO, 0, Duration::ZERO))
    }

    fn waiting_since(&self, lsn: Lsn) -> Option<Duration> {
        self.notes.iter().find(|note| note.0 > lsn).map(|note| note.2)
    }

    /// The bytes from the beginning of the note that holds the record behind `lsn`.
    fn bytes_behind(&self, lsn: Lsn) -> u64 {
        let before = self.notes.iter().rev().find(|note| note.0 <= lsn).map_or(0, |note| note.1);
        if lsn >= self.newest().0 { 0 } else { self.newest().1 - before }
    }
}

/// What happens between two questions: steps of (records, bytes, nanoseconds).
fn notes() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    let time = prop_oneof![Just(0), 0..10_u64, 0..1_000_000_000_u64];
    let bytes = prop_oneof![Just(0), 0..100_u64, 0..10_000_000_u64];
    prop::collection::vec((1..20_u64, bytes, time), 0..3 * MIN_LAG_NOTES)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_never_less_than_the_truth_and_not_much_more(notes in notes(), forget in any::<prop::sample::Index>()) {
        let mut timeline = Timeline::new(0, Lsn::ZERO, Duration::ZERO);
        let mut naive = Naive::default();
        let mut forgotten = Lsn::ZERO;
        for (step, &(records, bytes, nanos)) in notes.iter().enumerate() {
            if step == forget.index(notes.len()) {
                forgotten = Lsn::new(timeline.newest().get() / 3);
                timeline.forget(forgotten);
            }
            let (lsn, total, time) = naive.newest();
            let next = (Lsn::new(lsn.get() + records), total + bytes, time + Duration::from_nanos(nanos));
            naive.notes.push(next);
            timeline.note(next.0, next.1, next.2);
            prop_assert!(timeline.runs() <= MIN_LAG_NOTES);
        }
        let (newest, _, now) = naive.newest();
        let age = |since| now.checked_sub(since).expect("noted before");
        let share = u128::from(timeline.share());
        for lsn in (forgotten.get()..=newest.get()).map(Lsn::new) {
            let (shown, truth) = (timeline.waiting_since(lsn), naive.waiting_since(lsn));
            prop_assert_eq!(shown.is_some(), truth.is_some());
            let [shown, truth] = [shown, truth].map(|since| age(since.unwrap_or(now)).as_nanos());
            prop_assert!(truth <= shown && (shown - truth) * share <= truth, "{lsn}: {shown} for {truth} ns");

            let (shown, truth) = (timeline.bytes_behind(lsn), naive.bytes_behind(lsn));
            let excess = u128::from(shown.checked_sub(truth).expect("never less"));
            prop_assert!(excess * share <= u128::from(truth), "{lsn}: {shown} for {truth} bytes");
            prop_assert_eq!(timeline.entries_behind(lsn), newest.get() - lsn.get());
        }
    }

    #[test]
    fn what_is_said_of_one_record_never_becomes_less(notes in notes(), asked in 0..60_u64) {
        let mut timeline = Timeline::new(0, Lsn::ZERO, Duration::ZERO);
        let (mut lsn, mut bytes, mut now) = (0, 0, Duration::ZERO);
        let mut said = (Duration::ZERO, 0, 0);
        for (records, more, nanos) in notes {
            (lsn, bytes, now) = (lsn + records, bytes + more, now + Duration::from_nanos(nanos));
            timeline.note(Lsn::new(lsn), bytes, now);
            let asked = Lsn::new(asked);
            let waiting = timeline.waiting_since(asked).map_or(Duration::ZERO, |since| {
                now.checked_sub(since).expect("noted before")
            });
            let says = (waiting, timeline.bytes_behind(asked), timeline.entries_behind(asked));
            prop_assert!(says.0 >= said.0 && says.1 >= said.1 && says.2 >= said.2, "{said:?}, then {says:?}");
            said = says;
        }
    }
}

#[test]
fn a_steady_day_of_notes_keeps_its_accuracy() {
    let mut timeline = Timeline::new(Timeline::DEFAULT_NOTES, Lsn::ZERO, Duration::ZERO);
    for second in 1..=86_400 {
        timeline.note(Lsn::new(1000 * second), 100_000 * second, Duration::from_secs(second));
    }
    assert_eq!(timeline.share(), 64);
    let since = timeline.waiting_since(Lsn::ZERO).expect("all of it is behind");
    assert_eq!(since, Duration::from_secs(1), "the oldest is exact");
    assert_eq!(timeline.bytes_behind(Lsn::ZERO), 100_000 * 86_400);
    let newest = timeline.waiting_since(Lsn::new(86_399_000)).expect("one note is behind");
    assert_eq!(newest, Duration::from_secs(86_400), "and so is the newest");
}

#[test]
fn the_worst_there_can_be_fits_into_the_smallest_history() {
    let mut timeline = Timeline::new(0, Lsn::ZERO, Duration::ZERO);
    // Every note far longer and larger than what follows it.
    let (mut lsn, mut bytes, mut time) = (0, 0, Duration::ZERO);
    for halving in 0..57 {
        for _ in 0..32 {
            (lsn, bytes) = (lsn + 1, bytes + (u64::MAX >> (halving + 7)));
            time += Duration::from_secs(u64::MAX >> (halving + 7));
            timeline.note(Lsn::new(lsn), bytes, time);
            assert!(timeline.runs() <= MIN_LAG_NOTES);
        }
    }
    assert!(timeline.share() >= 1);
    assert_eq!((timeline.newest(), timeline.bytes_behind(Lsn::ZERO)), (Lsn::new(lsn), bytes));
}
