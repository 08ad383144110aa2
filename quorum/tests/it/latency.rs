//! How long quorums take, against enumeration, closed forms and the sorting of times that are drawn.

use proptest::prelude::*;
use quorum::{LatencyDistribution, OrderStatistic, OrderStatisticError, Probability, QuorumConfig};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

fn exponential(rate: f64) -> LatencyDistribution {
    LatencyDistribution::exponential(rate).expect("a rate above 0")
}

fn pareto(scale: f64, shape: f64) -> LatencyDistribution {
    LatencyDistribution::pareto(scale, shape).expect("a scale and a shape above 0")
}

fn uniform(from: f64, to: f64) -> LatencyDistribution {
    LatencyDistribution::uniform(from, to).expect("a range")
}

fn constant(t: f64) -> LatencyDistribution {
    LatencyDistribution::constant(t).expect("a time")
}

fn empirical(samples: &[f64]) -> LatencyDistribution {
    LatencyDistribution::empirical(samples.iter().copied()).expect("samples")
}

fn mixture(parts: Vec<(f64, LatencyDistribution)>) -> LatencyDistribution {
    LatencyDistribution::mixture(parts).expect("weights above 0")
}

fn alike(k: u32, n: u32, each: &LatencyDistribution) -> OrderStatistic {
    OrderStatistic::alike(k, n, each.clone()).expect("k of n")
}

fn of(k: u32, nodes: &[LatencyDistribution]) -> OrderStatistic {
    OrderStatistic::of(k, nodes.iter().cloned()).expect("k of n")
}

fn probability(p: f64) -> Probability {
    Probability::new(p).expect("a number from 0 to 1")
}

#[track_caller]
fn assert_close(computed: f64, exact: f64, error: f64) {
    assert!((computed - exact).abs() <= error * exact.abs(), "{computed} instead of {exact}");
}

/// Every kind of distribution; all have a mean.
fn any() -> impl Strategy<Value = LatencyDistribution> {
    let simple = prop_oneof![
        (0.0..50.0).prop_map(constant),
        (0.001..10.0).prop_map(exponential),
        (0.1..10.0, 1.2..6.0).prop_map(|(scale, shape)| pareto(scale, shape)),
        (0.0..20.0, 0.0..20.0).prop_map(|(from, width)| uniform(from, from + width)),
        prop::collection::vec(0.0..30.0, 1..12).prop_map(|samples| empirical(&samples)),
    ]
    .boxed();
    prop_oneof![simple.clone(), prop::collection::vec((0.01..5.0, simple), 1..4).prop_map(mixture)]
}

fn nodes(most: usize) -> impl Strategy<Value = (u32, Vec<LatencyDistribution>)> {
    prop::collection::vec(any(), 1..=most).prop_flat_map(|nodes| {
        let n = u32::try_from(nodes.len()).expect("few");
        (1..=n, Just(nodes))
    })
}

/// The probability of each set of nodes that just these have answered, over all sets of at least `k`.
fn by_enumeration(k: u32, answered: &[f64]) -> f64 {
    let just_these = |set: u32| -> f64 {
        answered.iter().enumerate().map(|(node, p)| if set >> node & 1 == 1 { *p } else { 1.0 - p }).product()
    };
    (0..1_u32 << answered.len()).filter(|set| set.count_ones() >= k).map(just_these).sum()
}

/// An even number from 0 to below 1.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.next_u32()) / 4_294_967_296.0
}

