//! How likely quorums are to be had, against the sum over every set of nodes that may be up.

use proptest::prelude::*;
use quorum::{AvailabilityError, Probability, QuorumConfig, downtime_per_year};

fn config(n: u32, r: u32, w: u32) -> QuorumConfig {
    QuorumConfig::new(n, r, w).expect("a sound configuration")
}

fn probability(p: f64) -> Probability {
    Probability::new(p).expect("a number from 0 to 1")
}

/// The probability that at least `k` nodes are up: every set of nodes with the probability that just these are.
fn by_enumeration(failures: &[f64], k: u32) -> f64 {
    let just_these = |up: u32| -> f64 {
        let one = |(node, failure): (usize, &f64)| if up >> node & 1 == 1 { 1.0 - failure } else { *failure };
        failures.iter().enumerate().map(one).product()
    };
    (0..1_u32 << failures.len()).filter(|up| up.count_ones() >= k).map(just_these).sum()
}

fn close(computed: Probability, exact: f64) -> bool {
    (computed.get() - exact).abs() < 1e-13
}

proptest! {
    #[test]
    fn availability_equals_the_sum_over_all_sets_of_nodes(
        failures in prop::collection::vec(0.0..=1.0, 1..=10),
        r: prop::sample::Index,
        w: prop::sample::Index,
    ) {
        let n = u32::try_from(failures.len()).expect("at most ten");
        let quorum = |index: prop::sample::Index| u32::try_from(index.index(failures.len())).expect("at most ten") + 1;
        let (r, w) = (quorum(r), quorum(w));
        let config = config(n, r, w);

        let each: Vec<Probability> = failures.iter().copied().map(probability).collect();
        prop_assert!(config.read_availability_of(&each).is_ok_and(|p| close(p, by_enumeration(&failures, r))));
        prop_assert!(config.write_availability_of(&each).is_ok_and(|p| close(p, by_enumeration(&failures, w))));
        prop_assert!(config.availability_of(&each).is_ok_and(|p| close(p, by_enumeration(&failures, r.max(w)))));

        let (alike, first) = (vec![failures[0]; failures.len()], probability(failures[0]));
        prop_assert!(close(config.read_availability(first), by_enumeration(&alike, r)));
        prop_assert!(close(config.write_availability(first), by_enumeration(&alike, w)));
        prop_assert!(close(config.availability(first), by_enumeration(&alike, r.max(w))));
    }

    #[test]
    fn more_failures_and_larger_quorums_never_make_it_better(
        n in 1_u32..,
        k in 1_u32..,
        p in 0.0..=1.0,
        q in 0.0..=1.0,
    ) {
        let k = k.min(n);
        let (better, worse): (f64, f64) = if p < q { (p, q) } else { (q, p) };
        let at = |k, p| config(n, k, k).availability(probability(p)).get();
        prop_assert!(at(k, worse) <= at(k, better) + 1e-12);
        prop_assert!(at(k, p) <= at((k / 2).max(1), p) + 1e-12);
    }
}

#[test]
fn lesson_1_two_of_three_turn_one_failure_in_ten_into_one_in_thirty_five() {
    let failure = probability(0.1);
    assert_eq!(config(3, 2, 2).availability(failure), probability(0.972));
    assert_eq!(config(3, 2, 2).availability_of(&[failure; 3]), Ok(probability(0.972)));
}

#[test]
fn lesson_2_more_replicas_help_only_those_who_need_not_ask_all_of_them() {
    let failure = probability(0.1);
    let alone = 0.9;
    let majority = |n| QuorumConfig::balanced(n).expect("n is not zero").availability(failure).get();
    assert!(close(probability(majority(1)), alone));
    assert!(majority(1) < majority(3) && majority(3) < majority(5) && majority(5) < majority(7));

    let write_all = |n| QuorumConfig::read_heavy(n).expect("n is not zero").write_availability(failure).get();
    assert!((write_all(3) - 0.729).abs() < 1e-15);
    assert!(write_all(5) < write_all(3));
    // An even number of nodes needs a larger majority and is no better for it.
    assert!(majority(4) < majority(3));
}

#[test]
fn lesson_3_nodes_that_fail_more_often_than_not_are_better_left_alone() {
    let failure = probability(0.6);
    let majority = |n| QuorumConfig::balanced(n).expect("n is not zero").availability(failure).get();
    assert!(majority(3) < majority(1) && majority(101) < majority(3));
    let coin = probability(0.5);
    let balanced = QuorumConfig::balanced(u32::MAX).expect("n is not zero");
    assert!(close(balanced.availability(coin), 0.5));
}

#[test]
fn lesson_4_one_bad_node_of_three_costs_little_and_two_cost_nearly_all() {
    let [good, bad] = [0.01, 0.5].map(probability);
    let of = |failures: [Probability; 3]| {
        config(3, 2, 2).availability_of(&failures).expect("three of three").get()
    };
    assert!((of([good, good, good]) - 0.999_702).abs() < 1e-12);
    assert!((of([good, good, bad]) - 0.99).abs() < 1e-12);
    assert!((of([good, bad, bad]) - 0.745).abs() < 1e-12);
}

#[test]
fn lesson_5_nines_are_easier_to_feel_as_time() {
    let close = |availability, seconds: f64| {
        let downtime = downtime_per_year(probability(availability));
        assert!((downtime - seconds).abs() < 1e-9 * seconds, "{downtime}");
    };
    close(0.9, 36.525 * 86_400.0);
    close(0.999, 31_557.6);
    close(0.0, 365.25 * 86_400.0);
    assert!(downtime_per_year(Probability::ONE).abs() < f64::MIN_POSITIVE);
    // Five nines are five minutes.
    assert!((downtime_per_year(probability(0.999_99)) / 60.0 - 5.26).abs() < 0.01);
}

#[test]
fn what_cannot_fail_is_available_and_what_cannot_work_is_not() {
    for (n, r, w) in [(1, 1, 1), (3, 2, 2), (5, 5, 1), (u32::MAX, u32::MAX, 7)] {
        let config = config(n, r, w);
        assert_eq!(config.availability(Probability::ZERO), Probability::ONE);
        assert_eq!(config.availability(Probability::ONE), Probability::ZERO);
    }
    let [up, down] = [Probability::ZERO, Probability::ONE];
    assert_eq!(config(3, 2, 2).availability_of(&[up, down, up]), Ok(Probability::ONE));
    assert_eq!(config(3, 2, 2).availability_of(&[up, down, down]), Ok(Probability::ZERO));
}

#[test]
fn one_probability_is_needed_for_each_replica() {
    let config = config(3, 1, 2);
    for given in [0, 2, 4] {
        let wrong = Err(AvailabilityError::WrongNumber { given, n: 3 });
        let failures = vec![Probability::ZERO; given];
        assert_eq!(config.read_availability_of(&failures), wrong);
        assert_eq!(config.write_availability_of(&failures), wrong);
        assert_eq!(config.availability_of(&failures), wrong);
    }
}
