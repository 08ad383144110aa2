//! The cells of one partition, found by key, by keyed hash and by what differs.

use alloc::collections::BTreeSet;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use core::ops::Bound;

use crdt_core::Change;
use replication_log::Lsn;
use serde::{Deserialize, Serialize};

use super::by_key::ByKey;
use super::conflicts::Conflicts;
use super::mirrors::Mirrors;
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::checkpoint::{Images, Walked};
use crate::collection::{CollectionId, Kind};
use crate::merkle::{Item, ItemSource, KeyHash, Prefix, Root, TreeError, TreeKey, TreeSnapshot};
use crate::scope::{Scope, Selector};
use crate::sketch;

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
    pub(super) fn least() -> Self {
        Self { collection: CollectionId::LEAST, key: Bytes::default() }
    }
}

/// What is held under a key.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) cell: Cell,
    /// The record that changed it last, or that has the last entry of what it showed ahead of the frontier: a reader
    /// may see it once that is durable, and what a session is shown of it rests on what was applied up to there.
    pub(crate) lsn: Lsn,
    pub(crate) digest: u128,
    pub(super) hash: KeyHash,
}

/// All cells of a partition and what is kept up with them, which always agree.
#[derive(Debug)]
pub(crate) struct Cells {
    by_key: ByKey,
    mirrors: Mirrors,
    /// What a checkpoint that is being made still needs.
    images: Option<Images>,
    /// Which documents are in conflict.
    pub(crate) conflicts: Conflicts,
}

impl Cells {
    pub(crate) fn new(tree_key: &TreeKey, leaf_bits: u8) -> Result<Self, TreeError> {
        let mirrors = Mirrors::new(tree_key, leaf_bits)?;
        Ok(Self { by_key: ByKey::default(), mirrors, images: None, conflicts: Conflicts::default() })
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
        self.by_key.scan(collection, from)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ItemKey, &Held)> {
        self.by_key.iter()
    }

    /// The keys behind handles of the developed photograph, ascending, and what they added to its root together. Two
    /// keys may share a handle, hardly ever.
    pub(crate) fn photographed_behind(&self, handles: &[u64]) -> (Vec<ItemKey>, Root) {
        let (mut keys, mut weight) = (Vec::with_capacity(handles.len()), Root::default());
        for handle in handles {
            let first = u128::from(*handle) << 64;
            let hashes = (KeyHash::from_u128(first), KeyHash::from_u128(first | u128::from(u64::MAX)));
            self.mirrors.for_each_photographed(hashes, &mut |hash, key, digest| {
                keys.push(key.clone());
                weight = weight.with(self.mirrors.weight(hash, digest));
            });
        }
        keys.sort_unstable();
        (keys, weight)
    }

    /// The keys that the photograph shows, and those that came since, ascending. O(keys), in their own order: to find
    /// each by its hash and sort them takes several times as long.
    pub(crate) fn shown_or_new(&self) -> Vec<ItemKey> {
        let (by_key, mirrors) = (&self.by_key, &self.mirrors);
        let mut keys: Vec<_> = match mirrors.photographed_scope().and_then(Scope::selectors) {
            None => by_key.iter().map(|(key, _)| key.clone()).collect(),
            Some(selectors) => within(by_key, selectors).map(|(key, _)| key.clone()).collect(),
        };
        let held = keys.len();
        keys.extend(mirrors.noted().filter(|key| by_key.get(key).is_none()).cloned());
        if keys.len() > held {
            keys.sort_unstable();
        }
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
        let Self { by_key, mirrors, conflicts, .. } = self;
        match by_key.entry(key) {
            Entry::Vacant(place) => {
                let mut cell = Cell::vacant(kind);
                let changed = change(&mut cell);
                if changed.is_changed() {
                    conflicts.note(key, &cell, lsn);
                    if !cell.is_vacant() {
                        place.insert(mirrors.hold(key, cell, lsn));
                    }
                }
                changed
            }
            Entry::Occupied(mut place) => {
                let held = place.get_mut();
                let changed = change(&mut held.cell);
                if changed.is_changed() {
                    conflicts.note(key, &held.cell, lsn);
                    if held.cell.is_vacant() {
                        mirrors.release(key, &place.remove());
                    } else {
                        mirrors.renew(key, held, lsn);
                    }
                }
                changed
            }
        }
    }

