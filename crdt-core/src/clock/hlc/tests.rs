use core::time::Duration;

use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn at(millis: u64) -> WallTime {
    WallTime::from_millis(millis)
}

/// Scenario: the wall clock was set back behind a stamp that is already stored.
#[test]
fn a_clock_that_stepped_back_still_mints_greater_stamps() {
    let mut clock = HlcClock::new(MINUTE);
    let stored = clock.now(at(100_000)).unwrap();
    let stepped_back = at(70_000);
    assert!(clock.now(stepped_back).unwrap() > stored);
}

#[test]
fn a_clock_that_stepped_back_beyond_the_bound_refuses_and_recovers() {
    let mut clock = HlcClock::new(MINUTE);
    clock.now(at(100_000)).unwrap();
    let before = clock.clone();
    let refused = clock.now(at(39_999));
    let stamp = Hlc::new(100_000, 1);
    assert_eq!(refused, Err(ClockError::ClockAhead { stamp, wall: at(39_999) }));
    assert_eq!(clock, before, "a refusal changes nothing");
    assert_eq!(clock.now(at(40_000)), Ok(stamp), "exactly at the bound is within it");
}

#[test]
fn a_received_stamp_is_overtaken_also_within_its_millisecond() {
    let wall = at(1_000);
    let mut clock = HlcClock::resume(Hlc::new(1_000, 5), MINUTE);
    assert_eq!(clock.observe(Hlc::new(1_000, 9), wall), Observed::Advanced);
    assert_eq!(clock.now(wall), Ok(Hlc::new(1_000, 10)));
}

#[test]
fn a_received_stamp_from_the_past_neither_underflows_nor_sets_the_clock_back() {
    let wall = at(1_000);
    let mut clock = HlcClock::resume(Hlc::new(1_000, 5), MINUTE);
    assert_eq!(clock.observe(Hlc::new(990, 99), wall), Observed::Behind);
    assert_eq!(clock.observe(Hlc::ZERO, wall), Observed::Behind);
    assert_eq!(clock.now(wall), Ok(Hlc::new(1_000, 6)));
}

#[test]
fn a_full_counter_carries_into_the_milliseconds() {
    let mut clock = HlcClock::resume(Hlc::new(1_000, u32::MAX), MINUTE);
    assert_eq!(clock.now(at(1_000)), Ok(Hlc::new(1_001, 0)));
    let mut unbounded = HlcClock::resume(Hlc::MAX, Duration::MAX);
    assert_eq!(unbounded.now(at(1_000)), Err(ClockError::Exhausted));
    assert_eq!(unbounded.last(), Hlc::MAX, "the end is not a wrap");
}

#[test]
fn a_relayed_stamp_from_the_far_future_does_not_drag_the_clock_along() {
    let wall = at(1_000);
    let mut clock = HlcClock::new(MINUTE);
    let far = Hlc::new(61_001, 0);
    assert_eq!(clock.observe(far, wall), Observed::TooFarAhead);
    assert_eq!(clock.now(wall), Ok(Hlc::new(1_000, 0)));
    assert_eq!(clock.observe(Hlc::new(61_000, u32::MAX), wall), Observed::Advanced);
    assert!(clock.now(wall).is_err(), "the next stamp would pass the bound by a millisecond");
}

#[test]
fn an_origin_too_far_ahead_is_told_so() {
    let clock = HlcClock::new(MINUTE);
    let (stamp, wall) = (Hlc::new(61_001, 0), at(1_000));
    assert_eq!(clock.check_origin(stamp, wall), Err(ClockError::ClockAhead { stamp, wall }));
    assert_eq!(clock.check_origin(Hlc::new(61_000, 3), wall), Ok(()));
    assert_eq!(clock.check_origin(Hlc::ZERO, wall), Ok(()), "the past is never ahead");
}

#[test]
fn the_first_stamp_is_greater_than_zero_even_at_the_epoch() {
    assert!(HlcClock::new(MINUTE).now(at(0)).unwrap() > Hlc::ZERO);
}

#[test]
fn a_resumed_clock_goes_on_where_it_stopped() {
    let mut clock = HlcClock::new(MINUTE);
    let last = clock.now(at(5_000)).unwrap();
    let mut restarted = HlcClock::resume(clock.last(), MINUTE);
    assert!(restarted.now(at(4_000)).unwrap() > last);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Mint,
    Observe(Hlc),
}

fn arb_step() -> impl Strategy<Value = (Step, WallTime)> {
    let near = (0_u64..400, prop_oneof![0_u32..3, Just(u32::MAX)]).prop_map(|(ms, n)| Hlc::new(ms, n));
    let step = prop_oneof![Just(Step::Mint), near.prop_map(Step::Observe), Just(Step::Observe(Hlc::MAX))];
    (step, (0_u64..300).prop_map(WallTime::from_millis))
}

proptest! {
    /// Whatever the wall clock shows and whoever sends stamps: minted stamps grow, exceed what was
    /// observed, and keep the bound; and a refusal leaves the clock alone.
    #[test]
    fn stamps_grow_within_the_bound(steps in prop::collection::vec(arb_step(), 0..60)) {
        let bound = Duration::from_millis(100);
        let mut clock = HlcClock::new(bound);
        let mut floor = Hlc::ZERO;
        for (step, wall) in steps {
            let before = clock.clone();
            match step {
                Step::Mint => {
                    if let Ok(stamp) = clock.now(wall) {
                        prop_assert!(stamp > floor);
                        prop_assert!(stamp.millis() <= wall.as_millis() + 100);
                        floor = stamp;
                    } else {
                        prop_assert_eq!(&clock, &before);
                    }
                }
                Step::Observe(stamp) => match clock.observe(stamp, wall) {
                    Observed::Advanced => floor = stamp,
                    Observed::Behind => prop_assert!(stamp <= floor),
                    Observed::TooFarAhead => prop_assert_eq!(&clock, &before),
                },
            }
            prop_assert_eq!(clock.last(), floor);
        }
    }
}
