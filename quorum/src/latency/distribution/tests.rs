#![expect(clippy::float_cmp, reason = "steps, limits and what is the same number are compared exactly")]

use std::vec::Vec;

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::*;
use crate::probability::count;

fn sound(made: Result<LatencyDistribution, DistributionError>) -> LatencyDistribution {
    made.expect("sound parameters")
}

/// Distributions that are not made of others, some with a tail that has no mean.
fn simple() -> impl Strategy<Value = LatencyDistribution> {
    prop_oneof![
        (0.0..50.0).prop_map(|t| sound(LatencyDistribution::constant(t))),
        (0.001..10.0).prop_map(|rate| sound(LatencyDistribution::exponential(rate))),
        (0.1..10.0, 0.3..6.0).prop_map(|(scale, shape)| sound(LatencyDistribution::pareto(scale, shape))),
        (0.0..20.0, 0.0..20.0)
            .prop_map(|(from, width)| sound(LatencyDistribution::uniform(from, from + width))),
        prop::collection::vec(0.0..30.0, 1..40)
            .prop_map(|samples| sound(LatencyDistribution::empirical(samples))),
        (0.001..10.0, 0.0..9.0)
            .prop_map(|(rate, by)| sound(sound(LatencyDistribution::exponential(rate)).shifted(by))),
    ]
}

fn any() -> impl Strategy<Value = LatencyDistribution> {
    let mixture = prop::collection::vec((0.01..5.0, simple()), 1..5)
        .prop_map(|parts| sound(LatencyDistribution::mixture(parts)));
    prop_oneof![simple(), mixture]
}

fn is_step(distribution: &LatencyDistribution) -> bool {
    let step = |part: &Part| matches!(part.shape, Shape::Constant(_) | Shape::Empirical(_));
    distribution.parts.iter().any(step)
}

fn below(t: f64) -> f64 {
    if t > 0.0 { f64::from_bits(t.to_bits() - 1) } else { t }
}

proptest! {
    #[test]
    fn the_quantile_is_the_first_time_by_which_the_cdf_is_reached(d in any(), p in 0.0..1.0) {
        let t = d.quantile(Probability::clamped(p));
        prop_assert!(d.cdf(t) >= p - 1e-12, "cdf({t}) = {}", d.cdf(t));
        let margin = if is_step(&d) { 0.0 } else { t * 1e-12 };
        prop_assert!(d.cdf(below(t - margin)) <= p + 1e-12);
    }

    #[test]
    fn steps_and_mixtures_are_inverted_to_the_last_bit(
        parts in prop::collection::vec((0.01..5.0, simple()), 2..5),
        samples in prop::collection::vec(0.0..30.0, 1..90),
        p in 0.000_001..1.0,
    ) {
        for d in [sound(LatencyDistribution::mixture(parts)), sound(LatencyDistribution::empirical(samples))] {
            let t = d.quantile(Probability::clamped(p));
            prop_assert!(d.cdf(t) >= p);
            prop_assert!(t <= 0.0 || d.cdf(below(t)) < p + 1e-15);
        }
    }

    #[test]
    fn a_cdf_rises_from_0_to_1_and_is_the_complement_of_what_survives(d in any(), a in 0.0..99.0, b in 0.0..99.0) {
        let (a, b): (f64, f64) = if a < b { (a, b) } else { (b, a) };
        prop_assert!(d.cdf(a) <= d.cdf(b) + 1e-15);
        prop_assert!((d.cdf(a) + d.chance(a).no - 1.0).abs() < 1e-14);
        prop_assert_eq!((d.cdf(-1.0), d.cdf(f64::INFINITY)), (0.0, 1.0));
        prop_assert_eq!((d.cdf(f64::NAN), d.chance(f64::NAN).no), (0.0, 1.0));
    }

    #[test]
    fn shifting_moves_every_quantile(d in any(), by in 0.0..50.0, p in 0.0..1.0) {
        let p = Probability::clamped(p);
        let later = sound(d.clone().shifted(by));
        let expected = d.quantile(p) + by;
        // A step may be crossed by the rounding of its weight.
        let same = (later.quantile(p) - expected).abs() <= 1e-9 * expected.max(1.0);
        prop_assert!(same || (is_step(&d) && (later.cdf(expected) - p.get()).abs() < 1e-9));
        prop_assert!((later.mean() - d.mean() - by).abs() < 1e-9 || d.mean() == f64::INFINITY || d.mean() > 1e3);
    }

    #[test]
    fn no_number_makes_sampling_fail(d in any(), u: f64) {
        prop_assert!(d.sample(u).is_finite());
        prop_assert_eq!(d.sample(f64::NAN), d.sample(0.0));
    }

    #[test]
    fn samples_are_distributed_as_the_cdf_says(d in any(), seed: u64) {
        const DRAWS: usize = 4_000;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut drawn: Vec<f64> = (0..DRAWS).map(|_| d.sample(unit(&mut random))).collect();
        drawn.sort_by(f64::total_cmp);
        // Dvoretzky, Kiefer and Wolfowitz: further away than this with a chance of 2 e^-18, in any draw.
        let margin = 3.0 / libm::sqrt(count(DRAWS));
        for (place, t) in drawn.iter().enumerate() {
            let before = drawn.partition_point(|other| other < t);
            let until = drawn.partition_point(|other| other <= t);
            prop_assert!(d.cdf(*t) <= count(until) / count(DRAWS) + margin, "place {}", place);
            prop_assert!(d.cdf(below(*t)) >= count(before) / count(DRAWS) - margin, "place {}", place);
        }
    }
}

