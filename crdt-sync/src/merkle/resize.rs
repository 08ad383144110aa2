//! More leaves, fewer leaves, and the sum of trees.

use super::cells::{CHILDREN, Cell, LEVEL_BITS, Lanes, Pages};
use super::error::TreeError;
use super::item::ItemSource;
use super::prefix::Prefix;
use super::prf::{KeyHash, TreePrf};
use super::snapshot::TreeSnapshot;
use super::tree::{BucketTree, DirtyGroups, is_leaf_bits};

/// What a tree should do about its size, see [`BucketTree::resize_due`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resize {
    /// Sixteen times as many leaves: [`BucketTree::grow`].
    Grow,
    /// Fewer leaves: [`BucketTree::fold_to`] this many leaf bits.
    Fold {
        /// The leaf bits that fit.
        leaf_bits: u8,
    },
}

/// What a step of growth did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Growth {
    /// How many leaves were split in this step.
    pub leaves: u32,
    /// How many items were read in this step.
    pub items: u64,
    /// Whether the tree now has its new size.
    pub finished: bool,
}

impl BucketTree {
    /// Whether the tree has far too few or far too many leaves for its items. O(1).
    ///
    /// Between the two bounds lies a factor of sixteen, so a tree does not go back and forth.
    ///
    /// ```
    /// use crdt_sync::merkle::{BucketTree, Resize, TreeKey};
    ///
    /// # fn main() -> Result<(), crdt_sync::merkle::TreeError> {
    /// let tree = BucketTree::new(&TreeKey::new([7; 16]), 12)?;
    /// assert_eq!(tree.resize_due(), Some(Resize::Fold { leaf_bits: 4 })); // it is empty
    /// # Ok(()) }
    /// ```
    pub fn resize_due(&self) -> Option<Resize> {
        let count = u64::from(self.levels.root.count);
        if self.finer.is_some() || Self::leaf_bits_for(count) > self.leaf_bits {
            return Some(Resize::Grow);
        }
        // Four items to a leaf of the next smaller size: it would not have to grow soon.
        let leaf_bits = Self::leaf_bits_for(count.saturating_mul(CHILDREN.into()));
        (leaf_bits < self.leaf_bits).then_some(Resize::Fold { leaf_bits })
    }

    /// Goes on towards sixteen times as many leaves, by splitting the next `leaves` leaves into
    /// sixteen each. O(items of these leaves); the last step adds O(leaves written since the last
    /// snapshot), without touching items or sums.
    ///
    /// Between the steps, which may be as small as one leaf, the tree is used as ever: it keeps its
    /// size, writes go to both levels, snapshots and sessions do not notice. With the last step the
    /// leaves become inner nodes. One leaf per write is enough to be done before the tree has
    /// doubled.
    ///
    /// `source` shows the tree's items as they are now. A leaf whose items do not sum up to what
    /// the leaf says is [`TreeError::Stale`]; nothing but that leaf is missing then, and after
    /// [`BucketTree::rebuild_leaf`] or a better source the next step goes on there.
    ///
    /// ```
    /// use crdt_sync::merkle::{BucketTree, Item, ItemSource, Prefix, TreeKey};
    ///
    /// struct Rows(Vec<Item>);
    /// impl ItemSource for Rows {
    ///     fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
    ///         self.0.iter().filter(|item| part.contains(item.key_hash)).for_each(|item| f(*item));
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), crdt_sync::merkle::TreeError> {
    /// let mut tree = BucketTree::new(&TreeKey::new([7; 16]), 4)?;
    /// let mut rows = Rows(Vec::new());
    /// for handle in 0..100_u64 {
    ///     let key_hash = tree.key_hash(&handle.to_le_bytes());
    ///     tree.insert(key_hash, 1)?;
    ///     rows.0.push(Item { handle, key_hash, version: 1 });
    /// }
    /// while !tree.grow(&rows, 1)?.finished {}
    /// assert_eq!(tree.leaf_bits(), 8);
    /// # Ok(()) }
    /// ```
    pub fn grow(&mut self, source: &dyn ItemSource, leaves: u32) -> Result<Growth, TreeError> {
        let leaf_bits = self.leaf_bits + LEVEL_BITS;
        if !is_leaf_bits(leaf_bits) {
            return Err(TreeError::LeafBits { leaf_bits });
        }
        let mut finer = self.finer.take().unwrap_or_else(|| Finer::new(leaf_bits));
        let first = finer.split;
        let last = first.saturating_add(leaves).min(1 << self.leaf_bits);
        let mut items = 0;
        let split = (first..last).try_for_each(|leaf| {
            let leaf = Prefix::new(self.leaf_bits, leaf);
            let (children, read) = Children::read(&self.prf, leaf, source)?;
            items += read;
            if children.sum() != self.levels.leaf(leaf.value()) {
                return Err(TreeError::Stale { leaf });
            }
            finer.split = leaf.value() + 1;
            finer.put(leaf.value(), &children);
            Ok(())
        });
        let (done, finished) = (finer.split - first, finer.split == 1 << self.leaf_bits);
        if finished {
            self.deepen(finer, leaf_bits);
        } else {
            self.finer = Some(finer);
        }
        split.map(|()| Growth { leaves: done, items, finished })
    }

    /// Gives up a growth that has begun; the tree keeps the size it has.
    pub fn stop_growth(&mut self) {
        self.finer = None;
    }

    /// Sums leaves up until there are `2^leaf_bits`; the items are not needed. O(leaves written
    /// since the last snapshot). A growth that has begun is given up.
    ///
    /// Fails, leaving the tree as it was, when `leaf_bits` is no size or is larger than the tree's.
    pub fn fold_to(&mut self, leaf_bits: u8) -> Result<(), TreeError> {
        if !is_leaf_bits(leaf_bits) || leaf_bits > self.leaf_bits {
            return Err(TreeError::LeafBits { leaf_bits });
        }
        self.refresh();
        self.levels.truncate(leaf_bits);
        self.dirty = DirtyGroups::new(leaf_bits);
        self.leaf_bits = leaf_bits;
        self.finer = None;
        Ok(())
    }

    /// Adds all items of another tree under the same key. O(leaves of this tree). A growth that has
    /// begun starts over.
    ///
    /// So the trees of a node's partitions make one tree of all its data, and two clusters that cut
    /// their data differently can be compared: roots and nodes depend on the items alone. An item
    /// that both trees hold counts twice.
    ///
    /// Fails, leaving the tree as it was, when the keys differ, when the other tree has fewer
    /// leaves than this one (see [`BucketTree::fold_to`]), or when there would be too many items.
    ///
    /// Source: the mergeable trees of Riak's and Sumner's "tictac" anti-entropy (2017).
    pub fn merge_from(&mut self, other: &TreeSnapshot) -> Result<(), TreeError> {
        if self.prf.key_id() != other.prf().key_id() {
            return Err(TreeError::OtherKey);
        }
        if other.leaf_bits() < self.leaf_bits {
            return Err(TreeError::Coarser { leaf_bits: other.leaf_bits() });
        }
        let (ours, theirs) = (self.levels.root, other.node(Prefix::ALL));
        ours.count.checked_add(theirs.count).ok_or(TreeError::Full)?;
        self.finer = None;
        for leaf in 0..1 << self.leaf_bits {
            let added = other.node(Prefix::new(self.leaf_bits, leaf));
            if added != Cell::default() {
                let sum = self.levels.leaf(leaf).plus(added);
                self.write(leaf, sum, self.levels.root);
            }
        }
        self.levels.root = ours.plus(theirs);
        Ok(())
    }

    /// What is stale above the old leaves stays marked: by one child each, whose own sum is right
    /// already.
    fn deepen(&mut self, finer: Finer, leaf_bits: u8) {
        let mut dirty = DirtyGroups::new(leaf_bits);
        for group in self.dirty.take().drain(..) {
            dirty.mark(group * CHILDREN);
        }
        self.dirty = dirty;
        self.levels.push(finer.cells);
        self.leaf_bits = leaf_bits;
    }
}

