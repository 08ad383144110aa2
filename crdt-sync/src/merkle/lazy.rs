//! Writes whose old version is unknown.

use alloc::collections::BTreeSet;

use super::error::TreeError;
use super::item::ItemSource;
use super::prefix::Prefix;
use super::prf::KeyHash;
use super::resize::Children;
use super::tree::BucketTree;

/// A [`BucketTree`] for an owner who does not always know which version a write replaces.
///
/// Such a write only names its key: the leaf is set aside, and is recomputed from the items before
/// anybody sees the tree. The tree itself is reached through [`LazyTree::settle`] and
/// [`LazyTree::settled`] alone, so no snapshot, and no session, can rest on a leaf that is out of
/// date.
///
/// Memory beyond the tree: a few bytes per leaf that is set aside.
///
/// ```
/// use crdt_sync::merkle::{BucketTree, Item, ItemSource, LazyTree, Prefix, TreeKey};
///
/// struct Rows(Vec<Item>);
/// impl ItemSource for Rows {
///     fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
///         self.0.iter().filter(|item| part.contains(item.key_hash)).for_each(|item| f(*item));
///     }
/// }
///
/// # fn main() -> Result<(), crdt_sync::merkle::TreeError> {
/// let mut tree = LazyTree::new(BucketTree::new(&TreeKey::new([7; 16]), 8)?);
/// let milk = tree.key_hash(b"milk");
/// tree.insert(milk, 1)?;
/// tree.mark_dirty(milk); // "set milk to version 2, whatever it was"
///
/// let rows = Rows(vec![Item { handle: 0, key_hash: milk, version: 2 }]);
/// let snapshot = tree.settle(&rows)?.snapshot();
/// assert_eq!(snapshot.root().count, 1);
/// # Ok(()) }
/// ```
///
/// Source: a middle way between the deltas of Riak's "tictac" trees, which need the old version,
/// and its older hash trees, which read every changed segment again.
#[derive(Debug)]
pub struct LazyTree {
    tree: BucketTree,
    unsettled: BTreeSet<u32>,
}

impl LazyTree {
    /// The same tree, with no leaf set aside.
    pub fn new(tree: BucketTree) -> Self {
        Self { tree, unsettled: BTreeSet::new() }
    }

    /// See [`BucketTree::key_hash`].
    pub fn key_hash(&self, key: &[u8]) -> KeyHash {
        self.tree.key_hash(key)
    }

    /// Something about this key changed: its leaf is set aside. O(log leaves set aside).
    pub fn mark_dirty(&mut self, key_hash: KeyHash) {
        self.unsettled.insert(self.tree.leaf_of(key_hash).value());
    }

    /// Something in this leaf changed, or is not trusted: it is set aside.
    ///
    /// Fails when it is no leaf of this tree.
    pub fn mark_leaf(&mut self, leaf: Prefix) -> Result<(), TreeError> {
        if leaf.bits() != self.tree.leaf_bits() {
            return Err(TreeError::WrongLeaf { leaf });
        }
        self.unsettled.insert(leaf.value());
        Ok(())
    }

    /// See [`BucketTree::insert`]. In a leaf that is set aside there is nothing to do.
    pub fn insert(&mut self, key_hash: KeyHash, version: u128) -> Result<(), TreeError> {
        self.unless_set_aside(key_hash, |tree| tree.insert(key_hash, version))
    }

    /// See [`BucketTree::remove`]. In a leaf that is set aside there is nothing to do.
    pub fn remove(&mut self, key_hash: KeyHash, version: u128) -> Result<(), TreeError> {
        self.unless_set_aside(key_hash, |tree| tree.remove(key_hash, version))
    }

    /// See [`BucketTree::replace`]. In a leaf that is set aside there is nothing to do.
    pub fn replace(&mut self, key_hash: KeyHash, old: u128, new: u128) -> Result<(), TreeError> {
        self.unless_set_aside(key_hash, |tree| tree.replace(key_hash, old, new))
    }

    /// How many leaves are set aside.
    pub fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// Recomputes all leaves that are set aside and hands out the tree. O(items of these leaves).
    ///
    /// `source` shows the items as they are now, with every write that was told to the tree: what
    /// it is behind by, the tree will be wrong by, until a [scrub](BucketTree::scrub) finds it.
    /// Where it gives items of one leaf for another, or too many, this fails; leaves that are not
    /// yet recomputed stay aside.
    pub fn settle(&mut self, source: &dyn ItemSource) -> Result<&mut BucketTree, TreeError> {
        self.settle_some(source, usize::MAX)?;
        Ok(&mut self.tree)
    }

    /// [`LazyTree::settle`] for at most so many leaves, in ascending order, to spread the work.
    pub fn settle_some(&mut self, source: &dyn ItemSource, leaves: usize) -> Result<(), TreeError> {
        for _ in 0..leaves {
            let Some(&value) = self.unsettled.first() else {
                break;
            };
            let leaf = Prefix::new(self.tree.leaf_bits(), value);
            let (children, _) = Children::read(&self.tree.prf, leaf, source)?;
            self.tree.put_leaf(leaf, &children)?;
            self.unsettled.remove(&value);
        }
        Ok(())
    }

    /// The tree, if no leaf is set aside, else [`TreeError::Unsettled`].
    pub fn settled(&mut self) -> Result<&mut BucketTree, TreeError> {
        match self.unsettled.len() {
            0 => Ok(&mut self.tree),
            leaves => Err(TreeError::Unsettled { leaves }),
        }
    }

    fn unless_set_aside(
        &mut self,
        key_hash: KeyHash,
        write: impl FnOnce(&mut BucketTree) -> Result<(), TreeError>,
    ) -> Result<(), TreeError> {
        if self.unsettled.contains(&self.tree.leaf_of(key_hash).value()) {
            return Ok(());
        }
        write(&mut self.tree)
    }
}