/// An even number from 0 to below 1.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    f64::from((random.next_u64() >> 32) as u32) / 4_294_967_296.0
}

/// The mean as the area above the cdf: Simpson's rule from decade to decade, until nothing survives.
fn area_above_the_cdf(d: &LatencyDistribution) -> f64 {
    const STEPS: u32 = 20_000;
    let (mut area, mut from, mut to) = (0.0, 0.0, 1e-3);
    while d.chance(from).no > 0.0 && to < 1e40 {
        let width = (to - from) / f64::from(STEPS);
        let at = |half: u32| d.chance(from + width * f64::from(half) / 2.0).no;
        let strip = |step: u32| (at(2 * step) + 4.0 * at(2 * step + 1) + at(2 * step + 2)) * width / 6.0;
        area += (0..STEPS).map(strip).sum::<f64>();
        (from, to) = (to, to * 10.0);
    }
    area
}

#[test]
fn means_are_the_area_above_the_cdf() {
    let exponential = || sound(LatencyDistribution::exponential(0.25));
    let pareto = || sound(LatencyDistribution::pareto(1.5, 3.8));
    let uniform = || sound(LatencyDistribution::uniform(1.0, 7.0));
    let samples = || sound(LatencyDistribution::empirical([3.0, 1.0, 2.0, 2.0, 9.5]));
    let all = [
        sound(LatencyDistribution::constant(2.5)),
        exponential(),
        pareto(),
        uniform(),
        samples(),
        sound(pareto().shifted(4.0)),
        sound(LatencyDistribution::mixture([(3.0, exponential()), (1.0, pareto()), (2.0, uniform())])),
        sound(LatencyDistribution::mixture([(0.5, samples()), (0.5, sound(exponential().shifted(1.0)))])),
    ];
    for d in all {
        let area = area_above_the_cdf(&d);
        assert!((d.mean() - area).abs() < 1e-4 * area, "{d:?}: {} and {area}", d.mean());
    }
}

#[test]
fn means_in_closed_form() {
    let close = |d: LatencyDistribution, mean: f64| assert!((d.mean() - mean).abs() < 1e-12 * mean, "{d:?}");
    close(sound(LatencyDistribution::exponential(4.0)), 0.25);
    close(sound(LatencyDistribution::pareto(3.0, 1.5)), 9.0);
    close(sound(LatencyDistribution::uniform(2.0, 8.0)), 5.0);
    close(sound(LatencyDistribution::empirical([1.0, 2.0, 6.0])), 3.0);
    close(sound(LatencyDistribution::empirical([f64::MAX, f64::MAX])), f64::MAX);
    for shape in [1.0, 0.4] {
        let heavy = sound(LatencyDistribution::pareto(3.0, shape));
        assert_eq!(heavy.mean(), f64::INFINITY);
        let rarely =
            LatencyDistribution::mixture([(1e9, sound(LatencyDistribution::constant(1.0))), (1.0, heavy)]);
        assert_eq!(sound(rarely).mean(), f64::INFINITY);
    }
}

#[test]
fn a_quantile_is_where_the_step_is() {
    let samples = sound(LatencyDistribution::empirical([30.0, 10.0, 20.0, 40.0]));
    for (p, t) in
        [(0.0, 10.0), (0.25, 10.0), (0.26, 20.0), (0.5, 20.0), (0.75, 30.0), (0.76, 40.0), (1.0, 40.0)]
    {
        assert_eq!(samples.quantile(Probability::clamped(p)), t, "p = {p}");
    }
    let either = sound(LatencyDistribution::mixture([
        (1.0, sound(LatencyDistribution::constant(1.0))),
        (3.0, sound(LatencyDistribution::constant(5.0))),
    ]));
    for (p, t) in [(0.0, 1.0), (0.25, 1.0), (0.251, 5.0), (1.0, 5.0)] {
        assert_eq!(either.quantile(Probability::clamped(p)), t, "p = {p}");
    }
    assert_eq!((either.sample(0.2499), either.sample(0.25), either.sample(7.0)), (1.0, 5.0, 5.0));
    assert_eq!((either.cdf(0.9), either.cdf(1.0), either.cdf(4.9), either.cdf(5.0)), (0.0, 0.25, 0.25, 1.0));
}

