//! Quorum systems against a look at every set of nodes.

use proptest::prelude::*;
use quorum::{
    Expr, ExprError, MinimalError, NodeSet, Probability, QuorumConfig, QuorumSystem, Shape, ShapeError,
    SystemAvailabilityError, SystemError, SystemLatencyError,
};

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

fn lines(rows: usize, columns: usize) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
    let row = |row| (0..columns).map(|column| row * columns + column).collect();
    let column = |column| (0..rows).map(|row| row * columns + column).collect();
    ((0..rows).map(row).collect(), (0..columns).map(column).collect())
}

fn any_whole(lines: &[Vec<usize>]) -> Expr<usize> {
    Expr::any(lines.iter().map(|line| Expr::all(line.clone()).expect("a line"))).expect("lines")
}

fn one_of_each(lines: &[Vec<usize>]) -> Expr<usize> {
    Expr::all(lines.iter().map(|line| Expr::any(line.clone()).expect("a line"))).expect("lines")
}

fn choose(need: usize, nodes: usize) -> Expr<usize> {
    Expr::choose(need as u64, 0..nodes).expect("need is at most nodes")
}

fn probability(p: f64) -> Probability {
    Probability::new(p).expect("between 0 and 1")
}

/// The quorums that a refusal names.
fn witness(reads: Expr<usize>, writes: Expr<usize>) -> (Vec<usize>, Vec<usize>) {
    match QuorumSystem::new(reads, writes) {
        Err(SystemError::Disjoint { read, write }) => (read, write),
        other => panic!("no pair of disjoint quorums: {other:?}"),
    }
}

#[test]
fn large_thresholds_are_settled() {
    for nodes in [31, 64, 127, 128] {
        let majority = nodes / 2 + 1;
        assert!(QuorumSystem::new(choose(majority, nodes), choose(majority, nodes)).is_ok());
        let (read, write) = witness(choose(majority - 1, nodes), choose(nodes + 1 - majority, nodes));
        assert_eq!((read.len(), write.len()), (majority - 1, nodes + 1 - majority));
    }
}

#[test]
fn large_grids_are_settled() {
    let (rows, columns) = lines(8, 8);
    let line_and_line = || any_whole(&rows) * any_whole(&columns);
    for (reads, writes) in [
        (any_whole(&rows), one_of_each(&rows)),
        (any_whole(&rows), any_whole(&columns)),
        (one_of_each(&rows), any_whole(&rows)),
        (line_and_line(), line_and_line()),
        (one_of_each(&columns), one_of_each(&columns) * any_whole(&columns)),
        (one_of_each(&columns) * any_whole(&columns), one_of_each(&columns) * any_whole(&columns)),
    ] {
        assert!(QuorumSystem::new(reads, writes).is_ok());
    }
}

/// Every row with every column of a square, each written out as a quorum of its own.
fn crosses(side: usize) -> Expr<usize> {
    let (rows, columns) = lines(side, side);
    let crosses = rows.iter().flat_map(|row| {
        columns.iter().map(move |column| Expr::all(row.iter().chain(column).copied()).expect("a cross"))
    });
    Expr::any::<Expr<usize>>(crosses).expect("crosses")
}

#[test]
fn what_is_written_out_means_the_same() {
    assert!(QuorumSystem::new(crosses(8), crosses(8)).is_ok());
    let (rows, columns) = lines(6, 6);
    let written_out = system(crosses(6));
    let composed = system(any_whole(&rows) * any_whole(&columns));
    let failure = probability(0.2);
    for (one, other) in [
        (written_out.read_availability(failure), composed.read_availability(failure)),
        (written_out.write_availability(failure), composed.write_availability(failure)),
    ] {
        let [one, other] = [one, other].map(|availability| availability.expect("few cases").get());
        assert!((one - other).abs() < 1e-12, "{one} is not {other}");
    }
    assert_eq!(written_out.resilience(), composed.resilience());
    assert_eq!(written_out.minimal_read_quorums(36), composed.minimal_read_quorums(36));
}

#[test]
fn a_grid_that_misses_one_node_is_found_out() {
    let (rows, columns) = lines(8, 8);
    let mut shortened = rows.clone();
    shortened[7].remove(3);
    let (read, write) = witness(any_whole(&shortened), any_whole(&columns));
    assert_eq!(read, shortened[7]);
    assert_eq!(write, columns[3]);

    let (read, write) = witness(any_whole(&rows), any_whole(&rows));
    assert!(rows.contains(&read) && rows.contains(&write) && read != write);
}

