//! What a map keeps beside its entries to be fast, and does without as long as it is small.

use alloc::boxed::Box;
use core::mem::{self, size_of, size_of_val};

use super::DotMap;
use super::index::Index;
use crate::dotted::{DotStore, StoreDigest, b_tree_bytes};
use crate::fingerprint::sum;
use crate::heap::owned_by;
use crate::{CanonicalBytes, FingerprintWriter, HeapSize, VersionDigest};

/// Neither part says anything that the entries do not say.
///
/// Whoever changes entries in several steps takes the parts out meanwhile: a panic in a key's `Ord` or in a store
/// then leaves a map without them, and none that believes what is not so.
#[derive(Clone)]
pub(super) struct Kept<K, S> {
    pub(super) index: Option<Box<Index<K>>>,
    pub(super) tracked: Option<Box<Tracked<K, S>>>,
}

impl<K, S> Kept<K, S> {
    pub(super) const fn nothing() -> Self {
        Self { index: None, tracked: None }
    }

    /// Notes that all keys are gone.
    pub(super) fn clear(&mut self) {
        self.index = None;
        if let Some(tracked) = &mut self.tracked {
            tracked.sum = 0;
        }
    }
}

impl<K: Ord + Clone, S: DotStore> Kept<K, S> {
    /// Notes that a key came, went, or has another store.
    pub(super) fn restate(&mut self, key: &K, before: Option<&S>, after: Option<&S>) {
        let Self { mut index, mut tracked } = mem::replace(self, Self::nothing());
        if let Some(tracked) = &mut tracked {
            if let Some(before) = before {
                tracked.subtract(key, before);
            }
            if let Some(after) = after {
                tracked.add(key, after);
            }
        }
        index = index.and_then(|mut index| index.restate(key, before, after).then_some(index));
        *self = Self { index, tracked };
    }
}

/// A version digest that is kept current.
///
/// The function is taken where `K: CanonicalBytes` and `S: StoreDigest` are known, so that nothing else here has to
/// ask for them.
pub(super) struct Tracked<K, S> {
    sum: u128,
    part: fn(&K, &S) -> u128,
}

// Derived, both would ask the same of `K` and `S`.
impl<K, S> Clone for Tracked<K, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, S> Copy for Tracked<K, S> {}

impl<K, S> Tracked<K, S> {
    pub(super) fn add(&mut self, key: &K, store: &S) {
        self.sum = self.sum.wrapping_add((self.part)(key, store));
    }

    pub(super) fn subtract(&mut self, key: &K, store: &S) {
        self.sum = self.sum.wrapping_sub((self.part)(key, store));
    }

    /// Starts anew with the entries of `map`.
    pub(super) fn of(&self, map: &DotMap<K, S>) -> Self {
        Self { sum: sum(map.iter().map(|(key, store)| (self.part)(key, store))), ..*self }
    }

    pub(super) fn is_that_of(&self, map: &DotMap<K, S>) -> bool {
        self.of(map).sum == self.sum
    }
}

impl<K: CanonicalBytes + Ord + Clone, S: StoreDigest> DotMap<K, S> {
    /// Keeps the [store digest](StoreDigest::store_digest) current from now on; asking for it is O(1) then. Copies keep
    /// it, too.
    ///
    /// The price is that whatever changes a key digests what is under that key, twice: before and afterwards. O(live
    /// dots) now.
    pub fn track_digest(&mut self) {
        let tracked = Tracked { sum: 0, part: part_under_root::<K, S> }.of(self);
        self.kept.tracked = Some(Box::new(tracked));
    }
}

/// The parts under one key of a map that is filed under nothing.
fn part_under_root<K: CanonicalBytes, S: StoreDigest>(key: &K, store: &S) -> u128 {
    digest_part(&FingerprintWriter::new(*b"dotted.."), key, store)
}

fn digest_part<K: CanonicalBytes, S: StoreDigest>(path: &FingerprintWriter, key: &K, store: &S) -> u128 {
    let mut inner = path.clone();
    inner.write(key);
    store.digest_parts(&inner)
}

impl<K: CanonicalBytes + Ord + Clone, S: StoreDigest> StoreDigest for DotMap<K, S> {
    fn digest_parts(&self, path: &FingerprintWriter) -> u128 {
        sum(self.iter().map(|(key, store)| digest_part(path, key, store)))
    }

    /// O(1) if it is [tracked](DotMap::track_digest).
    fn store_digest(&self) -> u128 {
        match &self.kept.tracked {
            Some(tracked) => tracked.sum,
            None => self.digest_parts(&FingerprintWriter::new(*b"dotted..")),
        }
    }
}

impl<K: CanonicalBytes + Ord + Clone, S: StoreDigest> VersionDigest for DotMap<K, S> {
    fn version_digest(&self) -> u128 {
        self.store_digest()
    }
}

impl<K: HeapSize, S: HeapSize> HeapSize for DotMap<K, S> {
    fn heap_size(&self) -> usize {
        let index = |index: &Index<K>| size_of::<Index<K>>() + index.heap_size();
        b_tree_bytes(self.len(), size_of::<(K, S)>())
            + owned_by(self.iter().map(|(key, _)| key))
            + owned_by(self.iter().map(|(_, store)| store))
            + self.kept.index.as_deref().map_or(0, index)
            + self.kept.tracked.as_deref().map_or(0, size_of_val)
    }
}
