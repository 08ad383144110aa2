//! When writes become visible: the simulation against closed forms, a naive second one, and what must always hold.

#![expect(clippy::float_cmp, reason = "the same draws give the same numbers, to the last bit")]

use proptest::prelude::*;
use quorum::{
    Confidence, Delays, DistributionError, LatencyDistribution, Probability, QuorumConfig, ReplicaDelays,
    Simulation, SimulationError, Wars, WarsError,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng as _};

fn config(n: u32, r: u32, w: u32) -> QuorumConfig {
    QuorumConfig::new(n, r, w).expect("a sound configuration")
}

fn probability(p: f64) -> Probability {
    Probability::new(p).expect("a probability")
}

fn sound<T>(distribution: Result<T, DistributionError>) -> T {
    distribution.expect("a sound distribution")
}

fn constant(t: f64) -> LatencyDistribution {
    sound(LatencyDistribution::constant(t))
}

fn exponential(rate: f64) -> LatencyDistribution {
    sound(LatencyDistribution::exponential(rate))
}

fn simulate(config: QuorumConfig, delays: Delays, seed: u64, trials: u32) -> Simulation {
    let wars = Wars::new(config, delays).expect("a sound model");
    wars.run(seed, trials).expect("a sound number of trials")
}

/// Writes travel exponentially long, everything else takes 1.
fn slow_writes(rate: f64) -> ReplicaDelays {
    ReplicaDelays { write: exponential(rate), ..ReplicaDelays::symmetric(constant(1.0)) }
}

/// Exponential times forget: when a write has reached W replicas, the time that it still needs to any other is again
/// exponential. A read that starts t after the commit misses if all its R replicas are among the others (`p_s`), and
/// each is still without the write when the read gets there: after an acknowledgement, t, and the way of the read.
fn visibility_of_slow_writes(config: QuorumConfig, rate: f64, t: f64) -> Probability {
    let all_late = (-rate * f64::from(config.r()) * (1.0 + t + 1.0)).exp();
    probability(1.0 - config.miss_probability().get() * all_late)
}

const FOUR_NINES: f64 = 0.9999;

fn surely(simulation: Simulation) -> Simulation {
    simulation.with_confidence(Confidence::new(probability(FOUR_NINES)).expect("a level between 0 and 1"))
}

#[test]
fn visibility_is_the_closed_form_of_exponential_writes() {
    let rate = 0.1;
    for (n, r, w) in [(2, 1, 1), (3, 1, 1), (3, 1, 2), (3, 2, 1), (5, 2, 3), (5, 1, 1), (20, 3, 4)] {
        let config = config(n, r, w);
        let simulation = surely(simulate(config, Delays::alike(slow_writes(rate)), 1, 100_000));
        for t in [-1.0, 0.0, 0.5, 3.0, 10.0, 40.0] {
            let truth = visibility_of_slow_writes(config, rate, t);
            let found = simulation.visibility(t);
            assert!(found.contains(truth), "{config} t={t}: {found} is not {truth}");
        }
    }
}

#[test]
fn the_time_to_a_probability_is_the_closed_form_too() {
    let (config, rate) = (config(3, 1, 1), 0.1);
    let simulation = simulate(config, Delays::alike(slow_writes(rate)), 2, 200_000);
    for wanted in [0.5, 0.9, 0.99, 0.999] {
        let truth = (config.miss_probability().get() / (1.0 - wanted)).ln() / rate - 2.0;
        let found = simulation.time_to(probability(wanted)).expect("all writes arrive");
        assert!((found - truth).abs() < 0.5 + 0.02 * truth, "{wanted}: {found} is not {truth}");
    }
}

#[test]
fn a_write_that_never_spreads_is_missed_as_often_as_quorums_do_not_meet() {
    let reads = ReplicaDelays { read: exponential(1.0), response: exponential(1.0), ..slow_writes(1e-9) };
    for config in [config(5, 2, 3), config(3, 1, 1), config(10, 3, 4), config(128, 8, 10)] {
        let simulation = surely(simulate(config, Delays::alike(reads.clone()), 3, 10_000));
        let found = simulation.visibility(0.0);
        assert!(found.contains(config.miss_probability().complement()), "{config}: {found}");
        assert_eq!(simulation.visibility(f64::MAX).value(), Probability::ONE, "{config}");
        assert!(simulation.k_visibility(3, 0.0).contains(config.k_staleness(3)), "{config}");
    }
}

