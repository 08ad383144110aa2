//! The cells of one partition, found by key, by keyed hash and by what differs.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

use replication_log::Lsn;
use smallvec::SmallVec;

use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::CollectionId;
use crate::merkle::{BucketTree, Item, ItemSource, KeyHash, Prefix, Root, TreeError, TreeKey, TreeSnapshot};

/// A key together with the collection it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    /// The collection.
    pub collection: CollectionId,
    /// The key within it.
    pub key: Bytes,
}

/// What is held under a key.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) cell: Cell,
    /// The record that changed it last: a reader may see it once that is durable.
    pub(crate) lsn: Lsn,
    digest: u128,
    hash: KeyHash,
}

/// All cells of a partition and the hash tree over them, which always agree.
#[derive(Debug)]
pub(crate) struct Cells {
    by_key: BTreeMap<ItemKey, Held>,
    /// Keys by keyed hash, so that the items of a leaf of the tree are one range. Two keys may share a hash.
    by_hash: BTreeMap<KeyHash, SmallVec<[ItemKey; 1]>>,
    tree: BucketTree,
}

impl Cells {
    pub(crate) fn new(tree_key: &TreeKey, leaf_bits: u8) -> Result<Self, TreeError> {
        let tree = BucketTree::new(tree_key, leaf_bits)?;
        Ok(Self { by_key: BTreeMap::new(), by_hash: BTreeMap::new(), tree })
    }

    pub(crate) fn get(&self, key: &ItemKey) -> Option<&Held> {
        self.by_key.get(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The cells of a collection in key order, from `from` on.
    pub(crate) fn scan(
        &self,
        collection: CollectionId,
        from: Bytes,
    ) -> impl Iterator<Item = (&Bytes, &Held)> {
        let start = Bound::Included(ItemKey { collection, key: from });
        self.by_key
            .range((start, Bound::Unbounded))
            .take_while(move |(item, _)| item.collection == collection)
            .map(|(item, held)| (&item.key, held))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ItemKey, &Held)> {
        self.by_key.iter()
    }

    /// The keys behind a handle that a tree session was given; nearly always one.
    pub(crate) fn keys_of(&self, handle: u64) -> impl Iterator<Item = &ItemKey> {
        let first = u128::from(handle) << 64;
        let last = first | u128::from(u64::MAX);
        let range = KeyHash::from_u128(first)..=KeyHash::from_u128(last);
        self.by_hash.range(range).flat_map(|(_, keys)| keys)
    }

    /// Replaces what is held under a key; a vacant cell removes it.
    pub(crate) fn put(&mut self, key: &ItemKey, cell: Cell, lsn: Lsn) {
        if cell.is_vacant() {
            return self.remove(key);
        }
        let digest = cell.digest();
        if let Some(held) = self.by_key.get_mut(key) {
            mirrored(self.tree.replace(held.hash, held.digest, digest));
            *held = Held { cell, lsn, digest, hash: held.hash };
            return;
        }
        let hash = self.hash_of(key);
        mirrored(self.tree.insert(hash, digest));
        self.by_hash.entry(hash).or_default().push(key.clone());
        self.by_key.insert(key.clone(), Held { cell, lsn, digest, hash });
    }

    /// What a key in this state adds to the tree's root.
    pub(crate) fn weight(&self, key: &ItemKey, cell: &Cell) -> Root {
        if cell.is_vacant() {
            return Root::default();
        }
        self.tree.weight(self.hash_of(key), cell.digest())
    }

    /// What a key adds to the tree's root now.
    pub(crate) fn weight_of(&self, key: &ItemKey) -> Option<Root> {
        self.get(key).map(|held| self.tree.weight(held.hash, held.digest))
    }

    /// The digest and number of all cells.
    pub(crate) fn root(&self) -> Root {
        self.tree.root()
    }

    /// The tree as it is now, stable while writes go on.
    pub(crate) fn snapshot(&mut self) -> TreeSnapshot {
        self.tree.snapshot()
    }

    fn remove(&mut self, key: &ItemKey) {
        let Some(held) = self.by_key.remove(key) else {
            return;
        };
        mirrored(self.tree.remove(held.hash, held.digest));
        if let Some(keys) = self.by_hash.get_mut(&held.hash) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.by_hash.remove(&held.hash);
            }
        }
    }

    fn hash_of(&self, key: &ItemKey) -> KeyHash {
        let mut bytes = Vec::with_capacity(8 + key.key.len());
        bytes.extend_from_slice(key.collection.as_bytes());
        bytes.extend_from_slice(&key.key);
        self.tree.key_hash(&bytes)
    }
}

/// The tree holds exactly one item per key, so it refuses a change only when there are 2^32 keys; the limit on
/// keys is below that.
fn mirrored(result: Result<(), TreeError>) {
    result.expect("the tree mirrors the cells");
}

/// The handle of an item is the upper half of its keyed hash.
impl ItemSource for Cells {
    fn for_each_in(&self, part: Prefix, visit: &mut dyn FnMut(Item)) {
        for (&key_hash, keys) in self.by_hash.range(part.start()..=part.end()) {
            for held in keys.iter().filter_map(|key| self.by_key.get(key)) {
                let handle = (key_hash.as_u128() >> 64) as u64;
                visit(Item { handle, key_hash, version: held.digest });
            }
        }
    }
}
