//! What follows every change of a cell: the hash tree, the sketch, and whatever else finds keys by something other than
//! themselves.

use alloc::collections::BTreeSet;

use replication_log::Lsn;

use super::ItemKey;
use super::by_hash::{ByHash, Hashed};
use super::by_key::ByKey;
use super::cells::Held;
use super::item_sketch::LazySketch;
use super::photograph::Photograph;
use crate::cell::Cell;
use crate::merkle::{BucketTree, KeyHash, Root, TreeError, TreeKey, TreeSnapshot};
use crate::scope::Scope;
use crate::sketch;

/// Who must hear of every change of a partition's cells.
#[derive(Debug)]
pub(super) struct Mirrors {
    /// None until a session looks at single items.
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
        if let Some(photograph) = &mut self.photograph {
            photograph.comes(key);
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
        let item = self.by_hash.as_mut().and_then(|by_hash| by_hash.renew(held.hash, key, digest));
        let unseen_by = item.map(|item| item.unseen_by);
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
        let item = self.by_hash.as_mut().and_then(|by_hash| by_hash.remove(held.hash, key));
        self.note(key, held, item.map(|item| item.unseen_by));
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

    /// The tree as it is now, and its root. `within` is what is held in the scope when that is not everything.
    pub(super) fn photograph<'h>(
        &mut self,
        scope: &Scope,
        by_key: &ByKey,
        within: Option<impl Iterator<Item = &'h Held>>,
    ) -> (TreeSnapshot, Root) {
        let (is_everything, scope) = (within.is_none(), scope.clone());
        let (snapshot, root) = match within {
            None => (self.tree.snapshot(), self.tree.root()),
            Some(within) => {
                let mut tree = self.tree.emptied();
                within.for_each(|held| mirrored(tree.insert(held.hash, held.digest)));
                (tree.snapshot(), tree.root())
            }
        };
        self.photographs += 1;
        let is_at_hand = self.by_hash.is_some() && (self.sketch.is_kept() || !is_everything);
        self.photograph = Some(if is_at_hand || by_key.len() == 0 {
            let sketch = || self.sketch.cells(digests(by_key), &[]);
            Photograph::developed(scope, is_everything.then(sketch).flatten())
        } else {
            Photograph::undeveloped(scope)
        });
        (snapshot, root)
    }

    /// Sees to it that single items of the photograph can be looked at.
    pub(super) fn develop(&mut self, by_key: &ByKey) {
        let Some(photograph) = &mut self.photograph else { return };
        let since = photograph.develop(self.photographs, by_key, &mut self.by_hash);
        if let Some(since) = since.filter(|_| photograph.scope.is_everything()) {
            photograph.sketch = self.sketch.cells(digests(by_key), &since);
        }
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
        // A photograph that is developed and has no index behind it is one of nothing.
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

    /// Remembers what the photograph shows of a key that changes now, if it shows the key. `held` is what was held
    /// before, and `unseen_by` what the index, if there is one, says of the key. A key that was taken out and came back
    /// is new; what was remembered when it was taken out stays.
    fn note(&mut self, key: &ItemKey, held: &Held, unseen_by: Option<u64>) {
        if let Some(photograph) = &mut self.photograph {
            let is_new = match self.by_hash {
                Some(_) => unseen_by == Some(self.photographs),
                None => photograph.has_come(key),
            };
            if !is_new {
                photograph.note(held.hash, key, held.digest);
            }
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

/// What the sketch is made of.
fn digests(by_key: &ByKey) -> impl ExactSizeIterator<Item = (KeyHash, u128)> {
    by_key.iter().map(|(_, held)| (held.hash, held.digest))
}

/// The tree holds exactly one item per key, so it refuses a change only when there are 2^32 keys; the limit on
/// keys is below that.
fn mirrored(result: Result<(), TreeError>) {
    result.expect("the tree mirrors the cells");
}
