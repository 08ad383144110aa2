//! The tree that follows every write.

use alloc::vec;
use alloc::vec::Vec;

use super::cells::{Cell, LEVEL_BITS, Lanes, Levels};
use super::error::TreeError;
use super::prefix::Prefix;
use super::prf::{KeyHash, TreeKey, TreePrf};
use super::resize::{Children, Finer};
use super::snapshot::TreeSnapshot;

/// The summary of a set of items: equal trees have equal roots.
///
/// `digest` is the sum of all items' keyed digests. It does not depend on the order of writes nor
/// on the number of leaves, so trees of different sizes can be compared.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Root {
    /// The sum of the digests of all items, 128 bits.
    pub digest: u128,
    /// How many items there are.
    pub count: u64,
}

impl Root {
    /// The root of a tree that holds the items of both.
    ///
    /// ```
    /// use crdt_sync::merkle::{BucketTree, Root, TreeKey};
    ///
    /// # fn main() -> Result<(), crdt_sync::merkle::TreeError> {
    /// let mut tree = BucketTree::new(&TreeKey::new([7; 16]), 4)?;
    /// let milk = tree.key_hash(b"milk");
    /// tree.insert(milk, 1)?;
    /// assert_eq!(tree.root(), Root::default().with(tree.weight(milk, 1)));
    /// assert_eq!(tree.root().without(tree.weight(milk, 1)), Root::default());
    /// # Ok(()) }
    /// ```
    pub fn with(self, other: Self) -> Self {
        let digest = Lanes::from_u128(self.digest).plus(Lanes::from_u128(other.digest)).as_u128();
        Self { digest, count: self.count.wrapping_add(other.count) }
    }

    /// The root of a tree that holds the items of this one except those of the other.
    pub fn without(self, other: Self) -> Self {
        let digest = Lanes::from_u128(self.digest).minus(Lanes::from_u128(other.digest)).as_u128();
        Self { digest, count: self.count.wrapping_sub(other.count) }
    }

    pub(crate) fn of(cell: Cell) -> Self {
        Self { digest: cell.lanes.as_u128(), count: u64::from(cell.count) }
    }
}

/// A Merkle tree over buckets of keyed hashes.
///
/// An item is an application key, given as its [`KeyHash`], at a 128-bit version. The top bits of
/// the hash choose one of `2^leaf_bits` leaves, a leaf is the sum and the count of its items, an
/// inner node the sum of its children. So a write touches one leaf and the root; the levels between
/// are brought up to date when a snapshot is taken.
///
/// The tree stores no keys. It takes 20 bytes per leaf and a fifteenth more for the levels above:
/// 1.4 MB with 2^16 leaves, 22.4 MB with 2^20, and nothing per item; parts that were never written
/// take nothing. A write touches the line or two of the cache that its leaf is in. While a snapshot
/// lives, the pages written since are there twice.
///
/// The tree is a multiset: it trusts its owner to insert an item once and to remove what was
/// inserted, and reports a mistake only where it can see it (see [`BucketTree::remove`]). For an owner
/// who does not always know what a write replaces there is [`LazyTree`](super::LazyTree).
///
/// ```
/// use crdt_sync::merkle::{BucketTree, TreeKey};
///
/// # fn main() -> Result<(), crdt_sync::merkle::TreeError> {
/// let mut tree = BucketTree::new(&TreeKey::new([7; 16]), 12)?;
/// let empty = tree.root();
///
/// let milk = tree.key_hash(b"milk");
/// tree.insert(milk, 1)?;
/// tree.replace(milk, 1, 2)?;
/// assert_eq!(tree.root().count, 1);
///
/// tree.remove(milk, 2)?;
/// assert_eq!(tree.root(), empty);
/// # Ok(()) }
/// ```
///
/// Sources: Merkle trees for anti-entropy as in Dynamo (SOSP 2007); sums of keyed digests from
/// Clarke et al., "Incremental Multiset Hash Functions" (2003).
pub struct BucketTree {
    pub(super) prf: TreePrf,
    /// Leaves and root are exact; the levels between are stale above the dirty groups.
    pub(super) levels: Levels,
    pub(super) dirty: DirtyGroups,
    pub(super) leaf_bits: u8,
    /// The level below the leaves, while it is being filled.
    pub(super) finer: Option<Finer>,
}

impl BucketTree {
    /// The smallest number of leaf bits: 16 leaves.
    pub const MIN_LEAF_BITS: u8 = 4;
    /// The largest number of leaf bits: about a million leaves, 22 MB.
    pub const MAX_LEAF_BITS: u8 = 20;

