//! What follows every change of a cell: the hash tree, the sketch, and whatever else finds keys by something other than
//! themselves.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use replication_log::Lsn;

use super::ItemKey;
use super::by_hash::{ByHash, Hashed};
use super::cells::Held;
use super::item_sketch::LazySketch;
use crate::cell::Cell;
use crate::merkle::{BucketTree, KeyHash, Root, TreeError, TreeKey, TreeSnapshot};
use crate::scope::Scope;
use crate::sketch;

/// Who must hear of every change of a partition's cells.
#[derive(Debug)]
pub(super) struct Mirrors {
    /// None until a session begins here while anything is held.
    by_hash: Option<ByHash>,
    /// Documents that are deleted, by the record that changed them last.
    deleted: BTreeSet<(Lsn, ItemKey)>,
    tree: BucketTree,
    /// The same items as the tree's, so that few differences are found without walking it.
    sketch: LazySketch,
    photograph: Option<Photograph>,
    /// How many photographs were taken; the number of the last one.
    photographs: u64,
    /// Keys that changed since somebody asked, if anybody wants to know.
    changes: Option<BTreeSet<ItemKey>>,
}

/// What the tree and the sketch showed at one moment.
#[derive(Debug)]
struct Photograph {
    /// What the tree held for the keys that changed since. Keys that are new since then have it written beside them
    /// where they are found by hash: whoever is filled by a session has no others.
    changed: BTreeMap<(KeyHash, ItemKey), u128>,
    sketch: Option<Vec<sketch::Cell>>,
    /// Which keys it shows.
    scope: Scope,
}

impl Mirrors {
    pub(super) fn new(tree_key: &TreeKey, leaf_bits: u8) -> Result<Self, TreeError> {
        Ok(Self {
            by_hash: None,
            deleted: BTreeSet::new(),
            tree: BucketTree::new(tree_key, leaf_bits)?,
            sketch: LazySketch::new(tree_key),
            photograph: None,
            photographs: 0,
            changes: None,
        })
    }

    /// A cell is held from now on under a key that is new here.
    pub(super) fn hold(&mut self, key: &ItemKey, cell: Cell, lsn: Lsn) -> Held {
        let (digest, hash) = (cell.digest(), self.hash_of(key));
        mirrored(self.tree.insert(hash, digest));
        self.sketch.note(hash, None, Some(digest));
        if let Some(by_hash) = &mut self.by_hash {
            let unseen_by = if self.photograph.is_some() { self.photographs } else { 0 };
            by_hash.insert(Hashed { hash, digest, key: key.clone(), unseen_by });
        }
        if cell.is_deleted() {
            self.deleted.insert((lsn, key.clone()));
        }
        self.note_change(key);
        Held { cell, lsn, digest, hash }
    }

    /// What is held under a key became another cell by this record; the rest of `held` speaks of the cell of before.
    pub(super) fn renew(&mut self, key: &ItemKey, held: &mut Held, lsn: Lsn) {
        let digest = held.cell.digest();
        mirrored(self.tree.replace(held.hash, held.digest, digest));
        self.sketch.note(held.hash, Some(held.digest), Some(digest));
        let unseen_by = match &mut self.by_hash {
            Some(by_hash) => by_hash.renew(held.hash, key, digest).map(|item| item.unseen_by),
            None => self.unseen_by_all(),
        };
        self.note(key, held, unseen_by);
        held.digest = digest;
        self.rest_on(key, held, lsn);
        self.note_change(key);
    }

    /// What is held under a key rests on this record from here on.
    pub(super) fn rest_on(&mut self, key: &ItemKey, held: &mut Held, lsn: Lsn) {
        self.undelete(key, held.lsn);
        if held.cell.is_deleted() {
            self.deleted.insert((lsn, key.clone()));
        }
        held.lsn = lsn;
    }

    /// Nothing is held any more under a key.
    pub(super) fn release(&mut self, key: &ItemKey, held: &Held) {
        self.undelete(key, held.lsn);
        self.note_change(key);
        mirrored(self.tree.remove(held.hash, held.digest));
        self.sketch.note(held.hash, Some(held.digest), None);
        let unseen_by = match &mut self.by_hash {
            Some(by_hash) => by_hash.remove(held.hash, key).map(|item| item.unseen_by),
            None => self.unseen_by_all(),
        };
        self.note(key, held, unseen_by);
    }

    pub(super) fn has_deleted(&self) -> bool {
        !self.deleted.is_empty()
    }

    /// The deleted documents, by the record that changed them last.
    pub(super) fn deleted(&self) -> impl Iterator<Item = &(Lsn, ItemKey)> {
        self.deleted.iter()
    }

    pub(super) fn root(&self) -> Root {
        self.tree.root()
    }

    /// What an item adds to the root.
    pub(super) fn weight(&self, hash: KeyHash, digest: u128) -> Root {
        self.tree.weight(hash, digest)
    }

    pub(super) fn track_changes(&mut self, wanted: bool) {
        self.changes = wanted.then(BTreeSet::new);
    }

