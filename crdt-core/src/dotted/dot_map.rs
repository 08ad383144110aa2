//! A dot store under each key.

mod index;
mod kept;
mod store;

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use core::borrow::Borrow;
use core::hash::{Hash, Hasher};
use core::{fmt, mem};

use index::Index;
use kept::Kept;

use super::{Causal, DotSet, DotStore};
use crate::Dot;

/// A dot store under each key; a key is present while its store holds a live dot.
///
/// Keys whose store runs empty disappear, so a removed key leaves nothing behind. Stores nest to
/// any depth, and all of them live under the one context of the outermost.
///
/// Lookups O(log n). Joins are made for deltas as for whole states: one that touches few keys costs
/// O(log n) for each, however many there are, and one that touches many is a walk over both maps.
/// To that end a map of more than a few dozen keys has an index of which key each live dot is
/// under. The first small join makes it, O(n log n), and the first after a walk that changed
/// something makes it anew. While it is there, a change costs O(log n) more for each piece of the
/// store it replaces, and a key takes about twice the memory.
///
/// ```
/// use crdt_core::dotted::{DotMap, DotSet};
/// use crdt_core::{Dot, ReplicaId};
///
/// let replica = ReplicaId::from_bytes([7; 16]);
/// let dot = |counter| Dot::new(replica, counter).unwrap();
///
/// let mut fruits: DotMap<String, DotSet> = DotMap::new();
/// assert!(fruits.add(dot(1), "plum".into()).is_empty());
/// assert_eq!(fruits.add(dot(2), "plum".into()), DotSet::from(dot(1)), "superseded by dot 2");
/// assert_eq!(fruits.take("plum"), DotSet::from(dot(2)));
/// assert!(fruits.is_empty());
/// ```
#[derive(Clone)]
pub struct DotMap<K, S> {
    /// No store in here is empty.
    entries: BTreeMap<K, S>,
    kept: Kept<K, S>,
}

/// Up to here a walk over all keys costs no more than looking some of them up.
const INDEXED_ABOVE: usize = 32;

/// Well below the other bound, so that a map about that size does not make and drop its index all the time.
const UNINDEXED_BELOW: usize = 16;

impl<K, S> DotMap<K, S> {
    /// The map without keys.
    pub const fn new() -> Self {
        Self::of_entries(BTreeMap::new())
    }

    /// None of the stores is empty.
    const fn of_entries(entries: BTreeMap<K, S>) -> Self {
        Self { entries, kept: Kept::nothing() }
    }

    /// Whether no key is present.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many keys are present.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Keys and their stores, ascending by key. No store is empty.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &S)> {
        self.entries.iter()
    }

    /// Takes all keys out.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.kept.clear();
    }
}

impl<K: Ord, S> DotMap<K, S> {
    /// The store under a key, if it is present.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&S>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }
}

impl<K: Ord + Clone, S: DotStore> DotMap<K, S> {
    /// Puts a store under a key and hands back the one it replaced. An empty store takes the key
    /// out.
    pub fn insert(&mut self, key: K, store: S) -> Option<S> {
        if store.is_empty() {
            return self.remove(&key);
        }
        match self.entries.entry(key) {
            Entry::Vacant(place) => {
                self.kept.restate(place.key(), None, Some(&store));
                place.insert(store);
                None
            }
            Entry::Occupied(mut place) => {
                let before = place.insert(store);
                self.kept.restate(place.key(), Some(&before), Some(place.get()));
                Some(before)
            }
        }
    }

    /// Takes a key out and hands back its store.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<S>
    where
        K: Borrow<Q>,
    {
        let (key, store) = self.entries.remove_entry(key)?;
        self.kept.restate(&key, Some(&store), None);
        self.drop_index_if_small();
        Some(store)
    }

    /// Recomputes what is kept beside the entries, an index and a tracked digest, and says whether
    /// it was right: a guard against failing memory. O(n log n) in the pieces of all stores.
    pub fn scrub(&self) -> bool {
        let index = self.kept.index.as_ref();
        let fresh = |index: &Index<K>| Index::of(self.iter()).is_some_and(|fresh| index.agrees_with(&fresh));
        index.is_none_or(|index| fresh(index))
            && self.kept.tracked.as_ref().is_none_or(|tracked| tracked.is_that_of(self))
    }

    fn drop_index_if_small(&mut self) {
        if self.len() < UNINDEXED_BELOW {
            self.kept.index = None;
        }
    }
}

