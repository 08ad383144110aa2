//! The nodes of a counted B+-tree, shared between the tree and its snapshots.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::keys::{Keys, make_room, shortest_separator};
use crate::merkle::cells::{Cell, Lanes};

/// The most items of a leaf, and children of an inner node.
pub(super) const MAX: usize = 64;
/// The fewest, except along the right edge of the tree: there nodes are split so that the left one
/// stays full, because keys often come in ascending order.
pub(super) const MIN: usize = MAX / 4;

#[derive(Clone)]
pub(super) enum Node {
    Leaf(Leaf),
    Inner(Inner),
}

/// The items of a leaf.
#[derive(Clone, Default)]
pub(super) struct Leaf {
    pub(super) keys: Keys,
    pub(super) rows: Vec<Row>,
}

/// What the tree keeps beside a key. The digest could be made again from key and version, but every
/// aggregate sums the digests of two leaves.
#[derive(Clone, Copy)]
pub(in crate::range) struct Row {
    pub(in crate::range) version: u128,
    pub(in crate::range) digest: Lanes,
}

/// Children and, between neighbours, a key that is above all keys of the left one and not above
/// those of the right one.
#[derive(Clone)]
pub(super) struct Inner {
    pub(super) separators: Keys,
    pub(super) children: Vec<Child>,
}

/// A node, with the sum and count of the items below it.
#[derive(Clone)]
pub(super) struct Child {
    pub(super) cell: Cell,
    pub(super) node: Arc<Node>,
}

/// The right part of a node that became too large.
struct Split {
    separator: Vec<u8>,
    right: Child,
}

impl Child {
    pub(super) fn empty() -> Self {
        Self { cell: Cell::default(), node: Arc::new(Node::Leaf(Leaf::default())) }
    }

    /// Puts a row under a key and returns the one that was there.
    pub(super) fn insert(&mut self, key: &[u8], row: Row) -> Option<Row> {
        let (old, split) = self.insert_below(key, row, true);
        if let Some(Split { separator, right }) = split {
            let mut separators = Keys::default();
            separators.push(&separator);
            let cell = self.cell.plus(right.cell);
            let left = core::mem::replace(self, Self::empty());
            *self = Self {
                cell,
                node: Arc::new(Node::Inner(Inner { separators, children: [left, right].into() })),
            };
        }
        old
    }

    /// Takes out the row under a key, which must be there for the tree not to be copied in vain.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Row> {
        let old = self.remove_below(key);
        loop {
            let only = match &*self.node {
                Node::Inner(inner) if inner.children.len() <= 1 => inner.children.first().cloned(),
                _ => return old,
            };
            *self = only.unwrap_or_else(Self::empty);
        }
    }

    fn insert_below(&mut self, key: &[u8], row: Row, is_last: bool) -> (Option<Row>, Option<Split>) {
        let (old, split) = match Arc::make_mut(&mut self.node) {
            Node::Leaf(leaf) => leaf.insert(key, row, is_last),
            Node::Inner(inner) => inner.insert(key, row, is_last),
        };
        self.cell = self.cell.minus(old.map_or(Cell::default(), Row::cell)).plus(row.cell());
        if let Some(split) = &split {
            self.cell = self.cell.minus(split.right.cell);
        }
        (old, split)
    }

    fn remove_below(&mut self, key: &[u8]) -> Option<Row> {
        let old = match Arc::make_mut(&mut self.node) {
            Node::Leaf(leaf) => leaf.remove(key),
            Node::Inner(inner) => inner.remove(key),
        }?;
        self.cell = self.cell.minus(old.cell());
        Some(old)
    }

    /// Moves everything of the right neighbour in here, and the upper half out again if that is too
    /// much.
    fn absorb(&mut self, separator: &[u8], right: Self) -> Option<Split> {
        self.cell = self.cell.plus(right.cell);
        let node = Arc::make_mut(&mut self.node);
        match (&mut *node, Arc::unwrap_or_clone(right.node)) {
            (Node::Leaf(left), Node::Leaf(right)) => {
                left.keys.append(&right.keys);
                left.rows.extend(right.rows);
            }
            (Node::Inner(left), Node::Inner(right)) => {
                left.separators.push(separator);
                left.separators.append(&right.separators);
                left.children.extend(right.children);
            }
            // Neighbours are at one depth.
            _ => return None,
        }
        let len = node.len();
        if len <= MAX {
            return None;
        }
        let split = node.split_at(len / 2);
        self.cell = self.cell.minus(split.right.cell);
        Some(split)
    }
}

