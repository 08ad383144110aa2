//! `quoracle` 2.1. Its sets are hash sets.

use quoracle::hashbrown::HashSet;
use quoracle::{And, Expr, Node, Or, QuorumSystem, majority};

use crate::quorums::{Decision, Quorums, Shape};

/// Reads as the shape says, writes that meet them.
pub struct System(QuorumSystem<u64>);

impl Quorums for System {
    type Set = HashSet<u64>;

    fn build(shape: Shape) -> Self {
        let nodes = |nodes: Vec<u64>| -> Vec<_> {
            nodes.into_iter().map(|node| Expr::Node(Node::new(node))).collect()
        };
        let most = |parts| majority(parts).expect("no shape is empty");
        let all = |parts| Expr::And(And::new(parts).expect("no shape is empty"));
        let groups = shape.groups().into_iter().map(nodes);
        let reads = match shape {
            Shape::Majority(count) => most(nodes((0..count).collect())),
            Shape::Grid => Expr::Or(Or::new(groups.map(all).collect()).expect("no shape is empty")),
            Shape::Hierarchy => most(groups.map(most).collect()),
            Shape::Joint(_) => all(groups.map(most).collect()),
        };
        Self(QuorumSystem::from_reads(reads))
    }

    fn set(&self, nodes: &[u64]) -> HashSet<u64> {
        nodes.iter().copied().collect()
    }

    fn is_quorum(&self, set: &HashSet<u64>) -> bool {
        self.0.is_read_quorum(set)
    }
}

impl Decision for System {
    fn decided_after(&self, answers: &[u64]) -> Option<usize> {
        let mut acknowledged = HashSet::with_capacity(answers.len());
        answers.iter().position(|node| {
            acknowledged.insert(*node);
            self.0.is_read_quorum(&acknowledged)
        })
    }
}