    /// What is held under a key rests on this record, too, although the record left it as it was.
    pub(crate) fn rest_on(&mut self, key: &ItemKey, lsn: Lsn) {
        self.keep_image(key);
        if let Entry::Occupied(mut place) = self.by_key.entry(key) {
            self.mirrors.rest_on(key, place.get_mut(), lsn);
        }
    }

    /// Replaces what is held under a key; a vacant cell removes it.
    pub(crate) fn put(&mut self, key: &ItemKey, cell: Cell, lsn: Lsn) {
        self.keep_image(key);
        self.conflicts.note(key, &cell, lsn);
        if cell.is_vacant() {
            return self.remove(key);
        }
        match self.by_key.entry(key) {
            Entry::Vacant(place) => {
                place.insert(self.mirrors.hold(key, cell, lsn));
            }
            Entry::Occupied(mut place) => {
                let held = place.get_mut();
                held.cell = cell;
                self.mirrors.renew(key, held, lsn);
            }
        }
    }

    /// Whether a deleted document is held.
    pub(crate) fn has_deleted(&self) -> bool {
        self.mirrors.has_deleted()
    }

    /// The deleted documents that changed last at or before a record, the first `limit` of them.
    pub(crate) fn deleted_until(&self, lsn: Lsn, limit: usize) -> Vec<ItemKey> {
        let until = self.mirrors.deleted().take_while(|(changed, _)| *changed <= lsn);
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
        self.mirrors.root()
    }

    /// Remembers from now on which keys change, or no longer.
    pub(crate) fn track_changes(&mut self, wanted: bool) {
        self.mirrors.track_changes(wanted);
    }

    /// The keys that changed since this was called last.
    pub(crate) fn take_changes(&mut self) -> BTreeSet<ItemKey> {
        self.mirrors.take_changes()
    }

    /// The tree over the keys of a scope as it is now, and its root. Until
    /// [`forget_photograph`](Self::forget_photograph) this is what the cells show as an [`ItemSource`], while writes go
    /// on. O(1), or O(keys within) where the scope is not everything. Who looks at single items of it
    /// [develops](Self::develop) it before.
    pub(crate) fn photograph(&mut self, scope: &Scope) -> (TreeSnapshot, Root) {
        let Self { by_key, mirrors, .. } = self;
        let held = |selectors| within(by_key, selectors).map(|(_, held)| held);
        let within = scope.selectors().map(held);
        mirrors.photograph(scope, by_key, within)
    }

    /// Sees to it that single items of the photograph can be looked at. O(keys) the first time, and O(1) from then on.
    pub(crate) fn develop(&mut self) {
        self.mirrors.develop(&self.by_key);
    }

    /// Nobody looks at the photograph any more.
    pub(crate) fn forget_photograph(&mut self) {
        self.mirrors.forget_photograph();
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

    fn remove(&mut self, key: &ItemKey) {
        if let Some(held) = self.by_key.remove(key) {
            self.mirrors.release(key, &held);
        }
    }
}

/// What is held under the keys that selectors name, ascending.
fn within<'c>(by_key: &'c ByKey, selectors: &'c [Selector]) -> impl Iterator<Item = (&'c ItemKey, &'c Held)> {
    selectors.iter().flat_map(|Selector { collection, prefix }| {
        let start = ItemKey { collection: *collection, key: prefix.clone() };
        let held = by_key.iter_from(Bound::Included(&start));
        held.take_while(|(item, _)| item.collection == *collection && item.key.starts_with(prefix))
    })
}

/// The items of the photograph once it is developed, and else none. The handle of an item is the upper half of its
/// keyed hash.
impl ItemSource for Cells {
    fn for_each_in(&self, part: Prefix, visit: &mut dyn FnMut(Item)) {
        self.mirrors.for_each_photographed((part.start(), part.end()), &mut |key_hash, _, version| {
            let handle = (key_hash.as_u128() >> 64) as u64;
            visit(Item { handle, key_hash, version });
        });
    }

    fn sketch(&self) -> Option<&[sketch::Cell]> {
        self.mirrors.photographed_sketch()
    }
}
