//! Tuning against its definition: every configuration checked again, target by target, and every reason too.

use std::ops::RangeInclusive;

use proptest::prelude::*;
use quorum::tune::{Figures, Freshness, LatencyTarget, MAX_TUNED, Measure, Refusal, Targets, tune};
use quorum::{LatencyDistribution, Probability, QuorumConfig, TargetsError};

fn config(n: u32, r: u32, w: u32) -> QuorumConfig {
    QuorumConfig::new(n, r, w).expect("a sound configuration")
}

fn probability(p: f64) -> Probability {
    Probability::new(p).expect("a probability")
}

/// How likely at least `count` of `n` nodes are up: the sum over every set of nodes.
fn up(n: u32, count: u32, failure: f64) -> f64 {
    let sets = (0..1_u32 << n).map(u32::count_ones).filter(|up| *up >= count);
    sets.map(|up| (1.0 - failure).powi(up.cast_signed()) * failure.powi((n - up).cast_signed())).sum()
}

/// The share of pairs of a set of `r` and a set of `w` out of `n` that have nothing in common.
fn disjoint(n: u32, r: u32, w: u32) -> f64 {
    let sets = |size: u32| (0..1_u32 << n).filter(move |set| set.count_ones() == size);
    let all = sets(r).count() * sets(w).count();
    let missed = sets(r).flat_map(|read| sets(w).filter(move |write| read & write == 0)).count();
    f64::from(u32::try_from(missed).expect("few")) / f64::from(u32::try_from(all).expect("few"))
}

/// The mean time until `k` of `n` have answered, each after an exponential time of mean 1.
fn wait(n: u32, k: u32) -> f64 {
    (n - k + 1..=n).map(|left| 1.0 / f64::from(left)).sum()
}

#[derive(Debug, Clone, Copy)]
struct Wishes {
    to: u32,
    surviving: (u32, u32),
    failure: f64,
    available: Option<(f64, f64)>,
    freshness: Option<Freshness>,
    writes_meet: bool,
    read: Option<f64>,
    write: Option<f64>,
}

fn wishes() -> impl Strategy<Value = Wishes> {
    let freshness = prop_oneof![
        Just(Freshness::Strict),
        (0.0..1.0).prop_map(|p| Freshness::MissesAtMost(probability(p))),
        (0..4_u32, 0.0..1.0).prop_map(|(versions, p)| Freshness::Within { versions, likely: probability(p) }),
    ];
    let share = || 0.3..1.0_f64;
    (
        1..7_u32,
        (0..3_u32, 0..3_u32),
        0.0..0.5_f64,
        proptest::option::of((share(), share())),
        proptest::option::of(freshness),
        any::<bool>(),
        proptest::option::of(0.0..3.0_f64),
        proptest::option::of(0.0..3.0_f64),
    )
        .prop_map(|(to, surviving, failure, available, freshness, writes_meet, read, write)| Wishes {
            to,
            surviving,
            failure,
            available,
            freshness,
            writes_meet,
            read,
            write,
        })
}

fn targets(wishes: Wishes) -> Targets {
    let mut targets = Targets::new(1..=wishes.to).expect("a range");
    targets = targets.surviving(wishes.surviving.0, wishes.surviving.1);
    if let Some((reads, writes)) = wishes.available {
        let [failure, reads, writes] = [wishes.failure, reads, writes].map(probability);
        targets = targets.availability(failure, reads, writes);
    }
    targets = wishes.freshness.into_iter().fold(targets, Targets::freshness);
    targets = if wishes.writes_meet { targets.writes_meet() } else { targets };
    let mean = |at_most: f64| {
        let answer = LatencyDistribution::exponential(1.0).expect("a rate");
        LatencyTarget::mean(answer, at_most).expect("a limit")
    };
    targets = wishes.read.map(mean).into_iter().fold(targets, Targets::read_latency);
    wishes.write.map(mean).into_iter().fold(targets, Targets::write_latency)
}

/// How far each target is missed, by definition; at most 0 where it is met. In the order of the refusals.
fn shortfalls(config: QuorumConfig, wishes: Wishes) -> Vec<(&'static str, f64)> {
    let (n, r, w) = (config.n(), config.r(), config.w());
    let mut all = vec![
        ("reads survive", f64::from(wishes.surviving.0) - f64::from(n - r)),
        ("writes survive", f64::from(wishes.surviving.1) - f64::from(n - w)),
    ];
    let misses = disjoint(n, r, w);
    match wishes.freshness {
        Some(Freshness::Strict) => all.push(("strict", f64::from(n) + 1.0 - f64::from(r + w))),
        Some(Freshness::MissesAtMost(most)) => all.push(("misses", misses - most.get())),
        Some(Freshness::Within { versions, likely }) => {
            all.push(("versions", likely.get() - (1.0 - misses.powi(versions.cast_signed()))));
        }
        _ => {}
    }
    if wishes.writes_meet {
        all.push(("writes meet", f64::from(n) + 1.0 - f64::from(2 * w)));
    }
    if let Some((reads, writes)) = wishes.available {
        all.push(("reads up", reads - up(n, r, wishes.failure)));
        all.push(("writes up", writes - up(n, w, wishes.failure)));
    }
    all.extend(wishes.read.map(|most| ("read takes", wait(n, r) - most)));
    all.extend(wishes.write.map(|most| ("write takes", wait(n, w) - most)));
    all
}

