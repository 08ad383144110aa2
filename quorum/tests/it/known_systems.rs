//! Quorum systems of which the answers are known, large ones among them.

use quorum::{
    Expr, ExprError, MinimalError, NodeSet, Probability, QuorumConfig, QuorumSystem, ShapeError,
    SystemAvailabilityError, SystemError, SystemLatencyError,
};

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
    let written_out = QuorumSystem::from_reads(crosses(6)).expect("36 nodes");
    let composed = QuorumSystem::from_reads(any_whole(&rows) * any_whole(&columns)).expect("36 nodes");
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
    // With n quorums below each child there are 2n through a node and n * n around it: 1, 3, 15, 255.
    assert_eq!(tree.count_minimal_read_quorums(), Ok(255));
    // Two of three is its own dual, so what blocks every quorum is a quorum.
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