#[test]
fn tails_without_end_are_infinite_only_at_1() {
    let exponential = sound(LatencyDistribution::exponential(1.0));
    let heavy = sound(LatencyDistribution::pareto(1.0, 0.01));
    let mixed = sound(LatencyDistribution::mixture([(1.0, exponential.clone()), (1.0, heavy.clone())]));
    for d in [exponential, heavy, mixed] {
        assert_eq!(d.quantile(Probability::ONE), f64::INFINITY);
        assert!(d.quantile(Probability::clamped(0.5)).is_finite());
        assert!(d.cdf(f64::MAX) > 0.9);
    }
    // A tail beyond the largest number there is.
    let endless = sound(LatencyDistribution::pareto(1.0, 0.0001));
    assert_eq!(endless.quantile(Probability::clamped(0.5)), f64::INFINITY);
}

#[test]
fn mixtures_of_mixtures_are_mixtures() {
    let [one, two, four] = [1.0, 2.0, 4.0].map(|t| sound(LatencyDistribution::constant(t)));
    let inner = sound(LatencyDistribution::mixture([(3.0, one.clone()), (1.0, two.clone())]));
    let outer = sound(LatencyDistribution::mixture([(2.0, inner), (0.0, one.clone()), (2.0, four.clone())]));
    assert_eq!(outer, sound(LatencyDistribution::mixture([(3.0, one), (1.0, two), (4.0, four)])));
    assert_eq!(outer.cdf(1.0), 0.375);
}

#[test]
fn weights_may_be_as_large_or_as_small_as_numbers_are() {
    let [one, two] = [1.0, 2.0].map(|t| sound(LatencyDistribution::constant(t)));
    let huge = LatencyDistribution::mixture([(f64::MAX, one.clone()), (f64::MAX, two.clone())]);
    assert_eq!(sound(huge).mean(), 1.5);
    let tiny = LatencyDistribution::mixture([(5e-324, one.clone()), (5e-324, two.clone())]);
    assert_eq!(sound(tiny).mean(), 1.5);
    assert_eq!(sound(LatencyDistribution::mixture([(f64::MAX, one.clone()), (5e-324, two)])), one);
}

#[test]
fn nonsense_is_refused_by_name() {
    let one = sound(LatencyDistribution::constant(1.0));
    let is_nan = |given: f64| given.is_nan();
    for bad in [-1.0, f64::INFINITY, -5e-324] {
        let invalid = Err(DistributionError::InvalidTime { given: bad });
        assert_eq!(LatencyDistribution::constant(bad), invalid);
        assert_eq!(LatencyDistribution::uniform(bad, 1.0), invalid);
        assert_eq!(LatencyDistribution::uniform(1.0, bad), invalid);
        assert_eq!(LatencyDistribution::empirical([1.0, bad]), invalid);
        assert_eq!(one.clone().shifted(bad), invalid);
        assert_eq!(
            LatencyDistribution::mixture([(bad, one.clone())]),
            Err(DistributionError::InvalidWeight { given: bad })
        );
    }
    for bad in [-1.0, 0.0, f64::INFINITY] {
        assert_eq!(LatencyDistribution::exponential(bad), Err(DistributionError::InvalidRate { given: bad }));
        assert_eq!(
            LatencyDistribution::pareto(bad, 1.0),
            Err(DistributionError::InvalidScale { given: bad })
        );
        assert_eq!(
            LatencyDistribution::pareto(1.0, bad),
            Err(DistributionError::InvalidShape { given: bad })
        );
    }
    let nan = f64::NAN;
    assert!(
        matches!(LatencyDistribution::constant(nan), Err(DistributionError::InvalidTime { given }) if is_nan(given))
    );
    assert!(
        matches!(LatencyDistribution::exponential(nan), Err(DistributionError::InvalidRate { given }) if is_nan(given))
    );
    assert!(
        matches!(LatencyDistribution::pareto(nan, 1.0), Err(DistributionError::InvalidScale { given }) if is_nan(given))
    );
    assert!(
        matches!(LatencyDistribution::pareto(1.0, nan), Err(DistributionError::InvalidShape { given }) if is_nan(given))
    );
    assert!(matches!(
        LatencyDistribution::mixture([(nan, one.clone())]),
        Err(DistributionError::InvalidWeight { given }) if is_nan(given)
    ));
    let reversed = Err(DistributionError::ReversedRange { from: 2.0, to: 1.0 });
    assert_eq!(LatencyDistribution::uniform(2.0, 1.0), reversed);
    assert_eq!(LatencyDistribution::mixture([]), Err(DistributionError::NoWeight));
    assert_eq!(LatencyDistribution::mixture([(0.0, one)]), Err(DistributionError::NoWeight));
    assert_eq!(LatencyDistribution::empirical([]), Err(DistributionError::NoSamples));
}

#[test]
fn what_is_shifted_stays_in_the_range_of_numbers() {
    let beyond = Err(DistributionError::InvalidTime { given: f64::INFINITY });
    let latest = sound(LatencyDistribution::constant(f64::MAX));
    assert_eq!(latest.clone().shifted(f64::MAX), beyond);
    assert_eq!(sound(LatencyDistribution::pareto(f64::MAX, 2.0)).shifted(f64::MAX), beyond);
    assert_eq!(sound(LatencyDistribution::empirical([1.0, f64::MAX])).shifted(f64::MAX), beyond);
    assert_eq!(latest.clone().shifted(0.0), Ok(latest));
}
