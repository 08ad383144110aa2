//! An expression compiled for one list of nodes.

use alloc::vec::Vec;

use super::{Expr, NodeSet, Shape};

/// Which sets of places are quorums.
///
/// Nodes that count for one vote are gathered in a mask: of a majority of 64 nodes nothing else is left, and asking it
/// is one `and`, one count of bits and one comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Formula {
    pub(crate) need: u64,
    /// Nodes with one vote each.
    pub(crate) leaves: NodeSet,
    /// Everything else, with its votes: what is composed, nodes with more votes, and a node that stands here twice.
    pub(crate) parts: Vec<(u64, Formula)>,
}

impl Formula {
    /// The formula of `expr`, whose nodes must all be in the sorted list `nodes`.
    pub(crate) fn compile<N: Ord>(expr: &Expr<N>, nodes: &[N]) -> Self {
        match expr.shape() {
            Shape::Node(node) => Self::leaf(nodes.partition_point(|known| known < node)),
            Shape::Threshold { need, parts } => {
                let mut formula = Self { need, leaves: NodeSet::EMPTY, parts: Vec::new() };
                for (votes, part) in parts {
                    formula.push(*votes, Self::compile(part, nodes));
                }
                formula
            }
        }
    }

    pub(crate) fn leaf(place: usize) -> Self {
        Self { need: 1, leaves: NodeSet::EMPTY.with(place), parts: Vec::new() }
    }

    /// Adds a part with its votes.
    pub(crate) fn push(&mut self, votes: u64, part: Self) {
        match part.as_leaf() {
            Some(place) if votes == 1 && !self.leaves.contains(place) => self.leaves.insert(place),
            _ => self.parts.push((votes, part)),
        }
    }

    /// The node that this formula is, if it is one.
    pub(crate) fn as_leaf(&self) -> Option<usize> {
        match (self.leaves.len(), self.parts.is_empty()) {
            (1, true) => self.leaves.iter().next(),
            _ => None,
        }
    }

    /// Whether `set` contains a quorum. O(size).
    pub(crate) fn is_quorum(&self, set: NodeSet) -> bool {
        let mut votes = self.leaves.intersection(set).len() as u64;
        for (weight, part) in &self.parts {
            if votes >= self.need {
                return true;
            }
            if part.is_quorum(set) {
                votes += weight;
            }
        }
        votes >= self.need
    }

    /// What all parts have together.
    pub(crate) fn total(&self) -> u64 {
        self.leaves.len() as u64 + self.parts.iter().map(|(votes, _)| votes).sum::<u64>()
    }

    /// The formula of the sets that meet every quorum of this one.
    pub(crate) fn dual(&self) -> Self {
        Self {
            need: self.total() - self.need + 1,
            leaves: self.leaves,
            parts: self.parts.iter().map(|(votes, part)| (*votes, part.dual())).collect(),
        }
    }

    /// How many formulas it is made of, itself among them.
    pub(crate) fn size(&self) -> usize {
        1 + self.parts.iter().map(|(_, part)| part.size()).sum::<usize>()
    }

    /// Every node in it.
    pub(crate) fn nodes(&self) -> NodeSet {
        self.parts.iter().fold(self.leaves, |nodes, (_, part)| nodes.union(part.nodes()))
    }

    /// The nodes that stand in more than one place. Without any, parts are independent and much is easy.
    pub(crate) fn repeated(&self) -> NodeSet {
        fn walk(formula: &Formula, seen: &mut NodeSet, repeated: &mut NodeSet) {
            *repeated = repeated.union(seen.intersection(formula.leaves));
            *seen = seen.union(formula.leaves);
            for (_, part) in &formula.parts {
                walk(part, seen, repeated);
            }
        }
        let (mut seen, mut repeated) = (NodeSet::EMPTY, NodeSet::EMPTY);
        walk(self, &mut seen, &mut repeated);
        repeated
    }

    /// Whether no node stands in two of its parts, or beside a part and in it.
    pub(crate) fn has_independent_parts(&self) -> bool {
        let mut seen = self.leaves;
        self.parts.iter().all(|(_, part)| {
            let nodes = part.nodes();
            let independent = seen.is_disjoint(nodes);
            seen = seen.union(nodes);
            independent
        })
    }
}