proptest! {
    #[test]
    fn the_cdf_equals_the_sum_over_all_sets_of_nodes((k, nodes) in nodes(8), t in 0.0..60.0) {
        let answered: Vec<f64> = nodes.iter().map(|node| node.cdf(t)).collect();
        prop_assert!((of(k, &nodes).cdf(t) - by_enumeration(k, &answered)).abs() < 1e-13);

        let n = u32::try_from(nodes.len()).expect("few");
        let same = vec![nodes[0].cdf(t); nodes.len()];
        prop_assert!((alike(k, n, &nodes[0]).cdf(t) - by_enumeration(k, &same)).abs() < 1e-13);
    }

    #[test]
    fn the_quantile_is_the_first_time_by_which_enough_have_answered((k, nodes) in nodes(5), p in 0.001..0.999) {
        let n = u32::try_from(nodes.len()).expect("few");
        for wait in [of(k, &nodes), alike(k, n, &nodes[0])] {
            let t = wait.quantile(probability(p));
            prop_assert!(wait.cdf(t) >= p);
            prop_assert!(t <= 0.0 || wait.cdf(t.next_down()) < p + 1e-13);
        }
    }

    #[test]
    fn all_answers_together_take_as_long_as_each_alone((_, nodes) in nodes(4)) {
        // Sorting moves times about but loses none: the means of T_(1) to T_(n) add up to those of the nodes.
        let n = u32::try_from(nodes.len()).expect("few");
        let sorted: f64 = (1..=n).map(|k| of(k, &nodes).mean()).sum();
        let alone: f64 = nodes.iter().map(LatencyDistribution::mean).sum();
        prop_assert!((sorted - alone).abs() <= 1e-9 * alone, "{} and {}", sorted, alone);

        let sorted: f64 = (1..=7).map(|k| alike(k, 7, &nodes[0]).mean()).sum();
        let alone = 7.0 * nodes[0].mean();
        prop_assert!((sorted - alone).abs() <= 1e-9 * alone, "{} and {}", sorted, alone);
    }

    #[test]
    fn what_is_drawn_and_sorted_is_distributed_as_the_cdf_says((k, nodes) in nodes(5), seed: u64) {
        const DRAWS: u32 = 2_000;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = || {
            let mut times: Vec<f64> = nodes.iter().map(|node| node.sample(unit(&mut random))).collect();
            times.sort_by(f64::total_cmp);
            times[k as usize - 1]
        };
        let drawn: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
        let drawn = empirical(&drawn);
        // Dvoretzky, Kiefer and Wolfowitz: further away than this with a chance of 2 e^-18, at any time.
        let margin = 3.0 / f64::from(DRAWS).sqrt();
        let wait = of(k, &nodes);
        for percent in 1..100 {
            let p = probability(f64::from(percent) / 100.0);
            for t in [drawn.quantile(p), wait.quantile(p)] {
                prop_assert!((drawn.cdf(t) - wait.cdf(t)).abs() < margin, "at {}", t);
            }
        }
    }

    #[test]
    fn samples_are_exact(samples in prop::collection::vec(0..40_u8, 1..5), n in 1..5_u32) {
        // All lists of n samples, which are equally likely, each sorted.
        let samples: Vec<f64> = samples.into_iter().map(f64::from).collect();
        let mut lists: Vec<Vec<f64>> = vec![vec![]];
        for _ in 0..n {
            let longer = |list: &Vec<f64>| {
                let list = list.clone();
                samples.iter().map(move |sample| [list.clone(), vec![*sample]].concat()).collect::<Vec<_>>()
            };
            lists = lists.iter().flat_map(longer).collect();
        }
        for list in &mut lists {
            list.sort_by(f64::total_cmp);
        }
        let total = f64::from(u32::try_from(lists.len()).expect("at most 256"));
        for k in 1..=n {
            let exact = lists.iter().map(|list| list[k as usize - 1]).sum::<f64>() / total;
            prop_assert!((alike(k, n, &empirical(&samples)).mean() - exact).abs() < 1e-12);
        }
    }

    #[test]
    fn constants_are_exact(times in prop::collection::vec(0.0..1e6, 1..9)) {
        let nodes: Vec<_> = times.iter().copied().map(constant).collect();
        let mut sorted = times;
        sorted.sort_by(f64::total_cmp);
        for (k, t) in (1..).zip(sorted) {
            let wait = of(k, &nodes);
            prop_assert_eq!((wait.cdf(t.next_down()), wait.cdf(t)), (0.0, 1.0));
            prop_assert_eq!((wait.quantile(probability(0.5)), wait.quantile(Probability::ONE)), (t, t));
            prop_assert!((wait.mean() - t).abs() <= 1e-15 * t);
        }
    }
}

