//! The tree against the data, a slice at a time.

use alloc::vec::Vec;

use super::cells::{CHILDREN, LEVEL_BITS};
use super::error::TreeError;
use super::item::ItemSource;
use super::prefix::Prefix;
use super::prf::KeyHash;
use super::resize::Children;
use super::tree::{BucketTree, Root};

/// Where a scrub stands. It outlives changes of the tree's size, and starts over after the end.
///
/// ```
/// use crdt_sync::merkle::{BucketTree, Item, ItemSource, Prefix, Scrub, TreeKey};
///
/// struct Nothing;
/// impl ItemSource for Nothing {
///     fn for_each_in(&self, _: Prefix, _: &mut dyn FnMut(Item)) {}
/// }
///
/// # fn main() -> Result<(), crdt_sync::merkle::TreeError> {
/// let mut tree = BucketTree::new(&TreeKey::new([7; 16]), 8)?;
/// tree.insert(tree.key_hash(b"milk"), 1)?; // but the data were lost
///
/// let mut scrub = Scrub::default();
/// let mut mended = Vec::new();
/// loop {
///     let slice = tree.scrub(&mut scrub, &Nothing, 16)?; // from time to time
///     mended.extend(slice.mended);
///     if slice.finished {
///         break;
///     }
/// }
/// assert_eq!(mended.len(), 1);
/// assert_eq!(tree.root().count, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Scrub {
    /// The smallest key hash that was not looked at, `None` for the smallest of all.
    next: Option<KeyHash>,
}

/// What one slice of a scrub found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scrubbed {
    /// How many leaves were looked at.
    pub leaves: u32,
    /// How many items were read.
    pub items: u64,
    /// The nodes that were wrong. They are right now.
    pub mended: Vec<Mended>,
    /// Whether this slice reached the end of the tree; the next one starts over.
    pub finished: bool,
}

/// A node that did not say what its items say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mended {
    /// The leaf, inner node, or root.
    pub node: Prefix,
    /// What it said.
    pub was: Root,
    /// What it says now.
    pub is: Root,
}

impl BucketTree {
    /// Recomputes the next `leaves` leaves from the data and mends what is wrong: flipped bits,
    /// items removed that were never there, writes that a stale source hid. O(leaves + their items
    /// \+ leaves written since the last snapshot).
    ///
    /// Inner nodes are looked at when the last leaf below them was, the root with the last slice.
    /// `source` shows the items as they are now. Where it gives items of one leaf for another, or
    /// too many, the slice ends before that leaf; the next one, which begins there, fails and
    /// leaves the tree as it was.
    ///
    /// Writes go on between slices. What the data themselves lost, this cannot see: it takes the
    /// data for the truth.
    pub fn scrub(
        &mut self,
        scrub: &mut Scrub,
        source: &dyn ItemSource,
        leaves: u32,
    ) -> Result<Scrubbed, TreeError> {
        let first = scrub.next.map_or(0, |next| self.leaf_of(next).value());
        let count = 1_u32 << self.leaf_bits;
        let last = first.saturating_add(leaves.max(1)).min(count);
        let mut found = Scrubbed { leaves: 0, items: 0, mended: Vec::new(), finished: false };
        for leaf in first..last {
            match self.scrub_leaf(Prefix::new(self.leaf_bits, leaf), source, &mut found) {
                Ok(()) => found.leaves += 1,
                Err(error) if found.leaves == 0 => return Err(error),
                // What was mended must not go unreported: the error comes with the next slice.
                Err(_) => break,
            }
        }
        let last = first + found.leaves;
        self.refresh();
        if !found.mended.is_empty() {
            // The root followed the writes, a rotten leaf did not: what was taken for the leaf's
            // share of the root may never have been in it.
            self.levels.root = self.levels.sum_below(Prefix::ALL);
        }
        self.scrub_above(first..last, &mut found);
        found.finished = last == count;
        scrub.next = (!found.finished).then(|| Prefix::new(self.leaf_bits, last).start());
        Ok(found)
    }

    fn scrub_leaf(
        &mut self,
        leaf: Prefix,
        source: &dyn ItemSource,
        found: &mut Scrubbed,
    ) -> Result<(), TreeError> {
        let was = Root::of(self.levels.leaf(leaf.value()));
        let (children, items) = Children::read(&self.prf, leaf, source)?;
        if self.put_leaf(leaf, &children)? {
            found.mended.push(Mended { node: leaf, was, is: Root::of(children.sum()) });
        }
        found.items += items;
        Ok(())
    }

    /// Looks at the nodes whose last leaf is among those looked at, from the leaves up.
    fn scrub_above(&mut self, leaves: core::ops::Range<u32>, found: &mut Scrubbed) {
        let (mut bits, mut ended) = (self.leaf_bits, leaves);
        while bits > 0 {
            bits -= LEVEL_BITS;
            ended = ended.start / CHILDREN..ended.end / CHILDREN;
            for node in ended.clone().map(|node| Prefix::new(bits, node)) {
                let (was, is) = (self.levels.node(node), self.levels.sum_below(node));
                if was != is {
                    self.levels.set_node(node, is);
                    found.mended.push(Mended { node, was: Root::of(was), is: Root::of(is) });
                }
            }
        }
    }
}