    /// An empty tree with `2^leaf_bits` leaves; `leaf_bits` is a multiple of four from 4 to 20.
    ///
    /// Peers may differ in `leaf_bits`: the larger tree folds to the smaller one. About 16 items
    /// per leaf make the fewest bytes; see [`BucketTree::leaf_bits_for`].
    pub fn new(key: &TreeKey, leaf_bits: u8) -> Result<Self, TreeError> {
        if !is_leaf_bits(leaf_bits) {
            return Err(TreeError::LeafBits { leaf_bits });
        }
        Ok(Self::empty(TreePrf::new(key), leaf_bits))
    }

    /// `leaf_bits` is one of the sizes that there are.
    pub(super) fn empty(prf: TreePrf, leaf_bits: u8) -> Self {
        let (levels, dirty) = (Levels::new(leaf_bits), DirtyGroups::new(leaf_bits));
        Self { prf, levels, dirty, leaf_bits, finer: None }
    }

    /// An empty tree under the same key and of the same size.
    pub(crate) fn emptied(&self) -> Self {
        Self::empty(self.prf.clone(), self.leaf_bits)
    }

    /// The leaf bits that put about 16 items into each leaf when the tree holds `items` items.
    ///
    /// ```
    /// use crdt_sync::merkle::BucketTree;
    ///
    /// assert_eq!(BucketTree::leaf_bits_for(0), 4);
    /// assert_eq!(BucketTree::leaf_bits_for(1_000_000), 16);
    /// assert_eq!(BucketTree::leaf_bits_for(u64::MAX), 20);
    /// ```
    pub fn leaf_bits_for(items: u64) -> u8 {
        let few_enough = |bits: &u8| items >> *bits <= 64;
        (Self::MIN_LEAF_BITS..Self::MAX_LEAF_BITS)
            .step_by(usize::from(LEVEL_BITS))
            .find(few_enough)
            .unwrap_or(Self::MAX_LEAF_BITS)
    }

    /// The keyed hash of an application key, to be kept beside the key or computed again for every
    /// call. O(key length).
    pub fn key_hash(&self, key: &[u8]) -> KeyHash {
        self.prf.key_hash(key)
    }

    /// Adds an item. O(1).
    ///
    /// Fails, leaving the tree as it was, when it holds 2^32 - 1 items already.
    pub fn insert(&mut self, key_hash: KeyHash, version: u128) -> Result<(), TreeError> {
        self.change(key_hash, None, Some(self.prf.item(key_hash, version)))
    }

    /// Takes an item out. O(1).
    ///
    /// Fails, leaving the tree as it was, when the leaf cannot hold the item: the leaf is empty, or
    /// has one item and it is another. Removing an absent item from a fuller leaf cannot be noticed
    /// and leaves a wrong sum behind, which [`BucketTree::rebuild_leaf`] mends.
    pub fn remove(&mut self, key_hash: KeyHash, version: u128) -> Result<(), TreeError> {
        self.change(key_hash, Some(self.prf.item(key_hash, version)), None)
    }

    /// Moves an item from one version to another: [`BucketTree::remove`], then
    /// [`BucketTree::insert`], or neither. O(1).
    pub fn replace(&mut self, key_hash: KeyHash, old: u128, new: u128) -> Result<(), TreeError> {
        let [old, new] = self.prf.items(key_hash, [old, new]);
        self.change(key_hash, Some(old), Some(new))
    }

    /// Recomputes a leaf from its items and says whether it was wrong: the remedy after
    /// [`TreeError::Absent`], and the step of a scrub. O(items of the leaf).
    ///
    /// `leaf` is what [`BucketTree::leaf_of`] or [`TreeError::Absent`] names. Fails, leaving the
    /// tree as it was, when it is no leaf of this tree or an item belongs to another leaf.
    pub fn rebuild_leaf(
        &mut self,
        leaf: Prefix,
        items: impl IntoIterator<Item = (KeyHash, u128)>,
    ) -> Result<bool, TreeError> {
        if leaf.bits() != self.leaf_bits {
            return Err(TreeError::WrongLeaf { leaf });
        }
        let mut children = Children::default();
        for (key_hash, version) in items {
            if !leaf.contains(key_hash) {
                return Err(TreeError::WrongLeaf { leaf });
            }
            children.add(leaf, key_hash, self.prf.item(key_hash, version))?;
        }
        self.put_leaf(leaf, &children)
    }

    /// What an item adds to the root: the root of a tree that holds nothing else.
    ///
    /// With [`Root::with`] and [`Root::without`] this lets two sides check that the items they
    /// exchanged account for the whole difference of their trees.
    pub fn weight(&self, key_hash: KeyHash, version: u128) -> Root {
        Root::of(Cell { lanes: self.prf.item(key_hash, version), count: 1 })
    }