#[test]
fn lesson_1_the_second_answer_of_three_is_sooner_than_one_and_the_third_much_later() {
    let answer = exponential(1.0);
    for (n, means) in [
        (1, vec![1.0]),
        (3, vec![1.0 / 3.0, 5.0 / 6.0, 11.0 / 6.0]),
        (5, vec![0.2, 0.45, 47.0 / 60.0, 77.0 / 60.0, 137.0 / 60.0]),
    ] {
        for (k, mean) in (1..).zip(means) {
            assert_close(alike(k, n, &answer).mean(), mean, 1e-15);
            // The general way gives the same: mixed with itself, it is not recognised.
            let unrecognised = mixture(vec![(1.0, answer.clone()), (2.0, answer.clone())]);
            assert_close(alike(k, n, &unrecognised).mean(), mean, 1e-10);
        }
    }
}

#[test]
fn lesson_2_any_number_of_nodes_will_do() {
    let (most, answer) = (u32::MAX, exponential(4.0));
    assert_close(alike(1, most, &answer).mean(), 0.25 / f64::from(most), 1e-15);
    // The last of 2^32 - 1 takes ln n + 0.5772.. times as long as one.
    let last = alike(most, most, &answer);
    assert_close(last.mean(), 0.25 * (f64::from(most).ln() + 0.577_215_664_901_532_9), 1e-10);
    let majority = QuorumConfig::balanced(most).expect("not zero").read_latency(&answer);
    assert_close(majority.mean(), 0.25 * 2.0_f64.ln(), 1e-9);
    assert!((majority.cdf(0.25 * 2.0_f64.ln()) - 0.5).abs() < 1e-4);
    // All of a thousand uniform times, and half of them.
    assert_close(alike(1_000, 1_000, &uniform(0.0, 1.0)).mean(), 1_000.0 / 1_001.0, 1e-10);
    assert_close(alike(500, 1_000, &uniform(0.0, 1.0)).mean(), 500.0 / 1_001.0, 1e-10);
}

#[test]
fn lesson_3_not_waiting_for_the_slowest_tames_a_tail() {
    // The product over i from n - k + 1 to n of i / (i - 1 / a).
    let exact = |k: u32, n: u32, a: f64| -> f64 {
        (n - k + 1..=n).map(f64::from).map(|i| i / (i - 1.0 / a)).product()
    };
    for a in [0.4, 0.9, 1.0, 1.01, 1.5, 3.8] {
        for n in [1, 3, 5, 12] {
            for k in 1..=n {
                let mean = alike(k, n, &pareto(2.0, a)).mean();
                if a * f64::from(n - k + 1) > 1.0 {
                    assert_close(mean, 2.0 * exact(k, n, a), 1e-9);
                } else {
                    assert!(mean.is_infinite(), "{k} of {n}, a = {a}: {mean}");
                }
            }
        }
    }
    let one_is_bad = [pareto(1.0, 0.5), exponential(1.0), exponential(1.0)];
    assert!(of(2, &one_is_bad).mean() < 1.5);
    assert!(of(3, &one_is_bad).mean().is_infinite());
}

#[test]
fn lesson_4_a_far_away_replica_costs_only_those_who_wait_for_it() {
    let far = exponential(1.0).shifted(80.0).expect("a time");
    let replicas = [exponential(1.0), exponential(1.0), far];
    let config = QuorumConfig::new(3, 2, 3).expect("sound");
    let read = config.read_latency_of(&replicas).expect("three of three");
    let write = config.write_latency_of(&replicas).expect("three of three");
    assert_close(read.mean(), 1.5, 1e-9);
    assert_close(write.mean(), 81.0, 1e-9);
    assert!(read.quantile(probability(0.999)) < 10.0);
}