    pub(super) fn take_changes(&mut self) -> BTreeSet<ItemKey> {
        self.changes.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// The tree as it is now, and its root. `held` is all that is held, and `within` what is held in the scope when that
    /// is not everything.
    pub(super) fn photograph<'h>(
        &mut self,
        scope: &Scope,
        held: impl ExactSizeIterator<Item = (&'h ItemKey, &'h Held)> + Clone,
        within: Option<impl Iterator<Item = &'h Held>>,
    ) -> (TreeSnapshot, Root) {
        if self.by_hash.is_none() && held.len() > 0 {
            let hashed = |(key, &Held { hash, digest, .. }): (&ItemKey, &Held)| Hashed {
                hash,
                digest,
                key: key.clone(),
                unseen_by: 0,
            };
            self.by_hash = Some(ByHash::of(held.clone().map(hashed), held.len()));
        }
        let (snapshot, root, sketch) = match within {
            None => {
                let sketch = self.sketch.cells(held.map(|(_, held)| (held.hash, held.digest)));
                (self.tree.snapshot(), self.tree.root(), sketch)
            }
            Some(within) => {
                let mut tree = self.tree.emptied();
                within.for_each(|held| mirrored(tree.insert(held.hash, held.digest)));
                (tree.snapshot(), tree.root(), None)
            }
        };
        self.photographs += 1;
        self.photograph = Some(Photograph { changed: BTreeMap::new(), sketch, scope: scope.clone() });
        (snapshot, root)
    }

    pub(super) fn forget_photograph(&mut self) {
        self.photograph = None;
    }

    /// Which keys the photograph shows.
    pub(super) fn photographed_scope(&self) -> Option<&Scope> {
        self.photograph.as_ref().map(|photograph| &photograph.scope)
    }

    /// The keys that changed since the photograph was taken and that it shows, held or not any more.
    pub(super) fn noted(&self) -> impl Iterator<Item = &ItemKey> {
        let photograph = self.photograph.iter();
        photograph.flat_map(|Photograph { changed, scope, .. }| {
            let noted = changed.keys().map(|(_, key)| key);
            noted.filter(|key| scope.contains(key.collection, &key.key))
        })
    }

    /// The sketch of the photograph.
    pub(super) fn photographed_sketch(&self) -> Option<&[sketch::Cell]> {
        self.photograph.as_ref()?.sketch.as_deref()
    }

    /// The items of the photograph whose hashes lie between the two.
    pub(super) fn for_each_photographed(
        &self,
        (first, last): (KeyHash, KeyHash),
        f: &mut dyn FnMut(KeyHash, &ItemKey, u128),
    ) {
        // A photograph without an index behind it is one of nothing.
        let (Some(photograph), Some(by_hash)) = (&self.photograph, &self.by_hash) else { return };
        let Photograph { changed, scope, .. } = photograph;
        let is_shown = |key: &ItemKey| scope.contains(key.collection, &key.key);
        by_hash.for_each_between(first, last, &mut |Hashed { hash, digest, key, unseen_by }| {
            let is_noted = || !changed.is_empty() && changed.contains_key(&(*hash, key.clone()));
            if *unseen_by != self.photographs && is_shown(key) && !is_noted() {
                f(*hash, key, *digest);
            }
        });
        let noted = changed.range((first, ItemKey::least())..);
        for ((hash, key), version) in noted.take_while(|((hash, _), _)| *hash <= last) {
            if is_shown(key) {
                f(*hash, key, *version);
            }
        }
    }

    /// By which photograph keys are not shown that came while there was no index: a photograph of anything makes one.
    fn unseen_by_all(&self) -> Option<u64> {
        self.photograph.as_ref().map(|_| self.photographs)
    }

    /// What is held is no deletion any more, if it was one. Most of the time there is none.
    fn undelete(&mut self, key: &ItemKey, lsn: Lsn) {
        if !self.deleted.is_empty() {
            self.deleted.remove(&(lsn, key.clone()));
        }
    }

    fn note_change(&mut self, key: &ItemKey) {
        if let Some(changes) = &mut self.changes {
            changes.insert(key.clone());
        }
    }

    /// Remembers what the photograph shows of a key that changes now, if it shows the key and nothing was remembered
    /// yet. `held` is what was held before. A key that was taken out and came back is new; what was remembered when it
    /// was taken out stays.
    fn note(&mut self, key: &ItemKey, held: &Held, unseen_by: Option<u64>) {
        if let Some(Photograph { changed, .. }) = &mut self.photograph
            && unseen_by != Some(self.photographs)
        {
            changed.entry((held.hash, key.clone())).or_insert(held.digest);
        }
    }

    fn hash_of(&self, key: &ItemKey) -> KeyHash {
        let (collection, key) = (key.collection.as_bytes(), &key.key[..]);
        let mut together = [0; 64];
        let len = collection.len() + key.len();
        let Some(room) = together.get_mut(collection.len()..len) else {
            return self.tree.key_hash(&[collection, key].concat());
        };
        room.copy_from_slice(key);
        together[..collection.len()].copy_from_slice(collection);
        self.tree.key_hash(&together[..len])
    }
}

/// The tree holds exactly one item per key, so it refuses a change only when there are 2^32 keys; the limit on
/// keys is below that.
fn mirrored(result: Result<(), TreeError>) {
    result.expect("the tree mirrors the cells");
}
