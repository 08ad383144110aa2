//! How stale reads are, by counting: closed forms against enumeration of every choice of quorums.

use proptest::prelude::*;
use quorum::{Probability, QuorumConfig, RateError};

fn config(n: u32, r: u32, w: u32) -> QuorumConfig {
    QuorumConfig::new(n, r, w).expect("a sound configuration")
}

fn probability(p: f64) -> Probability {
    Probability::new(p).expect("a probability")
}

/// Every set of `size` out of `n` nodes, as a bit mask.
fn sets(n: u32, size: u32) -> impl Iterator<Item = u32> + Clone {
    (0..1_u32 << n).filter(move |set| set.count_ones() == size)
}

fn configs(n: u32) -> impl Iterator<Item = QuorumConfig> {
    (1..=n).flat_map(move |r| (1..=n).map(move |w| config(n, r, w)))
}

/// The share of those that are true.
fn share(all: impl Iterator<Item = bool>) -> f64 {
    let (mut true_ones, mut total) = (0.0, 0.0);
    for one in all {
        true_ones += f64::from(u8::from(one));
        total += 1.0;
    }
    true_ones / total
}

fn assert_close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-12 * expected, "{what}: {found} is not {expected}");
}

#[test]
fn misses_are_the_pairs_of_quorums_that_do_not_meet() {
    for n in 1..=8 {
        for config in configs(n) {
            let pairs =
                sets(n, config.r()).flat_map(|read| sets(n, config.w()).map(move |write| (read, write)));
            let expected = share(pairs.map(|(read, write)| read & write == 0));
            assert_close(config.miss_probability().get(), expected, &config.to_string());
        }
    }
}

#[test]
fn k_versions_are_missed_together_when_the_read_meets_none_of_their_quorums() {
    for n in 1..=4 {
        for config in configs(n) {
            let writes = || sets(n, config.w());
            let two = writes().flat_map(|a| writes().map(move |b| a | b));
            let three = two.clone().flat_map(|ab| writes().map(move |c| ab | c));
            let seen = |written: u32| sets(n, config.r()).map(move |read| read & written != 0);
            assert_close(config.k_staleness(2).get(), share(two.flat_map(seen)), &config.to_string());
            assert_close(config.k_staleness(3).get(), share(three.flat_map(seen)), &config.to_string());
        }
    }
}

#[test]
fn lesson_1_two_and_three_of_five_miss_one_read_in_ten() {
    let config = config(5, 2, 3);
    assert_close(config.miss_probability().get(), 0.1, "p_s");
    for (k, expected) in [(0, 0.0), (1, 0.9), (2, 0.99), (3, 0.999)] {
        assert_close(config.k_staleness(k).get(), expected, &format!("the last {k}"));
    }
    assert_eq!(config.versions_for(probability(0.95)), Some(2));
}

#[test]
fn lesson_2_a_strict_quorum_is_never_stale() {
    for n in 1..=8 {
        for config in configs(n).filter(QuorumConfig::is_strict) {
            assert_eq!(config.miss_probability(), Probability::ZERO, "{config}");
            for k in [1, 2, 1000, u32::MAX] {
                assert_eq!(config.k_staleness(k), Probability::ONE, "{config} k={k}");
            }
            assert_eq!(config.versions_for(Probability::ONE), Some(1), "{config}");
            assert_eq!(config.monotonic_reads(100.0, 1.0), Ok(Probability::ONE), "{config}");
        }
    }
}

#[test]
fn lesson_3_a_partial_quorum_is_nearly_always_nearly_fresh_and_never_certainly() {
    let config = config(3, 1, 1);
    assert_eq!(config.versions_for(probability(0.999)), Some(18));
    assert_eq!(config.versions_for(Probability::ONE), None);
    assert_eq!(config.versions_for(Probability::ZERO), Some(0));
    // One of four thousand million replicas is hardly ever the right one.
    let vast = QuorumConfig::best_effort(u32::MAX).expect("n is not zero");
    assert!(vast.versions_for(probability(0.6)).is_some_and(|k| (3_900_000_000..4_000_000_000).contains(&k)));
    assert_eq!(vast.versions_for(probability(0.7)), None);
}

#[test]
fn lesson_4_who_reads_seldom_rarely_goes_back() {
    let config = config(3, 1, 1);
    let steady = |writes, reads| config.monotonic_reads(writes, reads).expect("sound rates").get();
    assert_close(steady(0.0, 1.0), config.k_staleness(1).get(), "nothing is written");
    assert_close(steady(5.0, 5.0), config.k_staleness(2).get(), "one version between two reads");
    assert_close(steady(8.0, 2.0), config.k_staleness(5).get(), "four versions between two reads");
    assert_close(steady(1.0, 2.0), 1.0 - (2.0_f64 / 3.0).powf(1.5), "one version between three reads");
    assert_close(steady(f64::MAX, f64::MIN_POSITIVE), 1.0, "more versions than can be counted");
}

#[test]
fn rates_that_mean_nothing_are_refused_by_name() {
    let config = config(3, 1, 1);
    for given in [-1.0, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(config.monotonic_reads(given, 1.0), Err(RateError::InvalidWriteRate { given }));
        assert_eq!(config.monotonic_reads(1.0, given), Err(RateError::InvalidReadRate { given }));
    }
    assert_eq!(config.monotonic_reads(1.0, 0.0), Err(RateError::InvalidReadRate { given: 0.0 }));
    assert!(matches!(config.monotonic_reads(f64::NAN, 1.0), Err(RateError::InvalidWriteRate { .. })));
    assert!(matches!(config.monotonic_reads(1.0, f64::NAN), Err(RateError::InvalidReadRate { .. })));
}

proptest! {
    #[test]
    fn any_configuration_has_a_chance_between_never_and_always(n in 1..=u32::MAX, r: u32, w: u32) {
        let config = config(n, r % n + 1, w % n + 1);
        let miss = config.miss_probability();
        prop_assert!((Probability::ZERO..Probability::ONE).contains(&miss));
        prop_assert!(miss == Probability::ZERO || !config.is_strict());
        prop_assert_eq!(miss, self::config(n, config.w(), config.r()).miss_probability());
    }

    #[test]
    fn larger_quorums_miss_less(n in 2..=u32::MAX, r in 1..10_000_u32, w in 1..10_000_u32) {
        let (r, w) = (r.min(n - 1), w.min(n - 1));
        let miss = |r, w| config(n, r, w).miss_probability();
        prop_assert!(miss(r + 1, w).get() <= miss(r, w).get() * (1.0 + 1e-12));
        prop_assert!(miss(r, w + 1).get() <= miss(r, w).get() * (1.0 + 1e-12));
    }

    #[test]
    fn the_number_of_versions_is_the_smallest_that_is_enough(
        n in 1..50_u32, r in 1..50_u32, w in 1..50_u32, wanted in 0.0..=1.0,
    ) {
        let config = config(n, r.min(n), w.min(n));
        let wanted = probability(wanted);
        match config.versions_for(wanted) {
            Some(k) => {
                prop_assert!(config.k_staleness(k) >= wanted);
                prop_assert!(k == 0 || config.k_staleness(k - 1) < wanted);
            }
            None => prop_assert!(wanted == Probability::ONE && !config.is_strict()),
        }
    }
}
