//! The cells of one partition, found by key, by keyed hash and by what differs.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;

use crdt_core::Change;
use replication_log::Lsn;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::conflicts::Conflicts;
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::checkpoint::{Images, Walked};
use crate::collection::{CollectionId, Kind};
use crate::merkle::{
    BucketTree, Item, ItemSketch, ItemSource, KeyHash, Prefix, Root, TreeError, TreeKey, TreeSnapshot,
};
use crate::scope::Scope;
use crate::sketch;

/// How many cells of a sketch are kept up: 24 KiB, which show about 1,500 differences. What differs more goes
/// by the tree, at a cost per difference that hardly matters then.
const SKETCH_CELLS: usize = 2_048;

/// A key together with the collection it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemKey {
    /// The collection.
    pub collection: CollectionId,
    /// The key within it.
    pub key: Bytes,
}

impl ItemKey {
    /// The key that sorts before all others.
    fn least() -> Self {
        Self { collection: CollectionId::LEAST, key: Bytes::default() }
    }
}

/// What is held under a key.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) cell: Cell,
    /// The record that changed it last: a reader may see it once that is durable, and what a session is shown of it
    /// rests on what was applied up to there.
    pub(crate) lsn: Lsn,
    pub(crate) digest: u128,
    hash: KeyHash,
}

/// All cells of a partition and the hash tree over them, which always agree.
#[derive(Debug)]
pub(crate) struct Cells {
    by_key: BTreeMap<ItemKey, Held>,
    /// Keys by keyed hash, so that the items of a leaf of the tree are one range. Two keys may share a hash.
    by_hash: BTreeMap<KeyHash, SmallVec<[ItemKey; 1]>>,
    /// Documents that are deleted, by the record that changed them last.
    deleted: BTreeSet<(Lsn, ItemKey)>,
    tree: BucketTree,
    /// The same items as the tree's, so that few differences are found without walking it.
    sketch: Option<ItemSketch>,
    photograph: Option<Photograph>,
    /// What a checkpoint that is being made still needs.
    images: Option<Images>,
    /// Which documents are in conflict.
    pub(crate) conflicts: Conflicts,
    /// Keys that changed since somebody asked, if anybody wants to know.
    changes: Option<BTreeSet<ItemKey>>,
}

/// What the tree and the sketch showed at one moment.
#[derive(Debug)]
struct Photograph {
    /// What the tree held for the keys that changed since, `None` for new ones.
    changed: BTreeMap<(KeyHash, ItemKey), Option<u128>>,
    sketch: Option<Vec<sketch::Cell>>,
    /// Which keys it shows.
    scope: Scope,
}

