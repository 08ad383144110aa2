//! What a partition showed at one moment, for a session.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::ItemKey;
use super::by_hash::{ByHash, Hashed};
use super::by_key::ByKey;
use super::item_sketch::Change;
use crate::merkle::KeyHash;
use crate::scope::Scope;
use crate::sketch;

/// What the tree and the sketch showed at one moment: what changed since is noted.
///
/// It is taken when a session begins, and many sessions end before anybody looks at single items: one side holds
/// nothing, or both hold the same. So an index of the keys by hash, or a sketch, that is not there yet is not made
/// until then: it is *developed* when somebody is about to look.
#[derive(Debug)]
pub(super) struct Photograph {
    /// What the tree held for the keys that changed since. Keys that are new since then have it written beside them
    /// where they are found by hash: whoever is filled by a session has no others.
    pub(super) changed: BTreeMap<(KeyHash, ItemKey), u128>,
    /// As long as it is not developed, the keys that came since.
    came: Option<BTreeSet<ItemKey>>,
    pub(super) sketch: Option<Vec<sketch::Cell>>,
    /// Which keys it shows.
    pub(super) scope: Scope,
}

impl Photograph {
    /// One that is developed already: index and sketch are there, or nothing is to be seen.
    pub(super) fn developed(scope: Scope, sketch: Option<Vec<sketch::Cell>>) -> Self {
        Self { changed: BTreeMap::new(), came: None, sketch, scope }
    }

    /// One of something for which index or sketch are not there.
    pub(super) fn undeveloped(scope: Scope) -> Self {
        Self { changed: BTreeMap::new(), came: Some(BTreeSet::new()), sketch: None, scope }
    }

    /// A key came.
    pub(super) fn comes(&mut self, key: &ItemKey) {
        if let Some(came) = &mut self.came {
            came.insert(key.clone());
        }
    }

    /// Whether a key came since, where there is no index that would know: of a photograph of nothing all did.
    pub(super) fn has_come(&self, key: &ItemKey) -> bool {
        self.came.as_ref().is_none_or(|came| came.contains(key))
    }

    /// Remembers what is shown of a key that changes now, if nothing was remembered yet.
    pub(super) fn note(&mut self, hash: KeyHash, key: &ItemKey, digest: u128) {
        self.changed.entry((hash, key.clone())).or_insert(digest);
    }

    /// Develops the photograph of this number, if it is not: says what became of the keys since, and makes an `index`
    /// of what is held now, unless there is one. O(keys).
    pub(super) fn develop(
        &mut self,
        number: u64,
        by_key: &ByKey,
        index: &mut Option<ByHash>,
    ) -> Option<Vec<Change>> {
        let came = self.came.take()?;
        let unseen_by = |key| if came.contains(key) { number } else { 0 };
        let hashed = by_key.iter().map(|(key, held)| Hashed {
            hash: held.hash,
            digest: held.digest,
            key: key.clone(),
            unseen_by: unseen_by(key),
        });
        index.get_or_insert_with(|| ByHash::of(hashed, by_key.len()));

        let now = |key| by_key.get(key).map(|held| held.digest);
        let changed = self.changed.iter().map(|((hash, key), then)| (*hash, Some(*then), now(key)));
        let came = came.iter().filter_map(|key| {
            let held = by_key.get(key)?;
            // What was taken out and came back is noted.
            let is_noted = self.changed.contains_key(&(held.hash, key.clone()));
            (!is_noted).then_some((held.hash, None, Some(held.digest)))
        });
        Some(changed.chain(came).collect())
    }
}