#[test]
fn latencies_are_order_statistics() {
    let delays = ReplicaDelays {
        write: exponential(1.0),
        ack: constant(0.0),
        read: constant(0.0),
        response: exponential(2.0),
    };
    // The first of three exponential times is exponential at three times the rate; all are as late as the last.
    let simulation = simulate(config(3, 1, 3), Delays::alike(delays), 4, 200_000);
    for share in [0.1_f64, 0.5, 0.9, 0.99] {
        let first = -(1.0 - share).ln() / 6.0;
        let last = -(1.0 - share.cbrt()).ln();
        let found =
            (simulation.read_latency(probability(share)), simulation.write_latency(probability(share)));
        assert!((found.0 / first - 1.0).abs() < 0.02, "{share}: {} is not {first}", found.0);
        assert!((found.1 / last - 1.0).abs() < 0.02, "{share}: {} is not {last}", found.1);
    }
}

#[test]
fn lesson_1_the_replica_that_answers_first_need_not_be_the_one_that_was_written() {
    let path = |write, read| ReplicaDelays {
        write: constant(write),
        ack: constant(1.0),
        read: constant(read),
        response: constant(1.0),
    };
    // The write is done at 2, in the first replica. The second answers the read, and has the write at 10.
    let simulation = simulate(config(2, 1, 1), Delays::per_replica([path(1.0, 5.0), path(10.0, 1.0)]), 0, 10);
    assert_eq!(simulation.time_to(Probability::ONE), Some(7.0));
    assert_eq!(simulation.visibility(6.9).value(), Probability::ZERO);
    assert_eq!(simulation.visibility(7.0).value(), Probability::ONE);
    assert_eq!(simulation.read_latency(Probability::ONE), 2.0);
    assert_eq!(simulation.write_latency(Probability::ONE), 2.0);
}

#[test]
fn lesson_2_one_near_replica_for_both_hides_how_far_the_others_are() {
    let near = ReplicaDelays::symmetric(sound(LatencyDistribution::uniform(0.5, 1.5)));
    let far = sound(near.clone().shifted(75.0));
    let delays = |replicas: [&ReplicaDelays; 3]| Delays::per_replica(replicas.map(Clone::clone));

    let local = simulate(config(3, 1, 1), delays([&near, &far, &far]), 5, 1000);
    assert_eq!(local.visibility(0.0).value(), Probability::ONE);
    assert!(local.write_latency(Probability::ONE) < 3.0);

    let strict = simulate(config(3, 2, 2), delays([&near, &far, &far]), 5, 1000);
    assert!(strict.write_latency(Probability::ZERO) > 150.0, "a quorum crosses the distance twice");
}

#[test]
fn lesson_3_the_same_configuration_is_as_fresh_as_its_messages_are_quick() {
    let at_once = |delays| simulate(config(3, 1, 1), sound(delays), 6, 100_000).visibility(0.0).value().get();
    assert!((0.970..0.977).contains(&at_once(Delays::linkedin_ssd())));
    assert!((0.43..0.445).contains(&at_once(Delays::linkedin_disk())), "reads overtake writes to slow disks");
    assert!((0.88..0.895).contains(&at_once(Delays::yammer())));

    let disks = simulate(config(3, 1, 1), sound(Delays::linkedin_disk()), 6, 100_000);
    assert!(disks.time_to(probability(0.999)).is_some_and(|ms| (40.0..60.0).contains(&ms)));
    let yammer = simulate(config(3, 1, 1), sound(Delays::yammer()), 6, 100_000);
    assert!(yammer.time_to(probability(0.999)).is_some_and(|ms| (1300.0..1600.0).contains(&ms)));
}

#[test]
fn lesson_4_what_k_versions_are_worth() {
    let simulation = simulate(config(3, 1, 1), sound(Delays::linkedin_disk()), 7, 10_000);
    let once = simulation.visibility(1.0);
    let missed = 1.0 - once.value().get();
    let within_three = simulation.k_visibility(3, 1.0);
    assert!((within_three.value().get() - (1.0 - missed.powi(3))).abs() < 1e-15);
    assert!(within_three.low() < within_three.value() && within_three.value() < within_three.high());
    assert_eq!(simulation.k_visibility(1, 1.0), once);
    assert_eq!(simulation.k_visibility(0, 1.0).high(), Probability::ZERO);
}