/// The level below the leaves of a growing tree: exact below the leaves that were split, empty
/// elsewhere.
pub(super) struct Finer {
    cells: Pages,
    /// How many leaves were split, from the first one on.
    split: u32,
    leaf_bits: u8,
}

impl Finer {
    fn new(leaf_bits: u8) -> Self {
        Self { cells: Pages::at_depth(leaf_bits), split: 0, leaf_bits }
    }

    /// Follows a write, if it is below a leaf that was split.
    pub(super) fn change(
        &mut self,
        key_hash: KeyHash,
        change: impl FnOnce(Cell) -> Result<Cell, TreeError>,
    ) -> Result<(), TreeError> {
        let child = Prefix::of(key_hash, self.leaf_bits).value();
        if child / CHILDREN < self.split {
            self.cells.set(child, change(self.cells.get(child))?);
        }
        Ok(())
    }

    /// Overwrites what is below a leaf, if it was split.
    pub(super) fn put(&mut self, leaf: u32, children: &Children) {
        if leaf < self.split {
            for (child, cell) in (leaf * CHILDREN..).zip(children.0) {
                self.cells.set(child, cell);
            }
        }
    }
}

/// A leaf as the sixteen leaves that it would be in the next larger tree.
#[derive(Default)]
pub(super) struct Children([Cell; CHILDREN as usize]);

impl Children {
    /// What the source says about a leaf, and in how many items.
    pub(super) fn read(
        prf: &TreePrf,
        leaf: Prefix,
        source: &dyn ItemSource,
    ) -> Result<(Self, u64), TreeError> {
        let (mut children, mut read, mut result) = (Self::default(), 0, Ok(()));
        source.for_each_in(leaf, &mut |item| {
            read += 1;
            if result.is_ok() {
                let digest = prf.item(item.key_hash, item.version);
                result = children.add(leaf, item.key_hash, digest);
            }
        });
        result.map(|()| (children, read))
    }

    pub(super) fn add(&mut self, leaf: Prefix, key_hash: KeyHash, item: Lanes) -> Result<(), TreeError> {
        if !leaf.contains(key_hash) {
            return Err(TreeError::WrongLeaf { leaf });
        }
        let child = Prefix::of(key_hash, leaf.bits() + LEVEL_BITS).value() % CHILDREN;
        let cell = &mut self.0[child as usize];
        *cell = cell.with(item).ok_or(TreeError::Full)?;
        Ok(())
    }

    pub(super) fn sum(&self) -> Cell {
        self.0.into_iter().fold(Cell::default(), Cell::plus)
    }
}
