//! Best strategies, beside a linear program in which every set of nodes that may be asked is written down.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::cast_precision_loss, reason = "sets of at most six nodes")]

use microlp::{ComparisonOp, OptimizationDirection, Problem, Variable};
use proptest::prelude::*;
use quorum::{
    Expr, Metric, NodeProfile, NodeSet, Plan, PlanError, Probability, QuorumSystem, ReadFraction,
    Strategy as Asked, StrategyError,
};

fn always(reads: f64) -> ReadFraction {
    ReadFraction::always(Probability::new(reads).unwrap())
}

fn value(strategy: &Asked<u8>, metric: Metric, reads: &ReadFraction) -> f64 {
    match metric {
        Metric::Load => strategy.load(reads),
        Metric::Network => strategy.network_load(reads),
        Metric::Latency => strategy.latency(reads),
    }
}

/// What is asked of a strategy.
#[derive(Debug, Clone)]
struct Wanted {
    system: QuorumSystem<u8>,
    profiles: Vec<NodeProfile>,
    reads: ReadFraction,
    failures: usize,
    metric: Metric,
    limits: Vec<(Metric, f64)>,
}

impl Wanted {
    fn plan(&self) -> Result<Asked<u8>, PlanError> {
        let mut plan = Plan::new(&self.system)
            .profiles(|node| self.profile(*node))
            .read_fraction(self.reads.clone())
            .surviving(self.failures);
        for (metric, limit) in &self.limits {
            plan = plan.at_most(*metric, *limit)?;
        }
        plan.minimise(self.metric)
    }

    fn profile(&self, node: u8) -> NodeProfile {
        self.profiles[usize::from(node)]
    }

    /// Every set that is a quorum after any failures, with its latency.
    fn askable(&self, is_quorum: impl Fn(NodeSet) -> bool) -> Vec<(NodeSet, f64)> {
        let nodes = self.system.nodes().len();
        let sets =
            || (0_u32..1 << nodes).map(|bits| (0..nodes).filter(|place| bits >> place & 1 == 1).collect());
        let survives = |set: &NodeSet| {
            sets()
                .filter(|failed: &NodeSet| {
                    failed.is_subset(*set) && failed.len() == self.failures.min(set.len())
                })
                .all(|failed| is_quorum(set.difference(failed)))
        };
        let latency_of = |place: usize| self.profile(self.system.nodes()[place]).latency();
        let latency = |set: NodeSet| {
            let mut times: Vec<f64> = set.iter().map(latency_of).collect();
            times.sort_by(f64::total_cmp);
            let in_time = |time: f64| set.iter().filter(move |place| latency_of(*place) <= time).collect();
            times.into_iter().find(|time| is_quorum(in_time(*time))).unwrap()
        };
        sets().filter(survives).map(|set| (set, latency(set))).collect()
    }

    /// The least value, by the whole program.
    fn oracle(&self) -> Option<f64> {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let share = self.reads.mean();
        let sides = [
            (share, self.askable(|set| self.system.is_read_quorum(set))),
            (1.0 - share, self.askable(|set| self.system.is_write_quorum(set))),
        ];
        let cost = |metric, share: f64, set: NodeSet, latency: f64| match metric {
            Metric::Load => 0.0,
            Metric::Network => share * set.len() as f64,
            Metric::Latency => share * latency,
        };
        let mut asked: Vec<Vec<Variable>> = Vec::new();
        for (share, sets) in &sides {
            let variables = sets.iter().map(|(set, latency)| cost(self.metric, *share, *set, *latency));
            asked.push(variables.map(|cost| problem.add_var(cost, (0.0, 1.0))).collect());
        }
        for variables in &asked {
            let all: Vec<_> = variables.iter().map(|variable| (*variable, 1.0)).collect();
            problem.add_constraint(&all[..], ComparisonOp::Eq, 1.0);
        }
        let is_load = if self.metric == Metric::Load { 1.0 } else { 0.0 };
        let mut loads = Vec::new();
        for (fraction, weight) in self.reads.shares() {
            let load = problem.add_var(weight * is_load, (0.0, f64::INFINITY));
            loads.push((load, weight));
            for (place, node) in self.system.nodes().iter().enumerate() {
                let profile = self.profile(*node);
                let work = [fraction / profile.read_capacity(), (1.0 - fraction) / profile.write_capacity()];
                let mut row = vec![(load, -1.0)];
                for (side, work) in work.into_iter().enumerate() {
                    let with =
                        sides[side].1.iter().zip(&asked[side]).filter(|((set, _), _)| set.contains(place));
                    row.extend(with.map(|(_, variable)| (*variable, work)));
                }
                problem.add_constraint(&row[..], ComparisonOp::Le, 0.0);
            }
        }
        for (metric, limit) in &self.limits {
            let row: Vec<_> = if *metric == Metric::Load {
                loads.clone()
            } else {
                let of = |side: usize| {
                    let (share, sets) = &sides[side];
                    let costs = sets.iter().map(|(set, latency)| cost(*metric, *share, *set, *latency));
                    asked[side].iter().copied().zip(costs).collect::<Vec<_>>()
                };
                [of(0), of(1)].concat()
            };
            problem.add_constraint(&row[..], ComparisonOp::Le, *limit);
        }
        Some(problem.solve().ok()?.into_solution().ok()?.objective())
    }
}