#[test]
fn a_seed_gives_the_same_result_everywhere_and_always() {
    let even = ReplicaDelays::symmetric(sound(LatencyDistribution::uniform(0.0, 1.0)));
    let run = |seed| simulate(config(3, 1, 1), Delays::alike(even.clone()), seed, 1000);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    // These change only if the numbers drawn or their order do, which is news to whoever compares runs.
    assert_eq!(run(1).visibility(0.0).value(), probability(0.869));
    assert_eq!(run(1).read_latency(probability(0.5)), 0.662_334_956_349_037_2);
}

#[test]
fn configurations_of_as_many_replicas_meet_the_same_delays() {
    let run = |r, w| simulate(config(3, r, w), sound(Delays::yammer()), 8, 1000);
    for p in [0.0, 0.3, 0.9, 1.0].map(probability) {
        assert_eq!(run(1, 1).read_latency(p), run(1, 3).read_latency(p));
        assert_eq!(run(1, 2).write_latency(p), run(3, 2).write_latency(p));
        assert!(run(1, 1).write_latency(p) <= run(1, 2).write_latency(p));
    }
}

#[test]
fn intervals_contain_the_truth_about_as_often_as_they_say() {
    let config = config(3, 1, 1);
    let wars = Wars::new(config, Delays::alike(slow_writes(0.1))).expect("a sound model");
    let truth = visibility_of_slow_writes(config, 0.1, 1.0);
    let contains = |seed: &u64| wars.run(*seed, 500).is_ok_and(|run| run.visibility(1.0).contains(truth));
    let covered = (0..200_u64).filter(contains).count();
    // 190 on average, with a standard deviation of 3.1.
    assert!((180..=199).contains(&covered), "{covered} of 200");
}

#[test]
fn times_beyond_all_numbers_stay_in_order() {
    let beyond = ReplicaDelays::symmetric(sound(LatencyDistribution::pareto(1e300, 1e-3)));
    let strict = simulate(config(3, 2, 2), Delays::alike(beyond.clone()), 9, 1000);
    assert_eq!(strict.visibility(0.0).value(), Probability::ONE);
    assert_eq!(strict.write_latency(Probability::ONE), f64::INFINITY);

    let only_writes = ReplicaDelays { write: beyond.write, ..ReplicaDelays::symmetric(constant(1.0)) };
    let mixed = sound(LatencyDistribution::mixture([(0.5, only_writes.write.clone()), (0.5, constant(1.0))]));
    let partial =
        simulate(config(3, 1, 1), Delays::alike(ReplicaDelays { write: mixed, ..only_writes }), 9, 1000);
    assert!(partial.visibility(f64::MAX).value() < Probability::ONE);
    assert_eq!(partial.time_to(Probability::ONE), None);
    assert_eq!(partial.time_to(probability(0.1)), Some(0.0));
}

#[test]
fn questions_at_the_edge_have_answers() {
    let simulation = simulate(config(3, 1, 1), sound(Delays::linkedin_disk()), 10, 100);
    assert_eq!(simulation.trials(), 100);
    assert_eq!(simulation.time_to(Probability::ZERO), Some(0.0));
    assert_eq!(simulation.visibility(f64::NAN).value(), Probability::ZERO);
    assert_eq!(simulation.visibility(f64::NEG_INFINITY).value(), Probability::ZERO);
    assert_eq!(simulation.visibility(f64::INFINITY).value(), Probability::ONE);
    assert!(simulation.read_latency(Probability::ZERO) <= simulation.read_latency(probability(0.01)));
    let wider = simulation.clone().with_confidence(Confidence::new(probability(0.99)).expect("a level"));
    assert!(wider.visibility(1.0).low() < simulation.visibility(1.0).low());
}

#[test]
fn models_and_runs_that_make_no_sense_are_refused_by_name() {
    let each = || slow_writes(1.0);
    let too_many = QuorumConfig::best_effort(129).expect("n is not zero");
    assert_eq!(Wars::new(too_many, Delays::alike(each())), Err(WarsError::TooManyReplicas { n: 129 }));
    for given in [0, 1, 2, 4] {
        let delays = Delays::per_replica((0..given).map(|_| each()));
        let wrong = WarsError::WrongNumberOfDelays { given, n: 3 };
        assert_eq!(Wars::new(config(3, 1, 1), delays), Err(wrong));
    }
    let wars = Wars::new(config(3, 1, 1), Delays::alike(each())).expect("a sound model");
    assert_eq!(wars.run(1, 0), Err(SimulationError::NoTrials));
    for given in [Wars::MAX_TRIALS + 1, u32::MAX] {
        assert_eq!(wars.run(1, given), Err(SimulationError::TooManyTrials { given }));
    }
    assert!(sound(Delays::yammer()) != sound(Delays::linkedin_ssd()));
    assert!(each().shifted(f64::NAN).is_err());
}