#[test]
fn nodes_with_rates_of_their_own_have_closed_forms_too() {
    let rates = [0.5, 1.0, 4.0];
    let nodes = rates.map(exponential);
    let first = 1.0 / 5.5;
    let all = 2.0 + 1.0 + 0.25 - 1.0 / 1.5 - 1.0 / 4.5 - 1.0 / 5.0 + 1.0 / 5.5;
    assert_close(of(1, &nodes).mean(), first, 1e-10);
    assert_close(of(3, &nodes).mean(), all, 1e-10);
    assert_close(of(2, &nodes).mean(), 3.25 - first - all, 1e-9);
}

#[test]
fn the_unit_of_time_does_not_matter_from_one_end_of_numbers_to_the_other() {
    let in_units_of = |unit: f64| {
        let each = mixture(vec![
            (3.0, exponential(1.0 / unit)),
            (1.0, pareto(unit, 2.5)),
            (1.0, uniform(0.0, 2.0 * unit)),
        ]);
        [1, 3, 5].map(|k| alike(k, 5, &each).mean() / unit)
    };
    let expected = in_units_of(1.0);
    for unit in [1e-307, 1e-200, 1e-9, 1e9, 1e200, 1e300] {
        for (computed, expected) in in_units_of(unit).into_iter().zip(expected) {
            assert_close(computed, expected, 1e-9);
        }
    }
}

#[test]
fn where_it_begins_and_ends() {
    let wait = |k| of(k, &[uniform(1.0, 2.0), constant(3.0), exponential(1.0)]);
    let ends = |k| (wait(k).quantile(Probability::ZERO), wait(k).quantile(Probability::ONE));
    assert_eq!(ends(1), (0.0, 2.0));
    assert_eq!(ends(2), (1.0, 3.0));
    assert_eq!(ends(3), (3.0, f64::INFINITY));
    assert_eq!((wait(3).cdf(-1.0), wait(3).cdf(f64::NAN), wait(3).cdf(f64::INFINITY)), (0.0, 0.0, 1.0));
    assert_eq!(wait(2).k(), 2);
}

#[test]
fn nodes_that_turn_out_to_be_alike_are_alike() {
    let each = pareto(1.0, 3.0);
    assert_eq!(of(2, &[each.clone(), each.clone(), each.clone()]), alike(2, 3, &each));
    let config = QuorumConfig::new(3, 2, 1).expect("sound");
    assert_eq!(config.read_latency(&each), alike(2, 3, &each));
    assert_eq!(config.write_latency(&each), alike(1, 3, &each));
    assert_eq!(config.write_latency_of(&vec![each.clone(); 3]), Ok(alike(1, 3, &each)));
}

#[test]
fn what_cannot_be_waited_for_is_refused_by_name() {
    let each = constant(1.0);
    assert_eq!(OrderStatistic::alike(0, 3, each.clone()), Err(OrderStatisticError::NothingAwaited));
    assert_eq!(OrderStatistic::of(0, [each.clone()]), Err(OrderStatisticError::NothingAwaited));
    let too_few = |k, given| Err(OrderStatisticError::TooFewNodes { k, given });
    assert_eq!(OrderStatistic::alike(4, 3, each.clone()), too_few(4, 3));
    assert_eq!(OrderStatistic::alike(1, 0, each.clone()), too_few(1, 0));
    assert_eq!(OrderStatistic::of(2, [each.clone()]), too_few(2, 1));
    assert_eq!(OrderStatistic::of(1, []), too_few(1, 0));
    let config = QuorumConfig::new(3, 2, 2).expect("sound");
    for given in [0, 2, 4] {
        let wrong = Err(OrderStatisticError::WrongNumber { given, n: 3 });
        assert_eq!(config.read_latency_of(&vec![each.clone(); given]), wrong);
        assert_eq!(config.write_latency_of(&vec![each.clone(); given]), wrong);
    }
}