/// A choice among nodes and choices among nodes; in some a node stands twice.
fn any_expr() -> impl Strategy<Value = Expr<u8>> {
    let nodes = prop_oneof![
        2 => Just((0..6_u8).collect::<Vec<_>>()).prop_shuffle(),
        1 => prop::collection::vec(0..6_u8, 2..8),
    ];
    (nodes, prop::collection::vec((1..4_usize, 0..4_u64, 1..3_u64), 1..5), 0..5_u64).prop_map(
        |(nodes, groups, need)| {
            let mut rest = &nodes[..];
            let mut parts = Vec::new();
            for (len, need, votes) in groups {
                if rest.is_empty() {
                    break;
                }
                let (group, others) = rest.split_at(len.min(rest.len()));
                rest = others;
                let need = need.clamp(1, group.len() as u64);
                parts.push((votes, Expr::choose(need, group.iter().copied()).unwrap()));
            }
            let total: u64 = parts.iter().map(|(votes, _)| votes).sum();
            Expr::weighted(need.clamp(1, total), parts).unwrap()
        },
    )
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let metric = || prop_oneof![Just(Metric::Load), Just(Metric::Network), Just(Metric::Latency)];
    let profile = (1..5_u8, 1..5_u8, 0..4_u8);
    let shares = prop::collection::vec((1..4_u8, 0..=4_u8), 1..4);
    (
        any_expr(),
        prop::collection::vec(profile, 6),
        shares,
        0..3_usize,
        metric(),
        prop::collection::vec((metric(), 1..20_u8), 0..3),
    )
        .prop_map(|(expr, profiles, shares, failures, metric, limits)| {
            let profile = |(read, write, latency)| {
                NodeProfile::new(f64::from(read), f64::from(write), f64::from(latency)).unwrap()
            };
            let share = |(weight, quarters): (u8, u8)| {
                (f64::from(weight), Probability::new(f64::from(quarters) / 4.0).unwrap())
            };
            // Of two limits on one metric, the later one counts.
            let mut kept: Vec<(Metric, f64)> = Vec::new();
            for (limited, limit) in limits {
                kept.retain(|(other, _)| *other != limited);
                if limited != metric {
                    kept.push((limited, f64::from(limit) / 4.0));
                }
            }
            Wanted {
                system: QuorumSystem::from_reads(expr).unwrap(),
                profiles: profiles.into_iter().map(profile).collect(),
                reads: ReadFraction::weighted(shares.into_iter().map(share)).unwrap(),
                failures,
                metric,
                limits: kept,
            }
        })
}

proptest! {
    #[test]
    fn the_best_strategy_is_as_good_as_the_whole_program_says(wanted in any_wanted()) {
        match (wanted.plan(), wanted.oracle()) {
            (Ok(strategy), Some(least)) => {
                let reached = value(&strategy, wanted.metric, &wanted.reads);
                prop_assert!((reached - least).abs() < 1e-6, "{reached} and not {least}");
                for (metric, limit) in &wanted.limits {
                    prop_assert!(value(&strategy, *metric, &wanted.reads) <= limit + 1e-6);
                }
            }
            (Err(PlanError::Infeasible | PlanError::NoQuorum), None) => {}
            (planned, least) => prop_assert!(false, "{:?} but {least:?}", planned.map(|_| "a strategy")),
        }
    }
}

#[test]
fn alike_nodes_share_the_load_of_a_majority() {
    for nodes in [3_u32, 5, 9, 13, 31] {
        let system = QuorumSystem::from_reads(Expr::majority(0..nodes).unwrap()).unwrap();
        let strategy = Plan::new(&system).minimise(Metric::Load).unwrap();
        let expected = f64::from(nodes / 2 + 1) / f64::from(nodes);
        assert!((strategy.load(&always(0.5)) - expected).abs() < 1e-9, "{nodes} nodes");
    }
}

fn grid(side: u32) -> QuorumSystem<u32> {
    let rows = (0..side).map(|row| Expr::all((0..side).map(|column| row * side + column)).unwrap());
    QuorumSystem::from_reads(Expr::any(rows).unwrap()).unwrap()
}

/// A grid of `n` nodes has the load that Naor and Wool prove to be the least there is: about 1/√n.
#[test]
fn a_grid_of_64_nodes_carries_the_least_load_there_is() {
    let strategy = Plan::new(&grid(8)).minimise(Metric::Load).unwrap();
    assert!((strategy.load(&always(0.5)) - 0.125).abs() < 1e-9);
    assert!((strategy.network_load(&always(0.5)) - 8.0).abs() < 1e-9);
}