impl Cells {
    pub(crate) fn new(tree_key: &TreeKey, leaf_bits: u8) -> Result<Self, TreeError> {
        let tree = BucketTree::new(tree_key, leaf_bits)?;
        // There is one for every size that is allowed, and without one sessions go by the tree.
        let sketch = ItemSketch::new(tree_key, SKETCH_CELLS).ok();
        let (by_key, by_hash, deleted) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let (photograph, images, changes, conflicts) = (None, None, None, Conflicts::default());
        Ok(Self { by_key, by_hash, deleted, tree, sketch, photograph, images, conflicts, changes })
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

    /// The keys behind a handle of the photographed tree, nearly always one, and what each added to its root.
    pub(crate) fn photographed(&self, handle: u64) -> Vec<(ItemKey, Root)> {
        let first = u128::from(handle) << 64;
        let last = first | u128::from(u64::MAX);
        let mut keys = Vec::new();
        self.for_each_photographed(
            KeyHash::from_u128(first),
            KeyHash::from_u128(last),
            &mut |hash, key, version| {
                keys.push((key.clone(), self.tree.weight(hash, version)));
            },
        );
        keys
    }

    /// Changes what is held under a key, in place: a large cell is not copied. `change` says whether it did.
    pub(crate) fn change(
        &mut self,
        key: &ItemKey,
        kind: Kind,
        lsn: Lsn,
        change: impl FnOnce(&mut Cell) -> Change,
    ) -> Change {
        self.keep_image(key);
        let Some(held) = self.by_key.get_mut(key) else {
            let mut cell = Cell::vacant(kind);
            let changed = change(&mut cell);
            if changed.is_changed() {
                self.conflicts.note(key, &cell, lsn);
                if !cell.is_vacant() {
                    self.insert(key, cell, lsn);
                }
            }
            return changed;
        };
        let mut cell = core::mem::replace(&mut held.cell, Cell::vacant(kind));
        let changed = change(&mut cell);
        if changed.is_changed() {
            self.put(key, cell, lsn);
        } else if let Some(held) = self.by_key.get_mut(key) {
            held.cell = cell;
        }
        changed
    }

    /// Replaces what is held under a key; a vacant cell removes it.
    pub(crate) fn put(&mut self, key: &ItemKey, cell: Cell, lsn: Lsn) {
        self.keep_image(key);
        self.conflicts.note(key, &cell, lsn);
        if cell.is_vacant() {
            return self.remove(key);
        }
        let Some(held) = self.by_key.get_mut(key) else {
            return self.insert(key, cell, lsn);
        };
        let digest = cell.digest();
        note(&mut self.photograph, held.hash, key, Some(held.digest));
        mirrored(self.tree.replace(held.hash, held.digest, digest));
        sketched(&mut self.sketch, held.hash, Some(held.digest), Some(digest));
        // What is held may be out of its place by now, so it cannot be asked whether it is a deletion.
        if !self.deleted.is_empty() {
            self.deleted.remove(&(held.lsn, key.clone()));
        }
        if cell.is_deleted() {
            self.deleted.insert((lsn, key.clone()));
        }
        *held = Held { cell, lsn, digest, hash: held.hash };
        self.note_change(key);
    }

    /// Holds a cell under a key that is new here.
    fn insert(&mut self, key: &ItemKey, cell: Cell, lsn: Lsn) {
        let (digest, hash) = (cell.digest(), self.hash_of(key));
        note(&mut self.photograph, hash, key, None);
        mirrored(self.tree.insert(hash, digest));
        sketched(&mut self.sketch, hash, None, Some(digest));
        self.by_hash.entry(hash).or_default().push(key.clone());
        if cell.is_deleted() {
            self.deleted.insert((lsn, key.clone()));
        }
        self.by_key.insert(key.clone(), Held { cell, lsn, digest, hash });
        self.note_change(key);
    }

    /// Whether a deleted document is held.
    pub(crate) fn has_deleted(&self) -> bool {
        !self.deleted.is_empty()
    }

    /// The deleted documents that changed last at or before a record, the first `limit` of them.
    pub(crate) fn deleted_until(&self, lsn: Lsn, limit: usize) -> Vec<ItemKey> {
        let until = self.deleted.iter().take_while(|(changed, _)| *changed <= lsn);
        until.take(limit).map(|(_, key)| key.clone()).collect()
    }

    /// Takes a key out, whatever is held under it.
    pub(crate) fn forget(&mut self, key: &ItemKey, lsn: Lsn) {
        self.keep_image(key);
        self.conflicts.note(key, &Cell::vacant(Kind::Document), lsn);
        self.remove(key);
    }

    /// The digest and number of all cells.
    pub(crate) fn root(&self) -> Root {
        self.tree.root()
    }

    /// Remembers from now on which keys change, or no longer.
    pub(crate) fn track_changes(&mut self, wanted: bool) {
        self.changes = wanted.then(BTreeSet::new);
    }

    /// The keys that changed since this was called last.
    pub(crate) fn take_changes(&mut self) -> BTreeSet<ItemKey> {
        self.changes.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// The tree over the keys of a scope as it is now, and its root. Until
    /// [`forget_photograph`](Self::forget_photograph) this is what the cells show as an [`ItemSource`], while writes go
    /// on. O(1), or O(keys within) where the scope is not everything.
    pub(crate) fn photograph(&mut self, scope: &Scope) -> (TreeSnapshot, Root) {
        let (snapshot, root, sketch) = match scope.selectors() {
            None => {
                let sketch = self.sketch.as_mut().map(|sketch| sketch.cells().to_vec());
                (self.tree.snapshot(), self.tree.root(), sketch)
            }
            Some(selectors) => {
                let mut tree = self.tree.emptied();
                for selector in selectors {
                    let held = self.scan(selector.collection, selector.prefix.clone());
                    let within = held.take_while(|(key, _)| key.starts_with(&selector.prefix));
                    within.for_each(|(_, held)| mirrored(tree.insert(held.hash, held.digest)));
                }
                (tree.snapshot(), tree.root(), None)
            }
        };
        self.photograph = Some(Photograph { changed: BTreeMap::new(), sketch, scope: scope.clone() });
        (snapshot, root)
    }

    /// Nobody looks at the photograph any more.
    pub(crate) fn forget_photograph(&mut self) {
        self.photograph = None;
    }

    /// A checkpoint begins: what the cells hold now is kept until it is given out.
    pub(crate) fn begin_images(&mut self) {
        self.images = Some(Images::default());
    }

    /// The checkpoint walks on. Without one there is nothing to walk.
    pub(crate) fn walk_images(&mut self, effort: &mut usize) -> Walked {
        let Some(images) = &mut self.images else { return Walked::Done };
        let walked = images.walk(&self.by_key, effort);
        if walked == Walked::Done {
            self.images = None;
        }
        walked
    }

    /// The checkpoint is given up.
    pub(crate) fn forget_images(&mut self) {
        self.images = None;
    }

    /// How many keys are kept as they were.
    #[cfg(test)]
    pub(crate) fn images(&self) -> usize {
        self.images.as_ref().map_or(0, Images::len)
    }

    /// To be called before the key changes, and while its cell is in its place.
    fn keep_image(&mut self, key: &ItemKey) {
        if let Some(images) = &mut self.images {
            images.keep(key, self.by_key.get(key));
        }
    }

    fn note_change(&mut self, key: &ItemKey) {
        if let Some(changes) = &mut self.changes {
            changes.insert(key.clone());
        }
    }

    fn remove(&mut self, key: &ItemKey) {
        let Some(held) = self.by_key.remove(key) else {
            return;
        };
        self.deleted.remove(&(held.lsn, key.clone()));
        self.note_change(key);
        note(&mut self.photograph, held.hash, key, Some(held.digest));
        mirrored(self.tree.remove(held.hash, held.digest));
        sketched(&mut self.sketch, held.hash, Some(held.digest), None);
        if let Some(keys) = self.by_hash.get_mut(&held.hash) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.by_hash.remove(&held.hash);
            }
        }
    }