/// What is known of a change of the store under one key.
#[derive(Clone, Copy)]
pub(crate) enum Told<'a, S> {
    /// The delta of the change.
    Delta(&'a Causal<S>),
    /// The store before it.
    Before(&'a S),
    /// Nothing.
    Nothing,
}

/// Changing a store in place, at the cost of the change and not of the store.
impl<K: Ord + Clone, S: DotStore> DotMap<K, S> {
    /// Whether what is alive where is kept in an index, which has to be told of every change.
    pub(crate) fn is_indexed(&self) -> bool {
        self.kept.index.is_some()
    }

    /// Hands out the store under a key, an empty one if there is none, until it is [settled](Self::settle).
    pub(crate) fn lend(&mut self, key: &K) -> S {
        let Some(store) = self.entries.get_mut(key) else { return S::default() };
        if let Some(tracked) = &mut self.kept.tracked {
            tracked.subtract(key, store);
        }
        mem::take(store)
    }

    /// Puts back a store that was lent under this key.
    pub(crate) fn settle(&mut self, key: K, store: S, told: Told<'_, S>) {
        let nothing = S::default();
        let mut index = self.kept.index.take();
        let sound = index.as_mut().is_some_and(|index| {
            // What was not there before needs nobody to tell about it.
            let told = if self.entries.contains_key(&key) { told } else { Told::Before(&nothing) };
            match told {
                Told::Delta(delta) => index.amend(&key, delta.context(), &delta.store().dots()),
                Told::Before(before) => index.restate(&key, Some(before), Some(&store)),
                Told::Nothing => {
                    index.doubt(&key);
                    true
                }
            }
        });
        let mut tracked = self.kept.tracked.take();
        if store.is_empty() {
            self.entries.remove(&key);
            if let Some(index) = &mut index {
                index.forget(&key);
            }
        } else {
            let mut track =
                |key: &K, store: &S| tracked.iter_mut().for_each(|tracked| tracked.add(key, store));
            match self.entries.entry(key) {
                Entry::Vacant(place) => {
                    track(place.key(), &store);
                    place.insert(store);
                }
                Entry::Occupied(mut place) => {
                    place.insert(store);
                    track(place.key(), place.get());
                }
            }
        }
        self.kept = Kept { index: index.filter(|_| sound), tracked };
        self.drop_index_if_small();
    }
}

/// The elements of an add-wins set whose context lives elsewhere.
///
/// The owner of the context mints the dots, and adds to the context every dot minted and every dot
/// handed back here.
impl<T: Ord + Clone> DotMap<T, DotSet> {
    /// Adds an element under a fresh dot, which replaces all dots the element had; hands those back.
    pub fn add(&mut self, dot: Dot, element: T) -> DotSet {
        self.insert(element, DotSet::from(dot)).unwrap_or_default()
    }

    /// Removes an element and hands back the dots it had, none if it was not there. A remote
    /// replica needs exactly these to do the same.
    pub fn take<Q: Ord + ?Sized>(&mut self, element: &Q) -> DotSet
    where
        T: Borrow<Q>,
    {
        self.remove(element).unwrap_or_default()
    }
}

impl<K, S> Default for DotMap<K, S> {
    fn default() -> Self {
        Self::new()
    }
}

/// The last store given for a key stays; empty stores are left out.
impl<K: Ord, S: DotStore> FromIterator<(K, S)> for DotMap<K, S> {
    fn from_iter<I: IntoIterator<Item = (K, S)>>(entries: I) -> Self {
        let mut map = BTreeMap::new();
        for (key, store) in entries {
            // An empty one that comes last takes out the one before.
            if store.is_empty() {
                map.remove(&key)
            } else {
                map.insert(key, store)
            };
        }
        Self::of_entries(map)
    }
}

/// What is kept beside the entries makes no difference.
impl<K: PartialEq, S: PartialEq> PartialEq for DotMap<K, S> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<K: Eq, S: Eq> Eq for DotMap<K, S> {}

impl<K: Hash, S: Hash> Hash for DotMap<K, S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entries.hash(state);
    }
}

impl<K: fmt::Debug, S: fmt::Debug> fmt::Debug for DotMap<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A sequence of pairs, keys strictly ascending, no store empty.
#[cfg(feature = "serde")]
mod serde_impls {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{DotMap, DotStore};
    use crate::dotted::ascending;

    impl<K: Serialize, S: Serialize> Serialize for DotMap<K, S> {
        fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
            ascending::serialize(&self.entries, serializer)
        }
    }

    impl<'de, K: Deserialize<'de> + Ord, S: Deserialize<'de> + DotStore> Deserialize<'de> for DotMap<K, S> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let entries = ascending::deserialize::<K, S, D>(deserializer)?;
            if entries.values().any(S::is_empty) {
                return Err(D::Error::custom("a key without a live dot"));
            }
            Ok(Self::of_entries(entries))
        }
    }
}

#[cfg(test)]
mod tests;
