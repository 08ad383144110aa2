//! Quorum systems against a look at every set of nodes.

use proptest::prelude::*;
use quorum::{Expr, MinimalError, NodeSet, Probability, QuorumSystem, Shape, SystemError};

mod oracle {
    use super::*;

    /// Whether the nodes of a bit mask contain a quorum: the definition, word by word.
    pub(crate) fn holds(expr: &Expr<usize>, up: u32) -> bool {
        match expr.shape() {
            Shape::Node(node) => up >> node & 1 == 1,
            Shape::Threshold { need, parts } => {
                parts.iter().filter(|(_, part)| holds(part, up)).map(|(votes, _)| votes).sum::<u64>() >= need
            }
        }
    }

    /// Every set of nodes, named by the places of the system and by the bits of the nodes themselves.
    pub(crate) fn sets(system: &QuorumSystem<usize>) -> impl Iterator<Item = (NodeSet, u32)> {
        let nodes = system.nodes();
        (0..1_u32 << nodes.len()).map(move |bits| {
            let set: NodeSet = (0..nodes.len()).filter(|place| bits >> place & 1 == 1).collect();
            (set, set.iter().fold(0, |up, place| up | 1 << nodes[place]))
        })
    }

    pub(crate) fn minimal(system: &QuorumSystem<usize>, expr: &Expr<usize>) -> Vec<NodeSet> {
        let quorums: Vec<NodeSet> =
            sets(system).filter(|(_, up)| holds(expr, *up)).map(|(set, _)| set).collect();
        let spares_nothing =
            |set: &&NodeSet| !quorums.iter().any(|less| less != *set && less.is_subset(**set));
        let mut minimal: Vec<NodeSet> = quorums.iter().filter(spares_nothing).copied().collect();
        minimal.sort_by_key(|set| (set.len(), *set));
        minimal
    }

    /// How many failures there may be, whichever they are.
    pub(crate) fn resilience(system: &QuorumSystem<usize>, expr: &Expr<usize>) -> usize {
        let stopping = sets(system).filter(|(_, up)| !holds(expr, *up));
        stopping.map(|(up, _)| system.nodes().len() - up.len()).min().expect("nobody is no quorum") - 1
    }

    pub(crate) fn availability(
        system: &QuorumSystem<usize>,
        failures: &[Probability],
        wanted: impl Fn(u32) -> bool,
    ) -> f64 {
        let likelihood = |set: NodeSet| -> f64 {
            let each = failures.iter().enumerate().map(|(place, failure)| {
                if set.contains(place) { failure.complement().get() } else { failure.get() }
            });
            each.product()
        };
        sets(system).filter(|(_, up)| wanted(*up)).map(|(set, _)| likelihood(set)).sum()
    }
}

const NODES: usize = 8;

/// An expression without names: votes, parts, and how much is needed.
#[derive(Debug, Clone)]
enum Outline {
    Node(usize),
    Choice(Vec<(u64, Outline)>, u64),
}

fn outline() -> impl Strategy<Value = Outline> {
    let votes = prop_oneof![3 => Just(1_u64), 1 => 1..4_u64];
    (0..NODES).prop_map(Outline::Node).prop_recursive(3, 16, 4, move |part| {
        (prop::collection::vec((votes.clone(), part), 1..5), 0..100_u64)
            .prop_map(|(parts, need)| Outline::Choice(parts, need))
    })
}

/// Names each node of the outline; `None` are nodes that there are not enough of.
fn named(outline: &Outline, name: &mut impl FnMut(usize) -> Option<usize>) -> Option<Expr<usize>> {
    match outline {
        Outline::Node(node) => name(*node).map(Expr::node),
        Outline::Choice(parts, need) => {
            let parts: Vec<_> =
                parts.iter().filter_map(|(votes, part)| Some((*votes, named(part, name)?))).collect();
            let total: u64 = parts.iter().map(|(votes, _)| votes).sum();
            Expr::weighted(need.checked_rem(total)? + 1, parts).ok()
        }
    }
}

/// Nodes may stand in several places.
fn repeating() -> impl Strategy<Value = Expr<usize>> {
    outline().prop_map(|outline| named(&outline, &mut Some).expect("every node has a name"))
}

/// Every node stands once.
fn once() -> impl Strategy<Value = Expr<usize>> {
    outline().prop_map(|outline| {
        let mut names = 0..NODES;
        named(&outline, &mut |_| names.next()).expect("the first node has a name")
    })
}

fn expr() -> impl Strategy<Value = Expr<usize>> {
    prop_oneof![once(), repeating()]
}

/// Reads and writes that may or may not meet; often they do, which chance alone would not bring about.
fn pair() -> impl Strategy<Value = (Expr<usize>, Expr<usize>)> {
    let stricter = (expr(), expr()).prop_map(|(reads, more)| (reads.clone(), reads.dual() * more));
    let looser = (expr(), expr()).prop_map(|(reads, more)| (reads.clone(), reads.dual() + more));
    let dual = expr().prop_map(|reads| (reads.dual(), reads));
    prop_oneof![(expr(), expr()), stricter, looser, dual]
}