#[test]
fn hierarchies_of_any_groups_are_settled() {
    let hierarchy = |sizes: &[usize]| {
        let mut names = 0..;
        let groups = sizes.iter().map(|size| Expr::majority(names.by_ref().take(*size)).expect("a group"));
        let hierarchy: Expr<usize> = Expr::majority(groups).expect("groups");
        hierarchy
    };
    for sizes in [&[3, 3, 3][..], &[4, 4, 4, 4], &[8; 16], &[1, 2, 3, 4, 5, 6, 7]] {
        assert!(QuorumSystem::new(hierarchy(sizes), hierarchy(sizes)).is_ok());
    }
    let nine = QuorumSystem::hierarchical([[0, 1, 2], [3, 4, 5], [6, 7, 8]]).expect("a hierarchy");
    assert_eq!(nine.count_minimal_read_quorums(), Ok(27));
    assert_eq!(nine.read_resilience(), Ok(3));
}

#[test]
fn lesson_13_votes_in_lumps_may_meet_with_less_than_all_of_them() {
    assert!(QuorumSystem::weighted([(2, 1), (1, 2), (1, 3)], 3, 2).is_ok());
    assert!(QuorumSystem::weighted([(2, 1), (2, 2)], 3, 1).is_ok());
    let refused = QuorumSystem::weighted([(2, 1), (1, 2), (1, 3)], 2, 2).err();
    let Some(ShapeError::System(SystemError::Disjoint { read, write })) = refused else {
        panic!("no pair of disjoint quorums: {refused:?}");
    };
    let mut pair = [read, write];
    pair.sort();
    assert_eq!(pair, [vec![1], vec![2, 3]]);

    let many: Vec<(u64, usize)> = (0..64).map(|node| (node as u64 % 7 + 1, node)).collect();
    let total: u64 = many.iter().map(|(votes, _)| votes).sum();
    assert!(QuorumSystem::weighted(many.clone(), total / 2 + 1, total / 2 + 1).is_ok());
    assert!(QuorumSystem::weighted(many, total / 2, total / 2).is_err());
}

#[test]
fn lesson_14_while_members_change_neither_side_decides_alone() {
    let changing = QuorumSystem::joint([1, 2, 3], [3, 4, 5]).expect("two memberships");
    for alone in [[1, 2].as_slice(), &[1, 3], &[2, 3], &[3, 4], &[4, 5], &[1, 2, 3], &[3, 4, 5]] {
        assert!(!changing.is_write_quorum(changing.set(alone)), "{alone:?}");
    }
    assert!(changing.is_write_quorum(changing.set([1, 3, 4])));
}

#[test]
fn lesson_15_a_refusal_names_two_quorums_that_do_not_meet() {
    assert_eq!(witness(choose(2, 5), choose(3, 5)), (vec![0, 1], vec![2, 3, 4]));
}

#[test]
fn the_grid_of_two_rows_is_as_published() {
    let grid = QuorumSystem::grid([["a", "b", "c"], ["d", "e", "f"]]).expect("a grid");
    assert!(grid.is_read_quorum(grid.set(["a", "b", "c"])));
    assert!(grid.is_read_quorum(grid.set(["a", "b", "c", "d"])));
    assert!(!grid.is_read_quorum(grid.set(["a", "b", "d"])));
    assert!(grid.is_write_quorum(grid.set(["a", "d"])));
    assert!(grid.is_write_quorum(grid.set(["a", "d", "nobody"])));
    assert!(!grid.is_write_quorum(grid.set(["a", "b"])));
    assert_eq!(grid.minimal_write_quorums(9).map(|quorums| quorums.len()), Ok(9));
    assert_eq!((grid.read_resilience(), grid.write_resilience(), grid.resilience()), (Ok(1), Ok(2), Ok(1)));
}

#[test]
fn two_of_three_nodes_are_up_with_the_known_chance() {
    let three = QuorumSystem::majority(["a", "b", "c"]).expect("a majority");
    let available = three.availability(probability(0.1)).expect("few nodes").get();
    assert!((available - 0.972).abs() < 1e-15);
    assert_eq!(three.availability(Probability::ZERO), Ok(Probability::ONE));
    assert_eq!(three.availability(Probability::ONE), Ok(Probability::ZERO));
}

