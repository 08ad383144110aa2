#![allow(clippy::cast_precision_loss, reason = "the oracle is a float")]

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const BEAT: Duration = Duration::from_secs(5);

fn peer() -> NodeId {
    NodeId::from_u128(1)
}

/// A detector that heard the peer at these intervals, and when it did last.
fn after(detection: Detection, intervals: impl IntoIterator<Item = Duration>) -> (Detector, Instant) {
    let mut now = Instant::from_micros(1);
    let mut detector = Detector::new(detection, now);
    detector.heard(peer(), now);
    for interval in intervals {
        now = now + interval;
        detector.heard(peer(), now);
    }
    (detector, now)
}

fn patience(intervals: impl IntoIterator<Item = Duration>) -> Duration {
    let (detector, last) = after(Detection::Accrual(Accrual::every(BEAT)), intervals);
    detector.suspected_at(peer()).since(last)
}

#[test]
fn the_deviations_of_a_threshold_are_those_of_the_tables_of_the_normal_distribution() {
    // One-sided quantiles of 10^-1, 10^-2, 10^-3, 10^-6, 10^-8, as printed in any table, rounded up.
    for (threshold, thousandths) in [(1, 1_282), (2, 2_327), (3, 3_091), (6, 4_754), (8, 5_613)] {
        assert_eq!(deviations(threshold), thousandths, "phi {threshold}");
    }
    assert!(deviations(u32::MAX) <= 40_000);
}

#[test]
fn suspicion_comes_at_the_moment_foretold_and_when_phi_reaches_the_threshold() {
    let (detector, last) = after(Detection::Accrual(Accrual::every(BEAT)), [BEAT; 300]);
    let at = detector.suspected_at(peer());
    // 5 s, a pause of 10 s, and 5.613 deviations of at least half a second.
    assert_eq!(at.since(last), Duration::from_micros(17_806_500));
    assert!(detector.suspects(peer(), at));
    assert!(!detector.suspects(peer(), last + Duration::from_micros(17_806_499)));
    let phi = detector.phi(peer(), at).unwrap();
    assert!((8.0..8.01).contains(&phi), "{phi}");
    assert_eq!(Detector::new(Detection::DEFAULT, last).phi(peer(), at), None);
}

#[test]
fn who_was_never_heard_is_given_the_time_of_a_first_heartbeat() {
    let start = Instant::from_micros(7);
    let detector = Detector::new(Detection::Accrual(Accrual::every(BEAT)), start);
    // A quarter of the interval stands for the deviation.
    assert_eq!(detector.suspected_at(peer()).since(start), Duration::from_micros(15_000_000 + 5_613 * 1_250));
}

#[test]
fn an_outage_does_not_teach_patience_and_a_busy_hour_not_nervousness() {
    let calm = patience([BEAT; 200]);
    let hour = Duration::from_secs(3_600);
    let after_outage = patience(core::iter::repeat_n(BEAT, 199).chain([hour]));
    // The hour counted as four intervals.
    assert!(after_outage < calm + 2 * BEAT, "{after_outage:?} after an outage, {calm:?} before");
    assert_eq!(patience(core::iter::repeat_n(Duration::from_millis(1), 10_000)), calm);
}

#[test]
fn a_process_that_was_away_does_not_blame_others() {
    for detection in [Detection::DEFAULT, Detection::Accrual(Accrual::every(BEAT))] {
        let (mut detector, last) = after(detection, [BEAT; 10]);
        let back = last + Duration::from_secs(3_600);
        assert!(detector.suspects(peer(), back));
        detector.was_away(back);
        assert!(!detector.suspects(peer(), back + BEAT));
        assert!(detector.suspects(peer(), back + Duration::from_secs(30)), "but it does not wait for ever");
    }
}

proptest! {
    /// Mean and deviation are those of the definition, whatever has gone through the window.
    #[test]
    fn the_window_counts_as_a_list_does(
        intervals in prop::collection::vec(0..LONGEST_INTERVAL, 1..80),
        window in 2_usize..20,
    ) {
        let mut counted = Intervals::default();
        for interval in &intervals {
            counted.push(*interval, window);
        }
        let last: Vec<f64> = intervals.iter().rev().take(window).map(|interval| *interval as f64).collect();
        let count = last.len() as f64;
        let mean = last.iter().sum::<f64>() / count;
        let variance = last.iter().map(|interval| (interval - mean).powi(2)).sum::<f64>() / count;
        let (exact_mean, exact_deviation) = counted.mean_and_deviation(Duration::ZERO);
        prop_assert!((exact_mean as f64 - mean).abs() <= 1.0 + mean * 1e-12);
        prop_assert!((exact_deviation as f64 - variance.sqrt()).abs() <= 1.0 + variance.sqrt() * 1e-6);
    }

    /// More silence is never less suspicious, and being heard always helps.
    #[test]
    fn suspicion_only_grows_with_silence(
        intervals in prop::collection::vec(1_u64..60_000, 0..50),
        silence in 0_u64..120,
    ) {
        let intervals = intervals.into_iter().map(Duration::from_millis);
        let (mut detector, last) = after(Detection::Accrual(Accrual::every(BEAT)), intervals);
        let now = last + Duration::from_secs(silence);
        prop_assert!(detector.phi(peer(), now) <= detector.phi(peer(), now + BEAT));
        prop_assert!(!detector.suspects(peer(), now) || detector.suspects(peer(), now + BEAT));
        detector.heard(peer(), now);
        prop_assert!(!detector.suspects(peer(), now));
    }
}