    /// The leaf that holds a key.
    pub fn leaf_of(&self, key_hash: KeyHash) -> Prefix {
        Prefix::of(key_hash, self.leaf_bits)
    }

    /// How many bits choose the leaf.
    pub fn leaf_bits(&self) -> u8 {
        self.leaf_bits
    }

    /// The summary of all items. O(1).
    pub fn root(&self) -> Root {
        Root::of(self.levels.root)
    }

    /// The tree as it is now, which stays so while writes go on.
    ///
    /// O(leaves written since the last snapshot) to bring the inner nodes up to date, plus one
    /// reference count per 256 leaves. Afterwards the first write to each page of 256 leaves copies
    /// that page.
    pub fn snapshot(&mut self) -> TreeSnapshot {
        self.refresh();
        TreeSnapshot::new(self.prf.clone(), self.levels.share(), self.leaf_bits)
    }

    /// Brings the inner nodes up to date. O(leaves written since the last time).
    ///
    /// [`BucketTree::snapshot`] does the same; this is for an owner who would rather do it in quiet
    /// moments.
    pub fn refresh(&mut self) {
        let groups = self.dirty.take();
        self.levels.refresh(groups);
    }

    /// One item out, one item in, or neither.
    #[inline]
    pub(super) fn change(
        &mut self,
        key_hash: KeyHash,
        old: Option<Lanes>,
        new: Option<Lanes>,
    ) -> Result<(), TreeError> {
        let leaf = self.leaf_of(key_hash);
        let changed = |cell: Cell| {
            let rest = match old {
                Some(item) => cell.without(item).ok_or(TreeError::Absent { leaf })?,
                None => cell,
            };
            match new {
                Some(item) => rest.with(item).ok_or(TreeError::Full),
                None => Ok(rest),
            }
        };
        let root = changed(self.levels.root)?;
        let cell = changed(self.levels.leaf(leaf.value()))?;
        if let Some(finer) = &mut self.finer {
            finer.change(key_hash, changed)?;
        }
        self.write(leaf.value(), cell, root);
        Ok(())
    }

    /// Overwrites a leaf with what its items sum up to, and says whether that was different.
    pub(super) fn put_leaf(&mut self, leaf: Prefix, children: &Children) -> Result<bool, TreeError> {
        let (old, new) = (self.levels.leaf(leaf.value()), children.sum());
        let others = self.levels.root.count.saturating_sub(old.count);
        others.checked_add(new.count).ok_or(TreeError::Full)?;
        if let Some(finer) = &mut self.finer {
            finer.put(leaf.value(), children);
        }
        if old != new {
            self.write(leaf.value(), new, self.levels.root.minus(old).plus(new));
        }
        Ok(old != new)
    }

    pub(super) fn write(&mut self, leaf: u32, cell: Cell, root: Cell) {
        self.levels.set_leaf(leaf, cell);
        self.levels.root = root;
        self.dirty.mark(leaf >> LEVEL_BITS);
    }
}

impl core::fmt::Debug for BucketTree {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("BucketTree")
            .field("leaf_bits", &self.leaf_bits)
            .field("root", &self.root())
            .finish_non_exhaustive()
    }
}

pub(super) fn is_leaf_bits(leaf_bits: u8) -> bool {
    (BucketTree::MIN_LEAF_BITS..=BucketTree::MAX_LEAF_BITS).contains(&leaf_bits)
        && leaf_bits.is_multiple_of(LEVEL_BITS)
}

/// The groups of sixteen leaves written since the last refresh, each once: a bit to know, a list to
/// walk.
pub(super) struct DirtyGroups {
    marked: Vec<u64>,
    list: Vec<u32>,
}

impl DirtyGroups {
    pub(super) fn new(leaf_bits: u8) -> Self {
        let groups = 1_usize << (leaf_bits - LEVEL_BITS);
        Self { marked: vec![0; groups.div_ceil(64)], list: Vec::new() }
    }

    pub(super) fn mark(&mut self, group: u32) {
        let Some(word) = self.marked.get_mut(group as usize / 64) else {
            return;
        };
        let bit = 1 << (group % 64);
        if *word & bit == 0 {
            *word |= bit;
            self.list.push(group);
        }
    }

    /// Unmarks all and hands out the list, to be left empty.
    pub(super) fn take(&mut self) -> &mut Vec<u32> {
        for group in &self.list {
            self.marked[*group as usize / 64] = 0;
        }
        &mut self.list
    }
}