/// How many of the trials are fresh, by the definition, with everything sorted and asked again for every `t`.
fn fresh_trials(config: QuorumConfig, each: &[ReplicaDelays], seed: u64, trials: u32, t: f64) -> u32 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |from: &LatencyDistribution| {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let bits = (Rng::next_u64(&mut rng) >> 11) as f64;
        from.sample(bits * 0.5_f64.powi(53))
    };
    let mut fresh = 0;
    for _ in 0..trials {
        let wars: Vec<[f64; 4]> = each
            .iter()
            .map(|delays| [&delays.write, &delays.ack, &delays.read, &delays.response].map(&mut draw))
            .collect();
        let mut acks: Vec<f64> = wars.iter().map(|[w, a, _, _]| w + a).collect();
        acks.sort_by(f64::total_cmp);
        let commit = acks[config.w() as usize - 1];
        let mut reads = wars.clone();
        reads.sort_by(|[_, _, r, s], [_, _, other_r, other_s]| (r + s).total_cmp(&(other_r + other_s)));
        reads.truncate(config.r() as usize);
        fresh += u32::from(reads.iter().any(|[w, _, r, _]| commit + t + r >= *w));
    }
    fresh
}

fn any_distribution() -> impl Strategy<Value = LatencyDistribution> {
    prop_oneof![
        (0.0..10.0).prop_map(constant),
        (0.01..10.0).prop_map(exponential),
        (0.1..5.0, 0.3..5.0_f64).prop_map(|(scale, shape)| sound(LatencyDistribution::pareto(scale, shape))),
        prop::collection::vec(0.0..20.0, 1..5)
            .prop_map(|samples| sound(LatencyDistribution::empirical(samples))),
    ]
}

fn any_replica() -> impl Strategy<Value = ReplicaDelays> {
    [any_distribution(), any_distribution(), any_distribution(), any_distribution()]
        .prop_map(|[write, ack, read, response]| ReplicaDelays { write, ack, read, response })
}

/// A configuration of 1 to 7 replicas, and delays for each.
fn any_model() -> impl Strategy<Value = (QuorumConfig, Vec<ReplicaDelays>)> {
    (1..8_u32)
        .prop_flat_map(|n| (Just(n), 1..=n, 1..=n, prop::collection::vec(any_replica(), n as usize)))
        .prop_map(|(n, r, w, each)| (config(n, r, w), each))
}

proptest! {
    #[test]
    fn the_naive_simulation_agrees((config, each) in any_model(), seed: u64, t in 0.0..30.0) {
        let simulation = simulate(config, Delays::per_replica(each.clone()), seed, 50);
        for t in [0.0, t] {
            let expected = f64::from(fresh_trials(config, &each, seed, 50, t)) / 50.0;
            prop_assert_eq!(simulation.visibility(t).value().get(), expected);
        }
    }

    #[test]
    fn a_strict_quorum_is_always_fresh((config, each) in any_model(), seed: u64, t in 0.0..30.0) {
        let just_enough = self::config(config.n(), config.r(), config.n() - config.r() + 1);
        let simulation = simulate(just_enough, Delays::per_replica(each), seed, 50);
        prop_assert_eq!(simulation.visibility(0.0).value(), Probability::ONE);
        prop_assert_eq!(simulation.visibility(t).value(), Probability::ONE);
        prop_assert_eq!(simulation.time_to(Probability::ONE), Some(0.0));
    }

    #[test]
    fn more_time_is_never_less_fresh_and_the_time_given_is_enough(
        (config, each) in any_model(), early in 0.0..50.0, later_by in 0.0..50.0, wanted in 0.0..=1.0,
    ) {
        let simulation = simulate(config, Delays::per_replica(each), 1, 50);
        prop_assert!(simulation.visibility(early).value() <= simulation.visibility(early + later_by).value());
        let wanted = probability(wanted);
        let enough = simulation.time_to(wanted).expect("all times are finite");
        prop_assert!(simulation.visibility(enough).value() >= wanted);
        prop_assert!(enough == 0.0 || simulation.visibility(enough.next_down()).value() < wanted);
    }
}
