//! Many writes at once.

use super::error::BatchError;
use super::prf::KeyHash;
use super::tree::BucketTree;

/// How many leaves are fetched into the cache at the same time.
const TOGETHER: usize = 16;

/// One write of a batch: an item that comes, goes, or moves to another version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The key.
    pub key_hash: KeyHash,
    /// The version that it had, `None` if it was not there.
    pub old: Option<u128>,
    /// The version that it has now, `None` if it is gone.
    pub new: Option<u128>,
}

impl BucketTree {
    /// Makes all changes, in order, or none of them. O(changes), and faster than one by one as soon
    /// as the tree is larger than the cache: the leaves of the next few changes are fetched
    /// together.
    ///
    /// ```
    /// use crdt_sync::merkle::{BucketTree, Change, TreeKey};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tree = BucketTree::new(&TreeKey::new([7; 16]), 8)?;
    /// let [milk, bread] = [tree.key_hash(b"milk"), tree.key_hash(b"bread")];
    /// tree.update_batch(&[
    ///     Change { key_hash: milk, old: None, new: Some(1) },
    ///     Change { key_hash: bread, old: None, new: Some(1) },
    ///     Change { key_hash: milk, old: Some(1), new: Some(2) },
    /// ])?;
    /// assert_eq!(tree.root().count, 2);
    /// # Ok(()) }
    /// ```
    pub fn update_batch(&mut self, changes: &[Change]) -> Result<(), BatchError> {
        for (chunk, few) in changes.chunks(TOGETHER).enumerate() {
            let leaves = few.iter().map(|change| self.leaf_of(change.key_hash).value());
            self.levels.touch_leaves(leaves);
            for (place, change) in few.iter().enumerate() {
                let result = self.make(*change);
                if let Err(error) = result {
                    let at = chunk * TOGETHER + place;
                    self.undo(changes.get(..at).unwrap_or_default());
                    return Err(BatchError { at, error });
                }
            }
        }
        Ok(())
    }

    fn make(&mut self, change: Change) -> Result<(), super::TreeError> {
        let key_hash = change.key_hash;
        match (change.old, change.new) {
            (Some(old), Some(new)) => self.replace(key_hash, old, new),
            (None, Some(new)) => self.insert(key_hash, new),
            (Some(old), None) => self.remove(key_hash, old),
            (None, None) => Ok(()),
        }
    }

    /// Takes changes back that were made. That cannot be refused: each leads to a state that was
    /// there before.
    fn undo(&mut self, made: &[Change]) {
        for &Change { key_hash, old, new } in made.iter().rev() {
            let undone = self.make(Change { key_hash, old: new, new: old });
            debug_assert!(undone.is_ok(), "{undone:?}");
        }
    }
}
