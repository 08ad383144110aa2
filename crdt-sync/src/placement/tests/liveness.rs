//! The detector against peers of several kinds.

use core::time::Duration;

use proptest::prelude::*;

use super::super::{Detector, Patience};
use super::support::node;
use crate::time::Instant;

const BEAT: Duration = Duration::from_millis(250);

/// A detector that heard the peer for so many beats, and the moment of the last.
fn heard(beats: u32) -> (Detector, Instant) {
    let mut detector = Detector::new(Patience::DEFAULT);
    let start = Instant::from_micros(1_000_000);
    (0..=beats).for_each(|beat| detector.heard(node(1), start + BEAT * beat));
    (detector, start + BEAT * beats)
}

#[test]
fn silence_of_eight_means_marks_dead_and_one_frame_marks_live() {
    let (mut detector, last) = heard(100);
    assert!(detector.is_live(node(1), last + BEAT * 7));
    assert!(!detector.is_live(node(1), last + BEAT * 8));
    detector.heard(node(1), last + BEAT * 100);
    assert!(detector.is_live(node(1), last + BEAT * 100));
    // The outage counted as four beats, no more: patience hardly grew.
    assert!(!detector.is_live(node(1), last + BEAT * (100 + 12)));
}

#[test]
fn a_busy_hour_does_not_make_the_quiet_after_it_look_like_death() {
    let (mut detector, mut now) = heard(10);
    for _ in 0..10_000 {
        now = now + Duration::from_micros(50);
        detector.heard(node(1), now);
    }
    assert!(detector.is_live(node(1), now + BEAT * 7));
}

#[test]
fn a_lost_link_is_believed_at_once() {
    let (mut detector, last) = heard(10);
    detector.link_lost(node(1));
    assert!(!detector.is_live(node(1), last));
    detector.heard(node(1), last + BEAT);
    assert!(detector.is_live(node(1), last + BEAT));
}

#[test]
fn a_peer_that_beats_but_does_not_answer_is_avoided_until_it_is_forgiven() {
    let (mut detector, mut now) = heard(10);
    for timeouts in 1..=3 {
        assert!(detector.is_live(node(1), now), "after {timeouts} time-outs less one");
        detector.timed_out(node(1), now);
        assert_eq!(detector.suspicion(node(1)), timeouts);
        // Heartbeats go on, and do not make it flap.
        now = now + BEAT;
        detector.heard(node(1), now);
    }
    assert!(!detector.is_live(node(1), now));
    // Two spans of being heard forgive three time-outs: 3, 1, 0.
    let mut beats = 0;
    while !detector.is_live(node(1), now) {
        now = now + BEAT;
        beats += 1;
        detector.heard(node(1), now);
    }
    assert_eq!(beats, 2 * 8 - 1);
    assert_eq!(detector.suspicion(node(1)), 0);
}

#[test]
fn suspicion_has_an_end_and_silence_forgives_nothing() {
    let (mut detector, last) = heard(10);
    (0..1_000).for_each(|_| detector.timed_out(node(1), last));
    assert_eq!(detector.suspicion(node(1)), 6);
    detector.heard(node(1), last + Duration::from_secs(3_600));
    assert_eq!(detector.suspicion(node(1)), 3);
    assert!(!detector.is_live(node(1), last + Duration::from_secs(3_600)));
}

#[test]
fn who_is_unknown_or_forgotten_is_not_live() {
    let (mut detector, last) = heard(10);
    detector.timed_out(node(2), last);
    detector.link_lost(node(2));
    assert!(!detector.is_live(node(2), last));
    detector.forget(node(1));
    assert!(!detector.is_live(node(1), last));
    assert_eq!(detector.suspicion(node(1)), 0);
}

proptest! {
    /// Beats that come early and late, up to twice their span and more: 3 standard deviations of a uniform scatter.
    #[test]
    fn jitter_does_not_flap(scatter in prop::collection::vec(0u64..=500, 1..200)) {
        let (mut detector, mut now) = heard(20);
        for millis in scatter {
            let next = now + Duration::from_millis(millis);
            prop_assert!(detector.is_live(node(1), next));
            detector.heard(node(1), next);
            now = next;
        }
    }

    /// Clocks that stand still, and numbers at their ends, break nothing.
    #[test]
    fn any_patience_works(
        expected in any::<u64>(),
        (intervals, longest) in any::<(u32, u32)>(),
        steps in prop::collection::vec(any::<u64>(), 0..20),
    ) {
        let (expected, forgive) = (Duration::from_secs(expected), Duration::ZERO);
        let patience = Patience { expected, intervals, longest, timeouts: longest, forgive };
        let mut detector = Detector::new(patience);
        for step in steps {
            let now = Instant::from_micros(step);
            detector.heard(node(1), now);
            detector.timed_out(node(1), now);
            let _ = detector.is_live(node(1), now);
        }
    }
}
