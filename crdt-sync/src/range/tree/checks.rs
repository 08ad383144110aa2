//! What must hold of the nodes, for tests.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::nodes::{Child, MAX, MIN, Node, sum};
use super::{RangeSnapshot, RangeTree};

/// Checks depth, sizes, order and sums of every node.
pub(in crate::range) fn check_shape(tree: &RangeSnapshot) {
    let mut depths = Vec::new();
    check(&tree.root, (&[], None), 0, true, &mut depths);
    depths.dedup();
    assert_eq!(depths.len(), 1, "leaves at different depths");
    let bound = tree.len().max(2).ilog2() / MIN.ilog2() + 2;
    assert!(depths[0] <= bound, "{} items at depth {}", tree.len(), depths[0]);
}

fn check(
    child: &Child,
    (start, end): (&[u8], Option<&[u8]>),
    depth: u32,
    is_last: bool,
    depths: &mut Vec<u32>,
) {
    let len = child.node.len();
    assert!(len <= MAX && (is_last || len >= MIN), "a node of {len}");
    match &*child.node {
        Node::Leaf(leaf) => {
            depths.push(depth);
            assert!(len > 0 || depth == 0, "an empty leaf");
            let keys: Vec<&[u8]> = (0..len).map(|at| leaf.keys.get(at)).collect();
            assert!(keys.is_sorted_by(|a, b| a < b));
            assert!(keys.iter().all(|key| start <= *key && end.is_none_or(|end| *key < end)));
            assert_eq!(child.cell, sum(leaf.rows.iter().map(|row| row.cell())));
        }
        Node::Inner(inner) => {
            assert!(len > 1 || depth > 0, "a root with one child");
            assert_eq!(inner.separators.len() + 1, len);
            assert_eq!(child.cell, sum(inner.children.iter().map(|child| child.cell)));
            let mut low = start;
            for (at, below) in inner.children.iter().enumerate() {
                let high = if at + 1 < len { Some(inner.separators.get(at)) } else { end };
                check(below, (low, high), depth + 1, is_last && at + 1 == len, depths);
                low = high.unwrap_or(low);
            }
        }
    }
}

impl RangeTree {
    /// How many nodes are not shared with a snapshot.
    pub(in crate::range) fn nodes_not_in(&self, snapshot: &RangeSnapshot) -> usize {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        addresses(&self.now.root, &mut ours);
        addresses(&snapshot.root, &mut theirs);
        theirs.sort_unstable();
        ours.iter().filter(|address| theirs.binary_search(address).is_err()).count()
    }

    /// Makes the tree believe that it holds that many items.
    pub(in crate::range) fn forge_count(&mut self, count: u32) {
        self.now.root.cell.count = count;
    }
}

fn addresses(child: &Child, into: &mut Vec<usize>) {
    into.push(Arc::as_ptr(&child.node).addr());
    if let Node::Inner(inner) = &*child.node {
        inner.children.iter().for_each(|child| addresses(child, into));
    }
}