#[test]
fn large_systems_have_an_availability() {
    let (rows, columns) = lines(8, 8);
    let p: f64 = 0.1;
    let grid = QuorumSystem::new(any_whole(&rows), one_of_each(&rows)).expect("a grid");
    let (row, no_row) = (0.9_f64.powi(8), (1.0 - 0.9_f64.powi(8)).powi(8));
    let found = grid.read_availability(probability(p)).expect("independent rows").get();
    assert!((found - (1.0 - no_row)).abs() < 1e-12);
    // A write finds one node of each row unless a row is down; and a row that is up has one.
    let covered = (1.0 - p.powi(8)).powi(8);
    let found = grid.write_availability(probability(p)).expect("independent rows").get();
    assert!((found - covered).abs() < 1e-12);
    let found = grid.availability(probability(p)).expect("few cases").get();
    assert!((found - (covered - (1.0 - p.powi(8) - row).powi(8))).abs() < 1e-12);

    // Inclusion and exclusion over the rows and columns that are up: i rows and j columns hold 8i + 8j - ij nodes.
    let line_and_line = any_whole(&rows) * any_whole(&columns);
    let grid = QuorumSystem::new(line_and_line.clone(), line_and_line).expect("a grid");
    let found = grid.availability(probability(p)).expect("few cases").get();
    let choose = |k: i32| (1..=k).fold(1.0, |ways, i| ways * f64::from(9 - i) / f64::from(i));
    let mut expected = 0.0;
    for i in 1..=8 {
        for j in 1..=8 {
            let sign = if (i + j) % 2 == 0 { 1.0 } else { -1.0 };
            expected += sign * choose(i) * choose(j) * (1.0 - p).powi(8 * i + 8 * j - i * j);
        }
    }
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    assert_eq!(grid.resilience(), Ok(7));
    assert_eq!(grid.count_minimal_read_quorums(), Ok(64));
    assert_eq!(grid.smallest_read_quorum().map(NodeSet::len), Ok(15));
}

#[test]
fn the_largest_system_has_all_its_numbers() {
    let all = QuorumSystem::new(choose(64, 128), choose(65, 128)).expect("64 + 65 exceed 128");
    // 128! / (64! 64!)
    assert_eq!(all.count_minimal_read_quorums(), Ok(23_951_146_041_928_082_866_135_587_776_380_551_750));
    assert_eq!(all.minimal_read_quorums(100), Err(MinimalError::TooMany { limit: 100 }));
    assert!(matches!(all.minimal_read_quorums(usize::MAX), Err(MinimalError::TooComplex(_))));
    assert_eq!((all.read_resilience(), all.write_resilience()), (Ok(64), Ok(63)));
    assert!(matches!(
        QuorumSystem::majority(0..129),
        Err(ShapeError::System(SystemError::TooManyNodes { given: 129 }))
    ));
}

#[test]
fn a_tree_is_what_it_was_drawn_as() {
    let tree = QuorumSystem::tree(1..=15).expect("a whole tree");
    assert_eq!(tree.smallest_read_quorum(), Ok(tree.set([1, 2, 4, 8])));
    // Each inner node is a path through it or through both of its children.
    assert_eq!(tree.count_minimal_read_quorums(), Ok([1, 3, 15, 255][3]));
    // Without the leaves below one path on each side, and so on: a path of any quorum blocks, too.
    assert_eq!(tree.read_resilience(), Ok(3));
}

#[test]
fn votes_all_different_are_too_many_cases_and_not_an_endless_wait() {
    // Powers of two: no two sets have the same votes.
    let votes = || (0..63_usize).map(|node| (1_u64 << node, node));
    let half = 1_u64 << 62;
    let system =
        QuorumSystem::from_reads(Expr::weighted(half / 3, votes()).expect("votes")).expect("63 nodes");
    assert!(system.count_minimal_read_quorums().is_err());
    assert!(matches!(
        system.read_availability_of(&vec![probability(0.5); 63]),
        Err(SystemAvailabilityError::TooComplex(_))
    ));
    // No vote is quite worth the same twice, and reads and writes count them a little differently.
    let votes = |more: u64| (0..63_u64).map(move |node| ((node + 1).pow(5) + node % 5 * more, node));
    let total: u64 = votes(0).map(|(votes, _)| votes).sum();
    let reads = Expr::weighted(total / 5 * 3, votes(0)).expect("votes");
    let writes = Expr::weighted(total / 5 * 3, votes(1)).expect("votes");
    assert!(matches!(QuorumSystem::new(reads, writes), Err(SystemError::TooComplex { .. })));
}

