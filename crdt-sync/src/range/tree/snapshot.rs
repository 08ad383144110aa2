//! The tree at one moment, and all that can be asked of it.

use core::fmt;

use super::iter::Items;
use super::keys::shortest_separator;
use super::nodes::{Child, Node, Row, sum};
use crate::merkle::cells::Cell;
use crate::merkle::prf::TreePrf;
use crate::merkle::{Root, TreeKey};
use crate::range::KeyRange;

/// A [`RangeTree`](super::RangeTree) at one moment, unchanged by later writes.
///
/// It shares its nodes with the tree; a clone costs the same whatever the tree holds, so any number
/// of sessions can use one snapshot.
#[derive(Clone)]
pub struct RangeSnapshot {
    prf: TreePrf,
    pub(super) root: Child,
}

impl RangeSnapshot {
    pub(super) fn empty(key: &TreeKey) -> Self {
        Self { prf: TreePrf::new(key), root: Child::empty() }
    }

    /// How many items there are. O(1).
    pub fn len(&self) -> u64 {
        u64::from(self.root.cell.count)
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The summary of all items. O(1).
    pub fn root(&self) -> Root {
        Root::of(self.root.cell)
    }

    /// The version of a key. O(log n).
    pub fn get(&self, key: &[u8]) -> Option<u128> {
        let mut node = &*self.root.node;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let at = leaf.keys.search(key).ok()?;
                    return Some(leaf.rows[at].version);
                }
                Node::Inner(inner) => node = &inner.children[inner.place(key)].node,
            }
        }
    }

    /// The summary of the items in a range. O(log n).
    pub fn aggregate(&self, range: &KeyRange) -> Root {
        Root::of(self.cell(range))
    }

    /// How many keys are smaller than `key`. O(log n).
    pub fn rank(&self, key: &[u8]) -> u64 {
        u64::from(self.below(key).count)
    }

    /// The item that has `rank` smaller keys, hence the first at 0. O(log n).
    pub fn select(&self, rank: u64) -> Option<(&[u8], u128)> {
        let mut rest = u32::try_from(rank).ok()?;
        let mut node = &*self.root.node;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let row = leaf.rows.get(rest as usize)?;
                    return Some((leaf.keys.get(rest as usize), row.version));
                }
                Node::Inner(inner) => {
                    let child = inner.children.iter().find(|child| {
                        let is_before = child.cell.count <= rest;
                        rest -= if is_before { child.cell.count } else { 0 };
                        !is_before
                    });
                    node = &child?.node;
                }
            }
        }
    }

    /// The items of a range in the order of their keys. O(log n) to the first, O(1) for each one
    /// more.
    pub fn range<'a>(&'a self, range: &KeyRange) -> Items<'a> {
        let left = self.cell(range).count;
        Items::new(&self.root, range.start(), left)
    }

    /// The memory that the tree takes, shared with its other snapshots or not. O(n).
    pub fn heap_bytes(&self) -> usize {
        heap_bytes(&self.root.node)
    }

    pub(in crate::range) fn prf(&self) -> &TreePrf {
        &self.prf
    }

    pub(super) fn row(&self, key: &[u8], version: u128) -> Row {
        Row { version, digest: self.prf.item(self.prf.key_hash(key), version) }
    }

    pub(in crate::range) fn all(&self) -> Cell {
        self.root.cell
    }

    pub(in crate::range) fn cell(&self, range: &KeyRange) -> Cell {
        if range.is_empty() {
            return Cell::default();
        }
        let end = range.end().map_or(self.root.cell, |end| self.below(end));
        end.minus(self.below(range.start()))
    }

    /// The sum and count of all items with smaller keys. O(log n).
    pub(in crate::range) fn below(&self, key: &[u8]) -> Cell {
        let mut below = Cell::default();
        let mut child = &self.root;
        loop {
            match &*child.node {
                Node::Leaf(leaf) => {
                    let at = leaf.keys.search(key).unwrap_or_else(|at| at);
                    return below.plus(sum(leaf.rows[..at].iter().map(|row| row.cell())));
                }
                Node::Inner(inner) => {
                    let at = inner.place(key);
                    let (before, from) = inner.children.split_at(at);
                    // Whichever side has fewer children.
                    let cell = if before.len() <= from.len() {
                        sum(before.iter().map(|child| child.cell))
                    } else {
                        child.cell.minus(sum(from.iter().map(|child| child.cell)))
                    };
                    below = below.plus(cell);
                    child = &from[0];
                }
            }
        }
    }

    /// The shortest key that parts the first `rank` items from the others.
    pub(in crate::range) fn separator(&self, rank: u64) -> Option<&[u8]> {
        let (left, _) = self.select(rank.checked_sub(1)?)?;
        let (right, _) = self.select(rank)?;
        Some(shortest_separator(left, right))
    }
}

fn heap_bytes(node: &Node) -> usize {
    let of_node = match node {
        Node::Leaf(leaf) => leaf.keys.heap_bytes() + leaf.rows.capacity() * size_of::<Row>(),
        Node::Inner(inner) => {
            let below = inner.children.iter().map(|child| heap_bytes(&child.node));
            let children = inner.children.capacity() * size_of::<Child>();
            inner.separators.heap_bytes() + children + below.sum::<usize>()
        }
    };
    // Each node lies behind two reference counts.
    of_node + size_of::<Node>() + 2 * size_of::<usize>()
}

impl fmt::Debug for RangeSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeSnapshot").field("root", &self.root()).finish_non_exhaustive()
    }
}