fn kind(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::ReadsSurviveTooFew { .. } => "reads survive",
        Refusal::WritesSurviveTooFew { .. } => "writes survive",
        Refusal::NotStrict { .. } => "strict",
        Refusal::WritesMayNotMeet { .. } => "writes meet",
        Refusal::MissesTooOften { .. } => "misses",
        Refusal::TooManyVersionsBehind { .. } => "versions",
        Refusal::ReadsTooSeldom { .. } => "reads up",
        Refusal::WritesTooSeldom { .. } => "writes up",
        Refusal::ReadsTooSlow { .. } => "read takes",
        Refusal::WritesTooSlow { .. } => "write takes",
        _ => "unknown",
    }
}

/// What rounding may do to a number that is compared with a limit.
const ROUNDING: f64 = 1e-9;

proptest! {
    #[test]
    fn the_accepted_meet_every_target_and_each_reason_is_true(wishes in wishes()) {
        let tuning = tune(&targets(wishes));
        for tuned in tuning.accepted() {
            for (target, missed_by) in shortfalls(tuned.config, wishes) {
                prop_assert!(missed_by < ROUNDING, "{} {}", tuned.config, target);
            }
        }
        for refused in tuning.refused() {
            let shortfalls = shortfalls(refused.config, wishes);
            let given: Vec<&str> = refused.reasons.iter().map(|reason| kind(*reason)).collect();
            prop_assert!(!given.is_empty());
            for (target, missed_by) in shortfalls {
                prop_assert!(missed_by < ROUNDING || given.contains(&target), "{} {}", refused.config, target);
                prop_assert!(missed_by > -ROUNDING || !given.contains(&target), "{} {}", refused.config, target);
            }
        }
        let mut tried: Vec<_> = tuning.accepted().iter().map(|tuned| tuned.config).collect();
        tried.extend(tuning.refused().iter().map(|refused| refused.config));
        tried.sort_by_key(|config| (config.n(), config.r(), config.w()));
        let all = (1..=wishes.to)
            .flat_map(|n| (1..=n).flat_map(move |r| (1..=n).map(move |w| config(n, r, w))));
        prop_assert_eq!(tried, all.collect::<Vec<_>>());
    }

    #[test]
    fn the_best_comes_first(wishes in wishes()) {
        let tuning = tune(&targets(wishes));
        prop_assert_eq!(tuning.best(), tuning.accepted().first().map(|tuned| tuned.config));
        for pair in tuning.accepted().windows(2) {
            let rank = |at: usize| {
                let (config, figures): (QuorumConfig, Figures) = (pair[at].config, pair[at].figures);
                let splits = 2 * config.w() <= config.n();
                let fragile = config.r().max(config.w());
                let waited = config.r() + config.w();
                (config.n(), figures.misses, splits, fragile, waited, config.r())
            };
            prop_assert!(rank(0) < rank(1), "{} {}", pair[0].config, pair[1].config);
        }
    }
}

