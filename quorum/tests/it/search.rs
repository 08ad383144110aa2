//! The search for systems, beside a naive one that tries every way to bracket the nodes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use quorum::{
    Expr, Metric, NodeProfile, Plan, PlanError, Probability, QuorumSystem, ReadFraction, SearchError,
    SystemSearch,
};

fn always(reads: f64) -> ReadFraction {
    ReadFraction::always(Probability::new(reads).unwrap())
}

/// Every expression in which each node stands once, many of them several times.
fn all_expressions(nodes: &[u8]) -> Vec<Expr<u8>> {
    if let [node] = nodes {
        return vec![Expr::node(*node)];
    }
    let mut found = Vec::new();
    for parts in all_partitions(nodes).into_iter().filter(|parts| parts.len() > 1) {
        let mut filled: Vec<Vec<Expr<u8>>> = vec![Vec::new()];
        for part in parts {
            let choices = all_expressions(&part);
            filled = filled
                .iter()
                .flat_map(|before| {
                    choices.iter().map(|choice| [&before[..], core::slice::from_ref(choice)].concat())
                })
                .collect();
        }
        for parts in filled {
            found.extend((1..=parts.len() as u64).map(|need| Expr::choose(need, parts.clone()).unwrap()));
        }
    }
    found
}

fn all_partitions(nodes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let Some((first, rest)) = nodes.split_first() else {
        return vec![Vec::new()];
    };
    let mut found = Vec::new();
    for partition in all_partitions(rest) {
        for place in 0..=partition.len() {
            let mut with = partition.clone();
            if let Some(part) = with.get_mut(place) {
                part.push(*first);
            } else {
                with.push(vec![*first]);
            }
            found.push(with);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_way_to_bracket_the_nodes_is_better(
        kinds in prop::collection::vec(0..3_u8, 1..5),
        reads in 0..=4_u8,
        resilience in 0..2_usize,
        metric in prop_oneof![Just(Metric::Load), Just(Metric::Network), Just(Metric::Latency)],
    ) {
        let profile = |node: &u8| {
            let kind = f64::from(kinds[usize::from(*node)]);
            NodeProfile::new(1.0 + kind, 4.0 - kind, 1.0 + kind * kind).unwrap()
        };
        let nodes: Vec<u8> = (0..).take(kinds.len()).collect();
        let reads = always(f64::from(reads) / 4.0);
        let found = SystemSearch::new(nodes.iter().map(|node| (*node, profile(node))))
            .unwrap()
            .read_fraction(reads.clone())
            .resilience(resilience)
            .best(metric, |_| true);
        let values = all_expressions(&nodes).into_iter().filter_map(|expr| {
            let system = QuorumSystem::from_reads(expr).unwrap();
            let strategy = Plan::new(&system).profiles(profile).read_fraction(reads.clone()).minimise(metric).unwrap();
            (system.resilience().unwrap() >= resilience).then(|| match metric {
                Metric::Load => strategy.load(&reads),
                Metric::Network => strategy.network_load(&reads),
                Metric::Latency => strategy.latency(&reads),
            })
        });
        let best = values.min_by(f64::total_cmp);
        match (found, best) {
            (Ok(found), Some(best)) => {
                prop_assert!(found.is_complete);
                prop_assert!((found.value - best).abs() < 1e-6, "{} and not {best}", found.value);
            }
            (Err(SearchError::NothingFound { .. }), None) => {}
            (found, best) => prop_assert!(false, "{:?} but {best:?}", found.map(|found| found.value)),
        }
    }
}

/// 24 nodes of one kind have far more systems than anyone can look at; the caller says when it is enough.
#[test]
fn the_caller_says_when_it_is_enough() {
    let nodes = (0..24_u8).map(|node| (node, NodeProfile::default()));
    let search = SystemSearch::new(nodes).unwrap().read_fraction(always(0.5));
    let found = search.best(Metric::Load, |examined| examined < 50).unwrap();
    assert_eq!(found.examined, 50);
    assert!(!found.is_complete);
    assert!(found.value < 0.5, "among the first are grids, which beat majorities");
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let node = |name: u8| (name, NodeProfile::default());
    assert_eq!(SystemSearch::<u8>::new([]).unwrap_err(), SearchError::NoNodes);
    assert_eq!(SystemSearch::new([node(1), node(1)]).unwrap_err(), SearchError::NodeTwice);
    assert_eq!(SystemSearch::new((0..200).map(node)).unwrap_err(), SearchError::TooManyNodes);
    let pair = SystemSearch::new([node(1), node(2)]).unwrap();
    let impossible = pair.clone().resilience(10).best(Metric::Load, |_| true);
    assert_eq!(impossible.unwrap_err(), SearchError::NothingFound { examined: 2 });
    let limited = pair.at_most(Metric::Load, 1.0).unwrap().best(Metric::Load, |_| true);
    assert_eq!(limited.unwrap_err(), SearchError::Plan(PlanError::LimitOfObjective));
}
