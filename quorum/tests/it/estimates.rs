//! What trials say about a probability: intervals against their definition and against published ones.

use proptest::prelude::*;
use quorum::{Confidence, ConfidenceError, Estimate, EstimateError, Probability};

fn estimate(successes: u32, trials: u32) -> Estimate {
    Estimate::new(successes, trials, Confidence::P95).expect("sound counts")
}

fn confidence(level: f64) -> Confidence {
    Confidence::new(Probability::new(level).expect("a probability")).expect("a level between 0 and 1")
}

/// Newcombe, *Two-sided confidence intervals for the single proportion* (1998), method 3 of table I.
#[test]
fn intervals_are_the_published_ones() {
    for (successes, trials, low, high) in
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
    {
        let found = estimate(successes, trials);
        assert!((found.low().get() - low).abs() < 5e-5, "{successes} of {trials}: {found}");
        assert!((found.high().get() - high).abs() < 5e-5, "{successes} of {trials}: {found}");
    }
}

#[test]
fn no_failure_in_many_trials_is_no_certainty() {
    let all = estimate(1000, 1000);
    assert_eq!((all.value(), all.high()), (Probability::ONE, Probability::ONE));
    assert!(all.low() < Probability::ONE);
    let none = estimate(0, 1000);
    assert_eq!((none.value(), none.low()), (Probability::ZERO, Probability::ZERO));
    assert!(none.high() > Probability::ZERO);
    assert_eq!(none.trials(), 1000);
}

#[test]
fn counts_and_levels_that_mean_nothing_are_refused_by_name() {
    assert_eq!(Estimate::new(0, 0, Confidence::P95), Err(EstimateError::NoTrials));
    let too_many = EstimateError::TooManySuccesses { successes: 3, trials: 2 };
    assert_eq!(Estimate::new(3, 2, Confidence::P95), Err(too_many));
    for given in [Probability::ZERO, Probability::ONE] {
        assert_eq!(Confidence::new(given), Err(ConfidenceError::InvalidLevel { given }));
    }
}

proptest! {
    /// The interval holds the probabilities from which the share is at most z standard deviations away.
    #[test]
    fn the_ends_are_z_deviations_from_the_share(trials in 1..=u32::MAX, part: u32, level in 0.01..0.9999) {
        let successes = part % trials + 1;
        let confidence = confidence(level);
        let found = Estimate::new(successes, trials, confidence).expect("sound counts");
        let share = f64::from(successes) / f64::from(trials);
        prop_assert_eq!(found.value(), Probability::new(share).expect("a probability"));
        prop_assert!(found.contains(found.value()));
        for end in [found.low().get(), found.high().get()].into_iter().filter(|end| *end < 1.0) {
            let deviation = (end * (1.0 - end) / f64::from(trials)).sqrt();
            let off = (end - share).abs() - confidence.quantile() * deviation;
            prop_assert!(off.abs() < 1e-12, "{} at {}: off by {}", found, end, off);
        }
    }

    #[test]
    fn more_trials_say_more_and_more_confidence_says_less(trials in 1..1_000_000_u32, part: u32) {
        let width = |found: Estimate| found.high().get() - found.low().get();
        let successes = part % (trials + 1);
        let once = estimate(successes, trials);
        prop_assert!(width(estimate(4 * successes, 4 * trials)) < width(once));
        let surer = Estimate::new(successes, trials, confidence(0.99)).expect("sound counts");
        prop_assert!(surer.low() <= once.low() && once.high() <= surer.high());
        prop_assert!(width(surer) > width(once));
    }
}