    /// The items of the photograph, or of now when there is none, whose hashes lie between the two.
    fn for_each_photographed(
        &self,
        first: KeyHash,
        last: KeyHash,
        f: &mut dyn FnMut(KeyHash, &ItemKey, u128),
    ) {
        let changed = self.photograph.as_ref().map(|photograph| &photograph.changed);
        let changed = changed.filter(|changed| !changed.is_empty());
        let scope = self.photograph.as_ref().map(|photograph| &photograph.scope);
        let is_shown = |key: &ItemKey| scope.is_none_or(|scope| scope.contains(key.collection, &key.key));
        for (&hash, keys) in self.by_hash.range(first..=last) {
            for key in keys.iter().filter(|key| is_shown(key)) {
                let noted = changed.and_then(|changed| changed.get(&(hash, key.clone())));
                if noted.is_none()
                    && let Some(held) = self.by_key.get(key)
                {
                    f(hash, key, held.digest);
                }
            }
        }
        let from = (first, ItemKey::least());
        let noted = changed.into_iter().flat_map(|changed| changed.range(from.clone()..));
        for ((hash, key), version) in noted.take_while(|((hash, _), _)| *hash <= last) {
            if let Some(version) = version
                && is_shown(key)
            {
                f(*hash, key, *version);
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

/// The items of the photograph. The handle of an item is the upper half of its keyed hash.
impl ItemSource for Cells {
    fn for_each_in(&self, part: Prefix, visit: &mut dyn FnMut(Item)) {
        self.for_each_photographed(part.start(), part.end(), &mut |key_hash, _, version| {
            let handle = (key_hash.as_u128() >> 64) as u64;
            visit(Item { handle, key_hash, version });
        });
    }

    fn sketch(&self) -> Option<&[sketch::Cell]> {
        self.photograph.as_ref()?.sketch.as_deref()
    }
}

/// The sketch has the items of the tree.
fn sketched(sketch: &mut Option<ItemSketch>, hash: KeyHash, old: Option<u128>, new: Option<u128>) {
    if let Some(sketch) = sketch {
        sketch.note(hash, old, new);
    }
}

/// Remembers what the photograph shows of a key that changes now, if nothing was remembered yet.
fn note(photograph: &mut Option<Photograph>, hash: KeyHash, key: &ItemKey, shown: Option<u128>) {
    if let Some(Photograph { changed, .. }) = photograph {
        changed.entry((hash, key.clone())).or_insert(shown);
    }
}
