//! Speed is compared only where the answers are the same.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crdt_benches::peers::{quoracle, quorum_set};
use crdt_benches::planning::{Layout, Metric, Planning, availability_by_looking};
use crdt_benches::quorums::{Decision, Majority, Pace, Positions, Quorums, Shape};
use quorum::{CommitTally, Probability, QuorumSystem};

#[test]
fn the_same_sets_are_quorums() {
    for (shape, name) in Shape::ALL {
        let ours = answers::<QuorumSystem<u64>>(shape);
        assert_eq!(ours, answers::<quorum_set::Rule>(shape), "{name}");
        assert_eq!(ours, answers::<quoracle::System>(shape), "{name}");
        assert!(ours.contains(&true) && ours.contains(&false), "{name} is asked one-sidedly");
    }
}

#[test]
fn the_same_rules_meet() {
    for (shape, name) in Shape::ALL.into_iter().filter(|(shape, _)| shape.nodes().len() <= 14) {
        let ours = QuorumSystem::build(shape).meets_itself();
        assert_eq!(ours, quorum_set::Rule::build(shape).meets_itself(), "{name}");
        assert_eq!(ours, quoracle::System::build(shape).meets_itself(), "{name}");
    }
}

#[test]
fn the_same_answer_decides() {
    for (shape, name) in Shape::ALL {
        let ours = decisions(&QuorumSystem::build(shape), shape);
        assert_eq!(ours, decisions(&quorum_set::Rule::build(shape), shape), "{name}");
        assert_eq!(ours, decisions(&quoracle::System::build(shape), shape), "{name}");
        assert!(ours.iter().all(Option::is_some), "{name}");
        if let Shape::Majority(nodes) = shape {
            assert_eq!(ours, decisions(&Majority(u32::try_from(nodes).unwrap()), shape), "{name}");
        }
    }
}

#[test]
fn indexes_advance_alike() {
    for (pace, name) in Pace::ALL {
        for members in [3, 5, 9, 33, 64] {
            let ours = indexes::<CommitTally<u64>>(pace, members);
            assert_eq!(ours, indexes::<quorum_set::Progress>(pace, members), "{members} {name}");
            assert!(ours.last() > ours.first(), "{members} {name}");
        }
    }
}

fn answers<Q: Quorums>(shape: Shape) -> Vec<bool> {
    let rule = Q::build(shape);
    shape.questions(300).iter().map(|nodes| rule.is_quorum(&rule.set(nodes))).collect()
}

fn decisions(rule: &impl Decision, shape: Shape) -> Vec<Option<usize>> {
    shape.orders(100).iter().map(|order| rule.decided_after(order)).collect()
}

fn indexes<P: Positions>(pace: Pace, members: u64) -> Vec<u64> {
    let mut log = P::build(members);
    let steps = pace.acknowledgements(members, 1_000);
    steps.into_iter().map(|(node, position)| log.acknowledge(node, position)).collect()
}

/// What is best is the same value, whoever finds it and however.
#[test]
fn the_best_strategies_are_equally_good() {
    let small = Layout::LISTED.into_iter().filter(|(layout, _)| *layout != Layout::Majority(13));
    for (layout, name) in small {
        let (ours, theirs) = (QuorumSystem::lay_out(layout), quoracle::System::lay_out(layout));
        for metric in [Metric::Load, Metric::Network, Metric::Latency] {
            let [ours, theirs] = [ours.least(metric, 0.7), theirs.least(metric, 0.7)];
            assert!((ours - theirs).abs() <= 1e-6 * theirs, "{metric:?} of a {name}: {ours} and {theirs}");
        }
        assert_eq!(ours.survived(), theirs.survived(), "{name}");
        assert_eq!(ours.listed(), theirs.listed(), "{name}");
    }
}

#[test]
fn availability_is_what_looking_at_every_set_says() {
    for (layout, nodes) in [(Layout::Majority(9), 9), (Layout::Grid(3), 9), (Layout::Majority(13), 13)] {
        let system = QuorumSystem::lay_out(layout);
        let both = |set| system.is_read_quorum(set) && system.is_write_quorum(set);
        let ours = system.availability(Probability::new(0.1).unwrap()).unwrap().get();
        assert!((ours - availability_by_looking(nodes, both)).abs() < 1e-12, "{layout:?}");
    }
}
