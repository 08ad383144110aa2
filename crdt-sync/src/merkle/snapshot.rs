//! The tree at one moment.

use alloc::sync::Arc;
use core::fmt;

use super::cells::{Cell, Levels};
use super::prefix::Prefix;
use super::prf::{KeyHash, TreePrf};
use super::tree::Root;

/// A [`BucketTree`](super::BucketTree) at one moment, unchanged by later writes.
///
/// It shares its pages with the tree; a clone is one reference count, so any number of sessions can
/// use one snapshot.
///
/// ```
/// use crdt_sync::merkle::{BucketTree, TreeKey};
///
/// # fn main() -> Result<(), crdt_sync::merkle::TreeError> {
/// let mut tree = BucketTree::new(&TreeKey::new([7; 16]), 8)?;
/// let before = tree.snapshot();
/// tree.insert(tree.key_hash(b"milk"), 1)?;
/// assert_eq!(before.root().count, 0);
/// assert_eq!(tree.snapshot().root().count, 1);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TreeSnapshot(Arc<Frozen>);

struct Frozen {
    prf: TreePrf,
    levels: Levels,
    leaf_bits: u8,
}

impl TreeSnapshot {
    pub(super) fn new(prf: TreePrf, levels: Levels, leaf_bits: u8) -> Self {
        Self(Arc::new(Frozen { prf, levels, leaf_bits }))
    }

    /// The summary of all items. O(1).
    pub fn root(&self) -> Root {
        Root::of(self.0.levels.root)
    }

    /// How many bits choose the leaf.
    pub fn leaf_bits(&self) -> u8 {
        self.0.leaf_bits
    }

    /// The keyed hash of an application key. O(key length).
    pub fn key_hash(&self, key: &[u8]) -> KeyHash {
        self.0.prf.key_hash(key)
    }

    pub(super) fn prf(&self) -> &TreePrf {
        &self.0.prf
    }

    /// Depths are multiples of four, so a node of a smaller tree is a node of this one: that is the
    /// fold.
    #[inline]
    pub(super) fn node(&self, node: Prefix) -> Cell {
        self.0.levels.node(node)
    }
}

/// Whether all arrays are the same, not only the roots.
#[cfg(test)]
impl PartialEq for TreeSnapshot {
    fn eq(&self, other: &Self) -> bool {
        self.0.levels == other.0.levels
    }
}

impl fmt::Debug for TreeSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeSnapshot")
            .field("leaf_bits", &self.0.leaf_bits)
            .field("root", &self.root())
            .finish()
    }
}