fn probabilities() -> impl Strategy<Value = Vec<Probability>> {
    let number = prop_oneof![8 => 0.0..=1.0, 1 => Just(0.0), 1 => Just(1.0)];
    prop::collection::vec(number.prop_map(|p| Probability::new(p).expect("between 0 and 1")), NODES)
}

fn system(reads: Expr<usize>) -> QuorumSystem<usize> {
    QuorumSystem::from_reads(reads).expect("few nodes")
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn quorums_are_what_the_expression_says_and_the_dual_meets_them_all(expr in expr()) {
        let system = system(expr.clone());
        let everyone: u32 = system.nodes().iter().fold(0, |all, node| all | 1 << node);
        for (set, up) in oracle::sets(&system) {
            prop_assert_eq!(system.is_read_quorum(set), oracle::holds(&expr, up));
            prop_assert_eq!(system.is_write_quorum(set), !oracle::holds(&expr, everyone & !up));
        }
        prop_assert_eq!(expr.dual().dual(), expr);
    }

    #[test]
    fn a_pair_is_refused_exactly_if_two_quorums_do_not_meet((reads, writes) in pair()) {
        let nodes = reads.nodes().chain(writes.nodes()).fold(0, |all, node| all | 1_u32 << node);
        let disjoint = (0..1 << NODES).any(|up| oracle::holds(&reads, up) && oracle::holds(&writes, nodes & !up));
        match QuorumSystem::new(reads.clone(), writes.clone()) {
            Ok(_) => prop_assert!(!disjoint),
            Err(SystemError::Disjoint { read, write }) => {
                prop_assert!(read.iter().all(|node| !write.contains(node)));
                for (expr, quorum) in [(&reads, &read), (&writes, &write)] {
                    let up = quorum.iter().fold(0, |up, node| up | 1_u32 << node);
                    prop_assert!(oracle::holds(expr, up));
                    prop_assert!(quorum.iter().all(|node| !oracle::holds(expr, up & !(1 << node))));
                }
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn minimal_quorums_are_those_that_can_spare_nothing(expr in expr()) {
        let system = system(expr.clone());
        for (found, count, smallest, expr) in [
            (
                system.minimal_read_quorums(usize::MAX),
                system.count_minimal_read_quorums(),
                system.smallest_read_quorum(),
                expr.clone(),
            ),
            (
                system.minimal_write_quorums(usize::MAX),
                system.count_minimal_write_quorums(),
                system.smallest_write_quorum(),
                expr.dual(),
            ),
        ] {
            let expected = oracle::minimal(&system, &expr);
            prop_assert_eq!(count, Ok(expected.len() as u128));
            prop_assert_eq!(smallest.map(NodeSet::len), Ok(expected[0].len()));
            prop_assert_eq!(found, Ok(expected));
        }
    }

    #[test]
    fn a_limit_is_kept_exactly(expr in expr()) {
        let system = system(expr);
        let count = system.minimal_read_quorums(usize::MAX).expect("few nodes").len();
        prop_assert!(system.minimal_read_quorums(count).is_ok());
        let limit = count - 1;
        prop_assert_eq!(system.minimal_read_quorums(limit), Err(MinimalError::TooMany { limit }));
    }

    #[test]
    fn resilience_is_what_the_worst_failures_leave(expr in expr()) {
        let system = system(expr.clone());
        let (reads, writes) = (oracle::resilience(&system, &expr), oracle::resilience(&system, &expr.dual()));
        prop_assert_eq!(system.read_resilience(), Ok(reads));
        prop_assert_eq!(system.write_resilience(), Ok(writes));
        prop_assert_eq!(system.resilience(), Ok(reads.min(writes)));

        let everyone = NodeSet::first(system.nodes().len());
        let blocking = system.smallest_read_blocking_set().expect("few nodes");
        prop_assert_eq!(blocking.len(), reads + 1);
        prop_assert!(!system.is_read_quorum(everyone.difference(blocking)));
        let blocking = system.smallest_write_blocking_set().expect("few nodes");
        prop_assert!(!system.is_write_quorum(everyone.difference(blocking)));
    }

    #[test]
    fn a_resilient_quorum_survives_any_failures(expr in expr(), asked in 0..1_u32 << NODES, failures in 0..4_usize) {
        let system = system(expr);
        let places = system.nodes().len();
        let asked: NodeSet = (0..places).filter(|place| asked >> place & 1 == 1).collect();
        let survives = |is_quorum: &dyn Fn(NodeSet) -> bool| {
            let left = oracle::sets(&system).map(|(left, _)| left);
            left.filter(|left| left.is_subset(asked) && left.len() + failures >= asked.len()).all(is_quorum)
        };
        prop_assert_eq!(
            system.is_resilient_read_quorum(asked, failures),
            Ok(survives(&|left| system.is_read_quorum(left)))
        );
        prop_assert_eq!(
            system.is_resilient_write_quorum(asked, failures),
            Ok(survives(&|left| system.is_write_quorum(left)))
        );
    }

    #[test]
    fn availability_is_the_sum_over_all_sets_that_are_quorums(
        (reads, writes) in pair(),
        failures in probabilities(),
        failure in 0.0..=1.0,
    ) {
        let Ok(system) = QuorumSystem::new(reads.clone(), writes.clone()) else {
            return Ok(());
        };
        let failures = &failures[..system.nodes().len()];
        let close = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
        let read = |up| oracle::holds(&reads, up);
        let write = |up| oracle::holds(&writes, up);
        let both = |up| read(up) && write(up);
        let expected = |wanted: &dyn Fn(u32) -> bool| oracle::availability(&system, failures, wanted);
        let found = |availability: Result<Probability, _>| availability.expect("few nodes").get();
        prop_assert!(close(found(system.read_availability_of(failures)), expected(&read)));
        prop_assert!(close(found(system.write_availability_of(failures)), expected(&write)));
        prop_assert!(close(found(system.availability_of(failures)), expected(&both)));

        let failure = Probability::new(failure).expect("between 0 and 1");
        let equal = vec![failure; failures.len()];
        let found = |availability: Result<Probability, _>| availability.expect("few nodes");
        prop_assert_eq!(Ok(found(system.read_availability(failure))), system.read_availability_of(&equal));
        prop_assert_eq!(Ok(found(system.write_availability(failure))), system.write_availability_of(&equal));
        prop_assert_eq!(Ok(found(system.availability(failure))), system.availability_of(&equal));
    }

    #[test]
    fn latency_is_the_first_moment_with_enough_answers(
        expr in expr(),
        latencies in prop::collection::vec(0..6_u32, NODES),
        asked in 0..1_u32 << NODES,
    ) {
        let system = system(expr);
        let latencies: Vec<f64> = latencies[..system.nodes().len()].iter().copied().map(f64::from).collect();
        let asked: NodeSet = (0..latencies.len()).filter(|place| asked >> place & 1 == 1).collect();
        let answered = |time: f64| asked.iter().filter(|place| latencies[*place] <= time).collect::<NodeSet>();
        let first = |is_quorum: &dyn Fn(NodeSet) -> bool| {
            let done = (0..6).map(f64::from).find(|time| is_quorum(answered(*time)));
            done.unwrap_or(f64::INFINITY)
        };
        prop_assert_eq!(
            system.read_latency(asked, &latencies),
            Ok(first(&|set| system.is_read_quorum(set)))
        );
        prop_assert_eq!(
            system.write_latency(asked, &latencies),
            Ok(first(&|set| system.is_write_quorum(set)))
        );
    }

    #[test]
    fn who_has_answered_is_who_is_up(expr in expr(), chances in probabilities()) {
        let system = system(expr);
        let failures: Vec<Probability> =
            system.nodes().iter().map(|node| chances[*node].complement()).collect();
        let answered = |node: &usize, time: f64| chances[*node].get() * time;
        let close = |found: Probability, expected: Probability| (found.get() - expected.get()).abs() < 1e-12;
        prop_assert!(close(
            system.read_done_within(1.0, answered).expect("few nodes"),
            system.read_availability_of(&failures).expect("few nodes"),
        ));
        prop_assert!(close(
            system.write_done_within(1.0, answered).expect("few nodes"),
            system.write_availability_of(&failures).expect("few nodes"),
        ));
    }

    #[test]
    fn text_reads_back_as_it_was_written(expr in expr(), names in prop::collection::vec("[a-zé0-9_./@-]{1,6}", NODES)) {
        let system = system(expr.clone());
        let written = expr.to_string();
        let read: Expr<String> = written.parse().expect("what was displayed");
        prop_assert_eq!(read.to_string(), written);
        // A choice of one in a choice of one is written as one, so it is the quorums that must be the same.
        let read = QuorumSystem::from_reads(read).expect("few nodes");
        for (set, _) in oracle::sets(&system) {
            prop_assert_eq!(read.is_read_quorum(set), system.is_read_quorum(set));
        }
        // Any names will do, also numbers and names of functions.
        let all: Result<Expr<String>, _> = names.join("*").parse();
        prop_assert_eq!(all.map(|all| all.nodes().cloned().collect::<Vec<_>>()), Ok(names));
    }

    #[test]
    fn no_text_is_too_strange(text in "[a-c12(),:+* échoswigtdmajr]{0,40}") {
        if let Ok(expr) = text.parse::<Expr<String>>() {
            prop_assert!(expr.to_string().parse::<Expr<String>>().is_ok());
        }
    }
}
