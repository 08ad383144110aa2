//! What follows every change of a cell: the hash tree, the sketch, and whatever else finds keys by something other than
//! themselves.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use replication_log::Lsn;
use smallvec::SmallVec;

use super::ItemKey;
use super::by_hash::{ByHash, Hashed};
use super::cells::Held;
use crate::cell::Cell;
use crate::merkle::{BucketTree, ItemSketch, KeyHash, Root, TreeError, TreeKey, TreeSnapshot};
use crate::scope::Scope;
use crate::sketch;

/// How many cells of a sketch are kept up: 24 KiB, which show about 1,500 differences. What differs more goes
/// by the tree, at a cost per difference that hardly matters then.
const SKETCH_CELLS: usize = 2_048;

/// Who must hear of every change of a partition's cells.
#[derive(Debug)]
pub(super) struct Mirrors {
    by_hash: ByHash,
    /// Documents that are deleted, by the record that changed them last.
    deleted: BTreeSet<(Lsn, ItemKey)>,
    tree: BucketTree,
    /// The same items as the tree's, so that few differences are found without walking it.
    sketch: Option<ItemSketch>,
    photograph: Option<Photograph>,
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

impl Mirrors {
    pub(super) fn new(tree_key: &TreeKey, leaf_bits: u8) -> Result<Self, TreeError> {
        Ok(Self {
            by_hash: ByHash::new(),
            deleted: BTreeSet::new(),
            tree: BucketTree::new(tree_key, leaf_bits)?,
            // There is one for every size that is allowed, and without one sessions go by the tree.
            sketch: ItemSketch::new(tree_key, SKETCH_CELLS).ok(),
            photograph: None,
            changes: None,
        })
    }

    /// A cell is held from now on under a key that is new here.
    pub(super) fn hold(&mut self, key: &ItemKey, cell: Cell, lsn: Lsn) -> Held {
        let (digest, hash) = (cell.digest(), self.hash_of(key));
        self.note(hash, key, None);
        mirrored(self.tree.insert(hash, digest));
        self.sketched(hash, None, Some(digest));
        self.by_hash.insert(Hashed { hash, digest, key: key.clone() });
        if cell.is_deleted() {
            self.deleted.insert((lsn, key.clone()));
        }
        self.note_change(key);
        Held { cell, lsn, digest, hash }
    }

    /// What is held under a key became another cell by this record; the rest of `held` speaks of the cell of before.
    pub(super) fn renew(&mut self, key: &ItemKey, held: &mut Held, lsn: Lsn) {
        let digest = held.cell.digest();
        self.note(held.hash, key, Some(held.digest));
        mirrored(self.tree.replace(held.hash, held.digest, digest));
        self.sketched(held.hash, Some(held.digest), Some(digest));
        self.by_hash.renew(held.hash, key, digest);
        self.undelete(key, held.lsn);
        if held.cell.is_deleted() {
            self.deleted.insert((lsn, key.clone()));
        }
        (held.lsn, held.digest) = (lsn, digest);
        self.note_change(key);
    }

    /// Nothing is held any more under a key.
    pub(super) fn release(&mut self, key: &ItemKey, held: &Held) {
        self.undelete(key, held.lsn);
        self.note_change(key);
        self.note(held.hash, key, Some(held.digest));
        mirrored(self.tree.remove(held.hash, held.digest));
        self.sketched(held.hash, Some(held.digest), None);
        self.by_hash.remove(held.hash, key);
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

    /// The tree as it is now, and its root. `within` is what is held in the scope, when that is not everything.
    pub(super) fn photograph<'h>(
        &mut self,
        scope: &Scope,
        within: Option<impl Iterator<Item = &'h Held>>,
    ) -> (TreeSnapshot, Root) {
        let (snapshot, root, sketch) = match within {
            None => {
                let sketch = self.sketch.as_mut().map(|sketch| sketch.cells().to_vec());
                (self.tree.snapshot(), self.tree.root(), sketch)
            }
            Some(within) => {
                let mut tree = self.tree.emptied();
                within.for_each(|held| mirrored(tree.insert(held.hash, held.digest)));
                (tree.snapshot(), tree.root(), None)
            }
        };
        self.photograph = Some(Photograph { changed: BTreeMap::new(), sketch, scope: scope.clone() });
        (snapshot, root)
    }

    pub(super) fn forget_photograph(&mut self) {
        self.photograph = None;
    }

    /// The sketch of the photograph.
    pub(super) fn photographed_sketch(&self) -> Option<&[sketch::Cell]> {
        self.photograph.as_ref()?.sketch.as_deref()
    }

    /// The items of the photograph, or of now when there is none, whose hashes lie between the two.
    pub(super) fn for_each_photographed(
        &self,
        (first, last): (KeyHash, KeyHash),
        f: &mut dyn FnMut(KeyHash, &ItemKey, u128),
    ) {
        let changed = self.photograph.as_ref().map(|photograph| &photograph.changed);
        let changed = changed.filter(|changed| !changed.is_empty());
        let scope = self.photograph.as_ref().map(|photograph| &photograph.scope);
        let is_shown = |key: &ItemKey| scope.is_none_or(|scope| scope.contains(key.collection, &key.key));
        self.by_hash.for_each_between(first, last, &mut |Hashed { hash, digest, key }| {
            let is_noted = || changed.is_some_and(|changed| changed.contains_key(&(*hash, key.clone())));
            if is_shown(key) && !is_noted() {
                f(*hash, key, *digest);
            }
        });
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

    /// Remembers what the photograph shows of a key that changes now, if nothing was remembered yet.
    fn note(&mut self, hash: KeyHash, key: &ItemKey, shown: Option<u128>) {
        if let Some(Photograph { changed, .. }) = &mut self.photograph {
            changed.entry((hash, key.clone())).or_insert(shown);
        }
    }

    /// The sketch has the items of the tree.
    fn sketched(&mut self, hash: KeyHash, old: Option<u128>, new: Option<u128>) {
        if let Some(sketch) = &mut self.sketch {
            sketch.note(hash, old, new);
        }
    }

    fn hash_of(&self, key: &ItemKey) -> KeyHash {
        let mut bytes = SmallVec::<[u8; 64]>::new();
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
