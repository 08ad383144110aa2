//! Answers of a quorum system against trying every way in which those who owe one could still answer.

use std::sync::Arc;

use proptest::prelude::*;
use quorum::{AckError, AckTally, Expr, NodeSet, Outcome, QuorumSystem, SystemTally};

type System = QuorumSystem<u8>;

/// Expressions of up to seven nodes, which may stand in several places.
fn expr() -> impl Strategy<Value = Expr<u8>> {
    let leaf = (0..7_u8).prop_map(Expr::node);
    leaf.prop_recursive(3, 16, 4, |part| {
        let parts = proptest::collection::vec((1..4_u64, part), 1..4);
        (parts, any::<prop::sample::Index>()).prop_map(|(parts, need)| {
            let total = parts.iter().map(|(votes, _)| *votes).sum::<u64>();
            let need = 1 + need.index(usize::try_from(total).expect("few votes")) as u64;
            Expr::weighted(need, parts).expect("sound votes")
        })
    })
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask(u8),
    Ack(u8),
    Fail(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..8_u8;
    let step = prop_oneof![
        1 => node.clone().prop_map(Step::Ask),
        4 => node.clone().prop_map(Step::Ack),
        2 => node.prop_map(Step::Fail),
    ];
    proptest::collection::vec(step, 0..16)
}

fn outcome(is_quorum: impl Fn(NodeSet) -> bool, acknowledged: NodeSet, waiting: NodeSet) -> Outcome {
    let silent: Vec<usize> = waiting.iter().collect();
    let mut met = (0..1_u32 << silent.len()).map(|future| {
        let chosen = silent.iter().enumerate().filter(|(at, _)| future & (1 << at) != 0);
        is_quorum(acknowledged.union(chosen.map(|(_, place)| *place).collect()))
    });
    match (met.next(), met.any(|met| met)) {
        (Some(true), _) => Outcome::Reached,
        (_, true) => Outcome::Pending,
        (_, false) => Outcome::Impossible,
    }
}

proptest! {
    #[test]
    fn agrees_with_trying_every_future(expr in expr(), reading: bool, asked: [bool; 7], steps in steps()) {
        let system = System::from_reads(expr).expect("few nodes");
        let asked: NodeSet =
            (0..system.nodes().len()).filter(|place| asked[*place]).collect();
        let mut tally =
            if reading { SystemTally::read(&system) } else { SystemTally::write(&system) }.asking_only(asked);
        let is_quorum =
            |set| if reading { system.is_read_quorum(set) } else { system.is_write_quorum(set) };
        let (mut acknowledged, mut waiting, mut failed) = (NodeSet::EMPTY, asked, NodeSet::EMPTY);
        for step in steps {
            let (Step::Ask(node) | Step::Ack(node) | Step::Fail(node)) = step;
            let place = system.nodes().binary_search(&node).ok();
            let known = acknowledged.union(waiting).union(failed);
            let asked_before = place.filter(|place| known.contains(*place));
            let answered = match (step, asked_before) {
                (Step::Ask(_), None) => {
                    waiting = place.map_or(waiting, |place| waiting.with(place));
                    Ok(tally.ask(system.set([node])))
                }
                (Step::Ask(_), Some(_)) => Ok(tally.ask(system.set([node]))),
                (Step::Ack(_), Some(place)) => {
                    (acknowledged, waiting) = (acknowledged.with(place), waiting.without(place));
                    failed.remove(place);
                    tally.ack(&node)
                }
                (Step::Fail(_), Some(place)) => {
                    if waiting.contains(place) {
                        failed.insert(place);
                    }
                    waiting.remove(place);
                    tally.fail(&node)
                }
                (Step::Ack(_), None) => {
                    prop_assert_eq!(tally.ack(&node), Err(AckError::NeverAsked { node }));
                    Ok(tally.outcome())
                }
                (Step::Fail(_), None) => {
                    prop_assert_eq!(tally.fail(&node), Err(AckError::NeverAsked { node }));
                    Ok(tally.outcome())
                }
            };
            prop_assert_eq!(answered, Ok(outcome(is_quorum, acknowledged, waiting)));
            prop_assert_eq!((tally.acknowledged(), tally.waiting()), (acknowledged, waiting));
        }
    }

    #[test]
    fn a_majority_is_counted_as_by_a_tally_of_nodes(
        count in 1..12_u8,
        answers in proptest::collection::vec((0..13_u8, any::<bool>()), 0..30),
    ) {
        let system = System::from_reads(Expr::majority(0..count).expect("nodes")).expect("few nodes");
        let config = quorum::QuorumConfig::balanced(u32::from(count)).expect("nodes");
        let (mut system, mut nodes) = (SystemTally::read(&system), config.read_tally(0..count).expect("N nodes"));
        for (node, acknowledged) in answers {
            let answer = |tally: &mut AckTally<u8>| if acknowledged { tally.ack(node) } else { tally.fail(node) };
            let counted = if acknowledged { system.ack(&node) } else { system.fail(&node) };
            prop_assert_eq!(counted, answer(&mut nodes));
        }
    }
}

fn grid() -> System {
    let [a, b, c, d] = [1, 2, 3, 4].map(Expr::node);
    System::from_reads(a * b + c * d).expect("few nodes")
}

#[test]
fn a_grid_is_read_by_a_row_and_written_by_one_of_each() {
    let grid = grid();
    let mut write = SystemTally::write(&grid);
    assert_eq!(write.ack(&1), Ok(Outcome::Pending));
    assert_eq!(write.ack(&2), Ok(Outcome::Pending)); // of the same row
    assert_eq!(write.fail(&3), Ok(Outcome::Pending));
    assert_eq!(write.fail(&4), Ok(Outcome::Impossible));
    assert_eq!(write.describe().to_string(), "write (1 + 2) * (3 + 4): impossible\nnodes 1# 2# 3x 4x\n");
    assert_eq!(write.ack(&4), Ok(Outcome::Reached)); // given up too early
}

#[test]
fn places_are_told_as_nodes_are() {
    let grid = grid();
    let (mut by_place, mut by_node) = (SystemTally::read(&grid), SystemTally::read(&grid));
    for (place, node) in grid.nodes().iter().enumerate() {
        assert_eq!(by_place.ack_at(place), Ok(by_node.ack(node).expect("it was asked")));
    }
    assert_eq!(by_place.ack_at(4), Err(AckError::NeverAsked { node: 4 }));
    assert_eq!(by_place.fail_at(usize::MAX), Err(AckError::NeverAsked { node: usize::MAX }));
    let mut asked_one = SystemTally::read(&grid).asking_only(NodeSet::first(1));
    assert_eq!(asked_one.fail_at(1), Err(AckError::NeverAsked { node: 1 }));
    assert_eq!(asked_one.fail_at(0), Ok(Outcome::Impossible));
}

#[test]
fn places_that_the_system_does_not_have_cannot_be_asked() {
    let grid = grid();
    let mut read = SystemTally::read(&grid).asking_only(NodeSet::EMPTY);
    assert_eq!(read.ask(NodeSet::first(128)), Outcome::Pending);
    assert_eq!(read.asked(), NodeSet::first(4));
}

#[test]
fn a_tally_may_outlive_who_opened_it() {
    let open = || SystemTally::read(Arc::new(grid()));
    let mut tallies = [open(), open()];
    assert_eq!(tallies[0].ack(&1), Ok(Outcome::Pending));
    assert_eq!(tallies[0].ack(&2), Ok(Outcome::Reached));
    assert_eq!(tallies[1].outcome(), Outcome::Pending);
}
