//! Cells in the order of their keys.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use core::cmp::Ordering;
use core::ops::Bound;

use super::ItemKey;
use super::cells::Held;
use crate::bytes::Bytes;
use crate::collection::CollectionId;

/// What is held under each key, ascending.
#[derive(Debug, Default)]
pub(crate) struct ByKey {
    cells: BTreeMap<Place, Held>,
}

/// A key with its beginning beside it, so that a search hardly ever follows the pointer to the rest: that would be a
/// miss of the cache for each of the twenty keys that it looks at. Ordered as the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The first bytes of the key, zeros behind its end.
    beginning: u64,
    item: ItemKey,
}

impl ByKey {
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    pub(super) fn get(&self, key: &ItemKey) -> Option<&Held> {
        self.cells.get(&Place::of(key))
    }

    /// The place of a key, whether anything is held there or not.
    pub(super) fn entry(&mut self, key: &ItemKey) -> Entry<'_, Place, Held> {
        self.cells.entry(Place::of(key))
    }

    pub(super) fn remove(&mut self, key: &ItemKey) -> Option<Held> {
        self.cells.remove(&Place::of(key))
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&ItemKey, &Held)> {
        self.cells.iter().map(|(place, held)| (&place.item, held))
    }

    /// The cells of a collection from a key on, ascending.
    pub(super) fn scan(
        &self,
        collection: CollectionId,
        from: Bytes,
    ) -> impl Iterator<Item = (&Bytes, &Held)> {
        let start = ItemKey { collection, key: from };
        self.iter_from(Bound::Included(&start))
            .take_while(move |(item, _)| item.collection == collection)
            .map(|(item, held)| (&item.key, held))
    }

    /// The cells from a key on, ascending.
    pub(crate) fn iter_from<'c>(
        &'c self,
        start: Bound<&ItemKey>,
    ) -> impl Iterator<Item = (&'c ItemKey, &'c Held)> + use<'c> {
        let range = self.cells.range((start.map(Place::of), Bound::Unbounded));
        range.map(|(place, held)| (&place.item, held))
    }
}

impl Place {
    fn of(item: &ItemKey) -> Self {
        let mut beginning = [0; 8];
        let length = item.key.len().min(beginning.len());
        beginning[..length].copy_from_slice(&item.key[..length]);
        Self { beginning: u64::from_be_bytes(beginning), item: item.clone() }
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let collections = self.item.collection.cmp(&other.item.collection);
        // Keys whose beginnings differ, zeros included, are in the order of these.
        let beginnings = collections.then(self.beginning.cmp(&other.beginning));
        beginnings.then_with(|| self.item.key.cmp(&other.item.key))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::collection::Collection;

    fn key() -> impl Strategy<Value = ItemKey> {
        let collections = prop::sample::select(["one", "other"].as_slice());
        // Few different bytes, zeros among them, so that many keys begin alike.
        (collections, prop::collection::vec(0_u8..3, 0..12)).prop_map(|(collection, key)| ItemKey {
            collection: Collection::registers(collection).id(),
            key: key.into(),
        })
    }

    proptest! {
        #[test]
        fn places_are_in_the_order_of_their_keys(mut keys in prop::collection::vec(key(), 0..40)) {
            let mut places: Vec<_> = keys.iter().map(Place::of).collect();
            places.sort_unstable();
            keys.sort_unstable();
            prop_assert_eq!(places.into_iter().map(|place| place.item).collect::<Vec<_>>(), keys);
        }
    }
}
