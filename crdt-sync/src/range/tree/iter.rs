//! Items one after another.

use alloc::vec::Vec;

use super::nodes::{Child, Inner, Leaf, Node, Row};

/// The items of a range in the order of their keys, see
/// [`RangeSnapshot::range`](super::RangeSnapshot::range).
#[derive(Clone)]
pub struct Items<'a> {
    /// The inner nodes above `leaf`, and the child of each that comes next.
    above: Vec<(&'a Inner, usize)>,
    leaf: Option<(&'a Leaf, usize)>,
    left: u32,
}

impl<'a> Items<'a> {
    /// `left` items from the first key that is not below `start`.
    pub(super) fn new(root: &'a Child, start: &[u8], left: u32) -> Self {
        let mut items = Self { above: Vec::new(), leaf: None, left };
        items.descend(root, |inner| inner.place(start));
        if let Some((leaf, at)) = &mut items.leaf {
            *at = leaf.keys.search(start).unwrap_or_else(|at| at);
        }
        items
    }

    pub(in crate::range) fn next_row(&mut self) -> Option<(&'a [u8], Row)> {
        self.left = self.left.checked_sub(1)?;
        loop {
            let (leaf, at) = self.leaf.as_mut()?;
            if let Some(row) = leaf.rows.get(*at) {
                let key = leaf.keys.get(*at);
                *at += 1;
                return Some((key, *row));
            }
            let (inner, next) = loop {
                let (inner, next) = self.above.pop()?;
                if next < inner.children.len() {
                    break (inner, next);
                }
            };
            self.above.push((inner, next + 1));
            self.descend(&inner.children[next], |_| 0);
        }
    }

    fn descend(&mut self, mut child: &'a Child, choose: impl Fn(&Inner) -> usize) {
        loop {
            match &*child.node {
                Node::Leaf(leaf) => {
                    self.leaf = Some((leaf, 0));
                    return;
                }
                Node::Inner(inner) => {
                    let at = choose(inner);
                    self.above.push((inner, at + 1));
                    child = &inner.children[at];
                }
            }
        }
    }
}

/// The key and its version.
impl<'a> Iterator for Items<'a> {
    type Item = (&'a [u8], u128);

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().map(|(key, row)| (key, row.version))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Items<'_> {}