#[test]
fn what_makes_no_system_is_refused_by_name() {
    let nobody: [u8; 0] = [];
    let no_parts = Some(ShapeError::Expr(ExprError::NoParts));
    assert_eq!(QuorumSystem::majority(nobody).err(), no_parts);
    assert_eq!(QuorumSystem::read_one_write_all(nobody).err(), no_parts);
    assert_eq!(QuorumSystem::weighted([(0, 0); 0], 1, 1).err(), Some(ShapeError::Expr(ExprError::NoParts)));
    assert_eq!(QuorumSystem::grid([nobody; 0]).err(), no_parts);
    assert_eq!(QuorumSystem::grid([nobody]).err(), no_parts);
    assert_eq!(QuorumSystem::grid_protocol([nobody]).err(), no_parts);
    assert_eq!(QuorumSystem::hierarchical([nobody]).err(), no_parts);
    assert_eq!(QuorumSystem::tree(nobody).err(), no_parts);
    assert_eq!(QuorumSystem::joint(nobody, [1]).err(), no_parts);
    assert_eq!(QuorumSystem::joint([1], nobody).err(), no_parts);

    let twice = Some(ShapeError::Duplicate { node: 1 });
    assert_eq!(QuorumSystem::majority([1, 2, 1]).err(), twice);
    assert_eq!(QuorumSystem::weighted([(1, 1), (2, 1)], 2, 2).err(), twice);
    assert_eq!(QuorumSystem::grid([[1, 2], [3, 1]]).err(), twice);
    assert_eq!(QuorumSystem::hierarchical([[1, 2], [3, 1]]).err(), twice);
    assert_eq!(QuorumSystem::tree([1, 2, 1]).err(), twice);
    assert_eq!(QuorumSystem::joint([1, 1], [2]).err(), twice);

    assert_eq!(QuorumSystem::tree([1, 2]).err(), Some(ShapeError::HalfAPair { given: 2 }));
    let config = QuorumConfig::new(3, 2, 2).expect("a configuration");
    assert_eq!(
        QuorumSystem::from_config(config, [1, 2]).err(),
        Some(ShapeError::WrongNumber { n: 3, given: 2 })
    );
    assert_eq!(QuorumSystem::weighted([(0, 1)], 1, 1).err(), Some(ShapeError::Expr(ExprError::NoVotes)));
}

#[test]
fn numbers_that_do_not_fit_the_nodes_are_refused_by_name() {
    let three = QuorumSystem::majority([1, 2, 3]).expect("a majority");
    let two = [Probability::ZERO; 2];
    let wrong = Err(SystemAvailabilityError::WrongNumber { given: 2, nodes: 3 });
    assert_eq!(three.read_availability_of(&two), wrong);
    assert_eq!(three.write_availability_of(&two), wrong);
    assert_eq!(three.availability_of(&two), wrong);

    let all = NodeSet::first(3);
    let wrong = Err(SystemLatencyError::WrongNumber { given: 2, nodes: 3 });
    assert_eq!(three.read_latency(all, &[1.0, 2.0]), wrong);
    let negative = Err(SystemLatencyError::NotALatency { place: 1, given: -1.0 });
    assert_eq!(three.write_latency(all, &[1.0, -1.0, 2.0]), negative);
    assert!(matches!(
        three.read_latency(all, &[1.0, f64::NAN, 2.0]),
        Err(SystemLatencyError::NotALatency { place: 1, .. })
    ));
    assert_eq!(three.read_latency(all, &[1.0, f64::INFINITY, 2.0]), Ok(2.0));
    assert!(matches!(
        three.read_done_within(1.0, |node, _| f64::from(*node)),
        Err(SystemLatencyError::NotAProbability { place: 1, .. })
    ));
}
