//! From one key to the next, without a pause.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::error::TreeError;
use super::item::{Item, ItemSource};
use super::prefix::Prefix;
use super::prf::{KeyHash, TreeKey, TreePrf};
use super::resize::{Children, Growth};
use super::snapshot::TreeSnapshot;
use super::tree::{BucketTree, Root};

/// A tree under its old key together with the one under the new key that is being built.
///
/// Sessions go on under the old key until the new tree is complete, which takes as many small steps
/// as the owner likes; then both answer, so that peers can change over one by one. A peer under
/// another key than the snapshot's is told so in the first frame
/// ([`ProtocolError::KeyMismatch`](super::ProtocolError::KeyMismatch)), and the session can be
/// started again under the other one.
///
/// Costs while it lasts: a second tree, and a second update for every write.
///
/// ```
/// use crdt_sync::merkle::{BucketTree, Item, ItemSource, Prefix, Rotating, TreeKey};
///
/// const NAMES: [&[u8]; 2] = [b"milk", b"bread"];
/// struct Rows(Vec<Item>); // by the hashes under the old key
/// impl ItemSource for Rows {
///     fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
///         self.0.iter().filter(|item| part.contains(item.key_hash)).for_each(|item| f(*item));
///     }
/// }
///
/// # fn main() -> Result<(), crdt_sync::merkle::TreeError> {
/// let mut tree = BucketTree::new(&TreeKey::new([7; 16]), 4)?;
/// let mut rows = Rows(Vec::new());
/// for (handle, name) in (0..).zip(NAMES) {
///     let key_hash = tree.key_hash(name);
///     tree.insert(key_hash, 1)?;
///     rows.0.push(Item { handle, key_hash, version: 1 });
/// }
///
/// let mut rotating = Rotating::new(tree, &TreeKey::new([8; 16]));
/// rotating.replace(rotating.key_hashes(b"milk"), 1, 2)?; // writes go on
/// rows.0[0].version = 2;
/// while !rotating.step(&rows, 1, |item| NAMES[item.handle as usize])?.finished {}
///
/// let Ok(tree) = rotating.finish() else { panic!("it is complete") };
/// assert_eq!(tree.root().count, 2);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Rotating {
    old: BucketTree,
    new: BucketTree,
    /// How many leaves of the old tree are in the new one, from the first on.
    copied: u32,
}

/// An application key under both keys of a rotation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BothHashes {
    /// Under the old key.
    pub old: KeyHash,
    /// Under the new key.
    pub new: KeyHash,
}

impl Rotating {
    /// Begins a rotation to `key`. The new tree is empty and of the same size.
    ///
    /// A growth of the tree that has begun is given up.
    pub fn new(mut old: BucketTree, key: &TreeKey) -> Self {
        old.stop_growth();
        let new = BucketTree::empty(TreePrf::new(key), old.leaf_bits);
        Self { old, new, copied: 0 }
    }

    /// An application key under both keys. O(key length).
    pub fn key_hashes(&self, key: &[u8]) -> BothHashes {
        BothHashes { old: self.old.key_hash(key), new: self.new.key_hash(key) }
    }

    /// See [`BucketTree::insert`]; an error leaves both trees as they were.
    pub fn insert(&mut self, key: BothHashes, version: u128) -> Result<(), TreeError> {
        self.old.insert(key.old, version)?;
        if self.is_copied(key.old) {
            // Cannot fail: the new tree holds no more items than the old one.
            self.new.insert(key.new, version)?;
        }
        Ok(())
    }

    /// See [`BucketTree::remove`]; an error leaves both trees as they were.
    pub fn remove(&mut self, key: BothHashes, version: u128) -> Result<(), TreeError> {
        if self.is_copied(key.old) {
            self.new.remove(key.new, version)?;
        }
        let removed = self.old.remove(key.old, version);
        if removed.is_err() && self.is_copied(key.old) {
            self.new.insert(key.new, version)?;
        }
        removed
    }

    /// See [`BucketTree::replace`]; an error leaves both trees as they were.
    pub fn replace(&mut self, key: BothHashes, old: u128, new: u128) -> Result<(), TreeError> {
        self.remove(key, old)?;
        self.insert(key, new)
    }

    /// Copies the next `leaves` leaves of the old tree into the new one. O(items of these leaves).
    ///
    /// `source` shows the items, with their hashes under the old key, as they are now; `key` is
    /// asked once per item for its application key. A leaf whose items do not sum up to what the
    /// leaf says is [`TreeError::Stale`]: nothing of it is copied, and the next step begins there.
    pub fn step<K: AsRef<[u8]>>(
        &mut self,
        source: &dyn ItemSource,
        leaves: u32,
        mut key: impl FnMut(&Item) -> K,
    ) -> Result<Growth, TreeError> {
        let first = self.copied;
        let last = first.saturating_add(leaves).min(1 << self.old.leaf_bits);
        let mut read = 0;
        for leaf in first..last {
            let items = self.items_of(Prefix::new(self.old.leaf_bits, leaf), source)?;
            for item in &items {
                self.new.insert(self.new.key_hash(key(item).as_ref()), item.version)?;
            }
            self.copied = leaf + 1;
            read += items.len() as u64;
        }
        Ok(Growth { leaves: last - first, items: read, finished: self.is_complete() })
    }

    /// Whether the new tree holds everything.
    pub fn is_complete(&self) -> bool {
        self.copied == 1 << self.old.leaf_bits
    }

    /// The tree under the old key as it is now, see [`BucketTree::snapshot`].
    pub fn old_snapshot(&mut self) -> TreeSnapshot {
        self.old.snapshot()
    }

    /// The tree under the new key as it is now, once it is complete.
    pub fn new_snapshot(&mut self) -> Option<TreeSnapshot> {
        self.is_complete().then(|| self.new.snapshot())
    }

    /// The summary of all items under the old key. O(1).
    pub fn old_root(&self) -> Root {
        self.old.root()
    }

    /// Drops the old tree. Before the new one is complete the rotation comes back instead.
    pub fn finish(self) -> Result<BucketTree, Box<Self>> {
        if self.is_complete() { Ok(self.new) } else { Err(Box::new(self)) }
    }

    /// Gives the rotation up and drops the new tree.
    pub fn abandon(self) -> BucketTree {
        self.old
    }

    fn is_copied(&self, old: KeyHash) -> bool {
        self.old.leaf_of(old).value() < self.copied
    }

    /// The items of a leaf of the old tree, which agrees.
    fn items_of(&self, leaf: Prefix, source: &dyn ItemSource) -> Result<Vec<Item>, TreeError> {
        let mut items = Vec::new();
        source.for_each_in(leaf, &mut |item| items.push(item));
        let mut found = Children::default();
        for item in &items {
            found.add(leaf, item.key_hash, self.old.prf.item(item.key_hash, item.version))?;
        }
        if found.sum() != self.old.levels.leaf(leaf.value()) {
            return Err(TreeError::Stale { leaf });
        }
        Ok(items)
    }
}