/// 16.8 million write quorums, none of which is like another. Every operation asks eight nodes, so that nothing beats
/// giving each as much as it can do.
#[test]
fn nodes_that_differ_do_not_make_a_grid_harder() {
    let system = grid(8);
    let capacity = |node: u32| 1_000.0 + 10.0 * f64::from(node);
    let profile = |node: &u32| NodeProfile::new(capacity(*node), capacity(*node), 1.0).unwrap();
    let reads = always(0.7);
    let strategy =
        Plan::new(&system).profiles(profile).read_fraction(reads.clone()).minimise(Metric::Load).unwrap();
    let all: f64 = (0..64).map(capacity).sum();
    assert!((strategy.capacity(&reads) - all / 8.0).abs() < 1e-6 * all);
}

/// The busiest node of one read fraction need not be the busiest of another, and one strategy must do for both.
#[test]
fn a_strategy_for_day_and_night_is_worse_than_one_for_each() {
    let system = grid(3);
    let [day, night] = [0.9, 0.1].map(always);
    let both =
        ReadFraction::weighted([0.9, 0.1].map(|share| (1.0, Probability::new(share).unwrap()))).unwrap();
    let profile = |node: &u32| NodeProfile::new(1_000.0, 100.0 + f64::from(*node) * 100.0, 1.0).unwrap();
    let best = |reads: &ReadFraction| {
        Plan::new(&system).profiles(profile).read_fraction(reads.clone()).minimise(Metric::Load).unwrap()
    };
    let apart = f64::midpoint(best(&day).load(&day), best(&night).load(&night));
    let together = best(&both).load(&both);
    assert!(together >= apart - 1e-12);
}

#[test]
fn a_node_that_is_down_is_not_asked() {
    let system = QuorumSystem::from_reads(Expr::majority(0..5_u32).unwrap()).unwrap();
    let strategy = Plan::new(&system).avoiding(&2).unwrap().minimise(Metric::Load).unwrap();
    assert!(strategy.node_load(&2, &always(0.5)).abs() < 1e-12);
    assert!((strategy.load(&always(0.5)) - 0.75).abs() < 1e-9, "three of four");
    assert_eq!(strategy.reads().iter().map(|(set, _)| set.len()).max(), Some(3), "a quorum is what it was");
    let gone = (0..3).try_fold(Plan::new(&system), |plan, node| plan.avoiding(&node)).unwrap();
    assert_eq!(gone.minimise(Metric::Load).unwrap_err(), PlanError::NoQuorum);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let system = QuorumSystem::from_reads(Expr::majority(0..3_u32).unwrap()).unwrap();
    let plan = || Plan::new(&system);
    assert_eq!(plan().profile(&9, NodeProfile::default()).unwrap_err(), PlanError::UnknownNode);
    assert!(matches!(plan().at_most(Metric::Load, f64::NAN), Err(PlanError::Limit { .. })));
    assert!(matches!(plan().at_most(Metric::Load, -1.0), Err(PlanError::Limit { .. })));
    let limited = plan().at_most(Metric::Load, 1.0).unwrap();
    assert_eq!(limited.minimise(Metric::Load).unwrap_err(), PlanError::LimitOfObjective);
    let too_tight = plan().at_most(Metric::Network, 1.9).unwrap();
    assert_eq!(too_tight.minimise(Metric::Load).unwrap_err(), PlanError::Infeasible);
    assert_eq!(plan().surviving(2).minimise(Metric::Load).unwrap_err(), PlanError::NoQuorum);
    let pair = system.set([0, 1]);
    let one = system.set([0]);
    assert!(matches!(
        Asked::new(&system, [(1.0, one)], [(1.0, pair)]),
        Err(StrategyError::NotAQuorum { set }) if set == one
    ));
    assert!(matches!(Asked::new(&system, [(0.0, pair)], [(1.0, pair)]), Err(StrategyError::Empty)));
    assert!(matches!(
        Asked::new(&system, [(f64::NAN, pair)], [(1.0, pair)]),
        Err(StrategyError::Weight { .. })
    ));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE / 2.0] {
        assert!(NodeProfile::new(bad, 1.0, 1.0).is_err());
        assert!(NodeProfile::new(1.0, bad, 1.0).is_err());
    }
    assert!(NodeProfile::new(1.0, 1.0, -1.0).is_err());
    assert!(ReadFraction::weighted([]).is_err());
    assert!(ReadFraction::weighted([(-1.0, Probability::ONE)]).is_err());
}

#[test]
fn quorums_are_drawn_as_often_as_the_strategy_says() {
    let system = QuorumSystem::from_reads(Expr::majority(0..3_u32).unwrap()).unwrap();
    let [first, second] = [system.set([0, 1]), system.set([1, 2])];
    let strategy = Asked::new(&system, [(3.0, first), (1.0, second)], [(1.0, first)]).unwrap();
    let drawn = (0..1_000).map(|at| strategy.pick_read(Probability::new(f64::from(at) / 1_000.0).unwrap()));
    assert_eq!(drawn.filter(|set| *set == first).count(), 750);
    assert_eq!(strategy.pick_read(Probability::ONE), second);
    assert_eq!(strategy.pick_write(Probability::ZERO), first);
}
