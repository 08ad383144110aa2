//! The tree that follows every write: a counted B+-tree (Comer, 1979) whose nodes know the sum and the
//! number of the items below them.

#[cfg(test)]
mod checks;
mod iter;
mod keys;
mod nodes;
mod snapshot;

use core::fmt;
use core::ops::Deref;

#[cfg(test)]
pub(super) use self::checks::check_shape;
pub use self::iter::Items;
pub(super) use self::keys::common_prefix;
pub use self::snapshot::RangeSnapshot;
use super::error::TreeError;
use super::limits::MAX_KEY_BYTES;
use crate::merkle::TreeKey;

/// Application keys in their own order, each at a 128-bit version, with sums over any range of them.
///
/// All reading is that of a [`RangeSnapshot`], which the tree dereferences to. A write costs
/// O(log n); it copies the nodes on its way, at most one per level, that a snapshot still shares.
///
/// What the tree answers depends on its content alone, not on the order of the writes; only the
/// shape of its nodes does. Its sums are those of a [`BucketTree`](crate::merkle::BucketTree) with
/// the same items.
///
/// Memory: the key's bytes and 36 more per item, and up to a tenth more for gaps and inner nodes:
/// with keys of 16 bytes 54 bytes per item in ascending, 58 in random order.
/// [`RangeSnapshot::heap_bytes`] says how much it is.
///
/// ```
/// use crdt_sync::merkle::TreeKey;
/// use crdt_sync::range::{KeyRange, RangeTree};
///
/// # fn main() -> Result<(), crdt_sync::range::TreeError> {
/// let mut tree = RangeTree::new(&TreeKey::new([7; 16]));
/// for (order, version) in [("orders/2026-10/1", 1), ("orders/2026-11/1", 4), ("orders/2026-11/2", 1)] {
///     tree.insert(order.as_bytes(), version)?;
/// }
/// let november = KeyRange::prefix(b"orders/2026-11/")?;
/// assert_eq!(tree.aggregate(&november).count, 2);
/// assert_eq!(tree.select(1), Some((&b"orders/2026-11/1"[..], 4)));
/// assert_eq!(tree.rank(b"orders/2026-11/2"), 2);
///
/// let before = tree.snapshot();
/// tree.remove(b"orders/2026-11/1");
/// assert_eq!((before.len(), tree.len()), (3, 2));
/// # Ok(()) }
/// ```
pub struct RangeTree {
    now: RangeSnapshot,
}

impl RangeTree {
    /// The longest key that a tree takes: 1 KiB.
    pub const MAX_KEY_BYTES: usize = MAX_KEY_BYTES;

    /// An empty tree. Only trees under the same key can be compared.
    pub fn new(key: &TreeKey) -> Self {
        Self { now: RangeSnapshot::empty(key) }
    }

    /// Puts a key into the tree at a version, and returns the version that it had. O(log n).
    ///
    /// Fails, leaving the tree as it was, when the key is too long or the tree holds 2^32 - 1 items.
    pub fn insert(&mut self, key: &[u8], version: u128) -> Result<Option<u128>, TreeError> {
        if key.len() > MAX_KEY_BYTES {
            return Err(TreeError::KeyTooLong { len: key.len() });
        }
        if self.now.len() == u64::from(u32::MAX) && self.now.get(key).is_none() {
            return Err(TreeError::Full);
        }
        let row = self.now.row(key, version);
        Ok(self.now.root.insert(key, row).map(|old| old.version))
    }

    /// Takes a key out, and returns the version that it had. O(log n).
    pub fn remove(&mut self, key: &[u8]) -> Option<u128> {
        self.now.get(key)?;
        self.now.root.remove(key).map(|old| old.version)
    }

    /// Moves a key from one version to another. O(log n).
    ///
    /// Fails, leaving the tree as it was, when the tree does not hold the key in the old version:
    /// tree and data have gone apart.
    pub fn replace(&mut self, key: &[u8], old: u128, new: u128) -> Result<(), TreeError> {
        if self.now.get(key) != Some(old) {
            return Err(TreeError::Absent);
        }
        self.insert(key, new)?;
        Ok(())
    }

    /// The tree as it is now, which stays so while writes go on. O(1).
    pub fn snapshot(&self) -> RangeSnapshot {
        self.now.clone()
    }
}

impl Deref for RangeTree {
    type Target = RangeSnapshot;

    fn deref(&self) -> &RangeSnapshot {
        &self.now
    }
}

impl fmt::Debug for RangeTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeTree").field("root", &self.root()).finish_non_exhaustive()
    }
}