impl Node {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.rows.len(),
            Self::Inner(inner) => inner.children.len(),
        }
    }

    fn split_at(&mut self, at: usize) -> Split {
        match self {
            Self::Leaf(leaf) => leaf.split_at(at),
            Self::Inner(inner) => inner.split_at(at),
        }
    }
}

impl Leaf {
    fn insert(&mut self, key: &[u8], row: Row, is_last: bool) -> (Option<Row>, Option<Split>) {
        let at = match self.keys.search(key) {
            Ok(at) => return (Some(core::mem::replace(&mut self.rows[at], row)), None),
            Err(at) => at,
        };
        self.keys.insert(at, key);
        make_room(&mut self.rows, 1, 8);
        self.rows.insert(at, row);
        (None, (self.rows.len() > MAX).then(|| self.split_at(cut(self.rows.len(), at, is_last))))
    }

    fn remove(&mut self, key: &[u8]) -> Option<Row> {
        let at = self.keys.search(key).ok()?;
        self.keys.remove(at);
        Some(self.rows.remove(at))
    }

    fn split_at(&mut self, at: usize) -> Split {
        let separator = shortest_separator(self.keys.get(at - 1), self.keys.get(at)).into();
        let right = Self { keys: self.keys.split_off(at), rows: self.rows.split_off(at) };
        self.rows.shrink_to_fit();
        let cell = sum(right.rows.iter().map(|row| row.cell()));
        Split { separator, right: Child { cell, node: Arc::new(Node::Leaf(right)) } }
    }
}

impl Inner {
    /// The child that holds `key` if any does.
    pub(super) fn place(&self, key: &[u8]) -> usize {
        match self.separators.search(key) {
            Ok(at) => at + 1,
            Err(at) => at,
        }
    }

    fn insert(&mut self, key: &[u8], row: Row, is_last: bool) -> (Option<Row>, Option<Split>) {
        let at = self.place(key);
        let is_last = is_last && at + 1 == self.children.len();
        let (old, split) = self.children[at].insert_below(key, row, is_last);
        if let Some(split) = split {
            self.adopt(at, split);
        }
        let len = self.children.len();
        (old, (len > MAX).then(|| self.split_at(cut(len, at + 1, is_last))))
    }

    fn remove(&mut self, key: &[u8]) -> Option<Row> {
        let at = self.place(key);
        let old = self.children.get_mut(at)?.remove_below(key)?;
        match self.children[at].node.len() {
            0 => self.drop_child(at),
            len if len < MIN && self.children.len() > 1 => self.join(at.saturating_sub(1)),
            _ => {}
        }
        Some(old)
    }

    fn drop_child(&mut self, at: usize) {
        self.children.remove(at);
        if self.separators.len() > 0 {
            self.separators.remove(at.saturating_sub(1));
        }
    }

    /// Makes one node of two neighbours, or two of about the same size.
    fn join(&mut self, left: usize) {
        let separator = Vec::from(self.separators.get(left));
        self.separators.remove(left);
        let right = self.children.remove(left + 1);
        if let Some(split) = self.children[left].absorb(&separator, right) {
            self.adopt(left, split);
        }
    }

    /// Takes in the right part of the child at `left`.
    fn adopt(&mut self, left: usize, split: Split) {
        self.separators.insert(left, &split.separator);
        self.children.insert(left + 1, split.right);
    }

    fn split_at(&mut self, at: usize) -> Split {
        let separators = self.separators.split_off(at);
        let separator = self.separators.get(at - 1).into();
        self.separators.remove(at - 1);
        let right = Self { separators, children: self.children.split_off(at) };
        let cell = sum(right.children.iter().map(|child| child.cell));
        Split { separator, right: Child { cell, node: Arc::new(Node::Inner(right)) } }
    }
}

impl Row {
    pub(super) fn cell(self) -> Cell {
        Cell { lanes: self.digest, count: 1 }
    }
}

pub(super) fn sum(cells: impl Iterator<Item = Cell>) -> Cell {
    cells.fold(Cell::default(), Cell::plus)
}

/// Where to split a node of `len` entries that became too large by the one at `at`.
fn cut(len: usize, at: usize, is_last: bool) -> usize {
    if is_last && at + 1 == len { len - 1 } else { len / 2 }
}
