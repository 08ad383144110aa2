//! `quorum-set` 0.6. It is asked with an iterator over the nodes, looks through it for each node of the rule, and so
//! likes a slice best.

use std::collections::BTreeSet;

use quorum_set::{Node, QuorumSet, QuorumTree, VecProgress, verify_intersection};

use crate::quorums::{Decision, Positions, Quorums, Shape};

/// The rule that fits a shape best.
#[derive(Debug)]
pub enum Rule {
    /// A majority of one set.
    Majority(BTreeSet<u64>),
    /// A majority of each set.
    Joint(Vec<BTreeSet<u64>>),
    /// Groups.
    Tree(QuorumTree<u64>),
}

impl Rule {
    fn ask(&self, nodes: &[u64]) -> bool {
        match self {
            Self::Majority(rule) => rule.is_quorum(nodes.iter()),
            Self::Joint(rule) => rule.is_quorum(nodes.iter()),
            Self::Tree(rule) => rule.is_quorum(nodes.iter()),
        }
    }
}

impl Quorums for Rule {
    type Set = Vec<u64>;

    fn build(shape: Shape) -> Self {
        let group = |need, nodes: Vec<u64>| {
            let nodes = nodes.into_iter().map(Node::Id);
            Node::Subtree(QuorumTree::new(need, nodes).expect("groups are sound"))
        };
        let groups = shape.groups().into_iter();
        match shape {
            Shape::Majority(nodes) => Self::Majority((0..nodes).collect()),
            Shape::Joint(_) => Self::Joint(groups.map(|group| group.into_iter().collect()).collect()),
            Shape::Grid => Self::Tree(QuorumTree::new(1, groups.map(|row| group(8, row))).expect("rows")),
            Shape::Hierarchy => {
                Self::Tree(QuorumTree::new(2, groups.map(|nodes| group(2, nodes))).expect("groups"))
            }
        }
    }

    fn set(&self, nodes: &[u64]) -> Vec<u64> {
        nodes.to_vec()
    }

    fn is_quorum(&self, set: &Vec<u64>) -> bool {
        self.ask(set)
    }

    fn meets_itself(&self) -> bool {
        match self {
            Self::Majority(rule) => verify_intersection(rule, rule),
            Self::Joint(rule) => verify_intersection(rule, rule),
            Self::Tree(rule) => verify_intersection(rule, rule),
        }
    }
}

impl Decision for Rule {
    /// What came in so far is a part of the list, so nothing is copied for it.
    fn decided_after(&self, answers: &[u64]) -> Option<usize> {
        (0..answers.len()).find(|last| self.ask(&answers[..=*last]))
    }
}

/// Its commit index.
pub type Progress = VecProgress<(u64, u64), BTreeSet<u64>>;

impl Positions for Progress {
    fn build(members: u64) -> Self {
        Self::new((0..members).collect(), [], |node| (node, 0))
    }

    fn acknowledge(&mut self, node: u64, position: u64) -> u64 {
        *self.increase_to(&node, position).expect("a member")
    }
}