#[test]
fn every_reason_tells_its_numbers() {
    let [tenth, half] = [0.1, 0.5].map(probability);
    let answer = LatencyDistribution::exponential(1.0).expect("a rate");
    let slow = || LatencyTarget::mean(answer.clone(), 0.25).expect("a limit");
    let median = || LatencyTarget::quantile(answer.clone(), half, 0.25).expect("a limit");
    let only = |targets: Targets, wanted: QuorumConfig| {
        let tuning = tune(&targets);
        let refused =
            tuning.refused().iter().find(|refused| refused.config == wanted).expect("it is refused");
        assert_eq!(refused.reasons.len(), 1, "{:?}", refused.reasons);
        refused.reasons[0].to_string()
    };
    let three = || Targets::new(3..=3).expect("a range");
    let nine = probability(0.9);
    let told = [
        only(three().surviving(1, 0), config(3, 3, 1)),
        only(three().surviving(0, 3), config(3, 1, 1)),
        only(three().freshness(Freshness::Strict), config(3, 1, 2)),
        only(three().freshness(Freshness::MissesAtMost(tenth)), config(3, 1, 2)),
        only(three().freshness(Freshness::Within { versions: 2, likely: nine }), config(3, 1, 2)),
        only(three().writes_meet(), config(3, 1, 1)),
        only(three().availability(tenth, nine, half), config(3, 3, 3)),
        only(three().availability(tenth, half, nine), config(3, 3, 3)),
        only(three().read_latency(slow()), config(3, 1, 1)),
        only(three().write_latency(slow()), config(3, 1, 1)),
        only(three().write_latency(median()), config(3, 1, 2)),
    ];
    let expected = [
        "reads survive the failure of no replica, not of 1 replica",
        "writes survive the failure of 2 replicas, not of 3 replicas",
        "a read may miss a write, R and W together are 3, not above 3",
        "a read misses the last write with 0.333333, above 0.1",
        "a read returns one of the last 2 versions with 0.888889, below 0.9",
        "two writes of 1 out of 3 need not meet",
        "reads are available with 0.729000000, below 0.9",
        "writes are available with 0.729000000, below 0.9",
        "reads take 0.3333 in the mean, above 0.25",
        "writes take 0.3333 in the mean, above 0.25",
        "writes take 0.6931 at the quantile 0.5, above 0.25",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_heavy_tail_has_no_mean_unless_somebody_is_not_waited_for() {
    let heavy = LatencyDistribution::pareto(1.0, 0.9).expect("a tail");
    let targets = Targets::new(3..=3).expect("a range");
    let tuning = tune(&targets.read_latency(LatencyTarget::mean(heavy, 1e9).expect("a limit")));
    assert!(tuning.accepted().iter().all(|tuned| tuned.config.r() < 3));
    let infinite = |reason: &Refusal| match reason {
        Refusal::ReadsTooSlow { measure: Measure::Mean, actual, .. } => actual.is_infinite(),
        _ => false,
    };
    assert_eq!(tuning.refused().len(), 3);
    assert!(tuning.refused().iter().all(|refused| refused.reasons.iter().any(infinite)));
}

#[test]
fn what_is_met_exactly_is_met() {
    let [tenth, wanted] = [0.1, 0.972].map(probability);
    let constant = LatencyDistribution::constant(2.0).expect("a time");
    let limit = || LatencyTarget::mean(constant.clone(), 2.0).expect("a limit");
    let targets = Targets::new(3..=3).expect("a range").surviving(1, 1).availability(tenth, wanted, wanted);
    let targets = targets.freshness(Freshness::MissesAtMost(Probability::ZERO));
    let tuning = tune(&targets.read_latency(limit()).write_latency(limit()));
    assert_eq!(tuning.best(), Some(config(3, 2, 2)));
}

#[test]
fn the_table_shows_the_best_first_and_why_the_rest_is_not_there() {
    let tenth = probability(0.1);
    let targets = Targets::new(2..=3).expect("a range").freshness(Freshness::Strict).surviving(1, 1);
    let tuning = tune(&targets.availability(tenth, probability(0.9), probability(0.9)));
    let told = tuning.to_string();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "accepted        reads up     writes up    misses       read takes   write takes  survives",
            "N=3 R=2 W=2     0.972000000  0.972000000  0.000000000  -            -            1, 1",
            "refused N=2 R=1 W=1: a read may miss a write, R and W together are 2, not above 2",
        ]
    );
    assert_eq!(lines.len(), 1 + 4 + 9);
}

#[test]
fn targets_that_are_none_are_refused_by_name() {
    assert_eq!(Targets::new(0..=3), Err(TargetsError::NoReplicas));
    assert_eq!(Targets::new(RangeInclusive::new(3, 2)), Err(TargetsError::EmptyRange { from: 3, to: 2 }));
    assert_eq!(Targets::new(1..=MAX_TUNED + 1), Err(TargetsError::TooManyReplicas { given: MAX_TUNED + 1 }));
    assert_eq!(Targets::new(1..=u32::MAX), Err(TargetsError::TooManyReplicas { given: u32::MAX }));
    let answer = || LatencyDistribution::exponential(1.0).expect("a rate");
    for given in [-1.0, f64::INFINITY] {
        assert_eq!(LatencyTarget::mean(answer(), given), Err(TargetsError::InvalidLatency { given }));
    }
    let not_a_number = LatencyTarget::quantile(answer(), probability(0.5), f64::NAN);
    assert!(matches!(not_a_number, Err(TargetsError::InvalidLatency { .. })));
}

#[test]
fn the_whole_range_is_tried_in_bounded_time() {
    let answer = || LatencyDistribution::pareto(1.0, 3.0).expect("a tail");
    let limit = |at_most| LatencyTarget::mean(answer(), at_most).expect("a limit");
    let targets =
        Targets::new(1..=MAX_TUNED).expect("a range").read_latency(limit(1.5)).write_latency(limit(2.0));
    let tuning = tune(&targets);
    assert_eq!(tuning.accepted().len() + tuning.refused().len(), 11_440);
}
