//! A dot store under each key.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;
use core::ops::RangeInclusive;

use super::{DotSet, DotStore};
use crate::{CausalContext, Change, Crdt, Dot, ReplicaId};

/// A dot store under each key; a key is present while its store holds a live dot.
///
/// Keys whose store runs empty disappear, so a removed key leaves nothing behind. Stores nest to
/// any depth, and all of them live under the one context of the outermost. Lookups O(log n), joins
/// one walk over both maps.
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
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DotMap<K, S> {
    /// No store in here is empty.
    entries: BTreeMap<K, S>,
}

impl<K, S> DotMap<K, S> {
    /// The map without keys.
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new() }
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
}

impl<K: Ord, S> DotMap<K, S> {
    /// The store under a key, if it is present.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&S>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// Takes a key out and hands back its store.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<S>
    where
        K: Borrow<Q>,
    {
        self.entries.remove(key)
    }
}

impl<K: Ord, S: DotStore> DotMap<K, S> {
    /// Puts a store under a key and hands back the one it replaced. An empty store takes the key
    /// out.
    pub fn insert(&mut self, key: K, store: S) -> Option<S> {
        if store.is_empty() { self.entries.remove(&key) } else { self.entries.insert(key, store) }
    }
}

/// The elements of an add-wins set whose context lives elsewhere.
///
/// The owner of the context mints the dots, and adds to the context every dot minted and every dot
/// handed back here.
impl<T: Ord> DotMap<T, DotSet> {
    /// Adds an element under a fresh dot, which replaces all dots the element had; hands those back.
    pub fn add(&mut self, dot: Dot, element: T) -> DotSet {
        self.entries.insert(element, DotSet::from(dot)).unwrap_or_default()
    }

    /// Removes an element and hands back the dots it had, none if it was not there. A remote
    /// replica needs exactly these to do the same.
    pub fn take<Q: Ord + ?Sized>(&mut self, element: &Q) -> DotSet
    where
        T: Borrow<Q>,
    {
        self.entries.remove(element).unwrap_or_default()
    }
}

/// Key by key; a key that one side lacks has the empty store there.
impl<K: Ord + Clone, S: DotStore> DotStore for DotMap<K, S> {
    fn join(&mut self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> Change {
        let nothing = S::default();
        let mut change = Change::Unchanged;
        let mut theirs = other.iter().peekable();
        let mut theirs_only = Vec::new();
        self.entries.retain(|key, store| {
            while let Some(only) = theirs.next_if(|(other, _)| *other < key) {
                theirs_only.push(only);
            }
            let same = theirs.next_if(|(other, _)| *other == key).map_or(&nothing, |(_, store)| store);
            change |= store.join(context, same, other_context);
            !store.is_empty()
        });
        for (key, store) in theirs_only.into_iter().chain(theirs) {
            let news = store.unseen_by(context);
            if !news.is_empty() {
                self.entries.insert(key.clone(), news);
                change = Change::Changed;
            }
        }
        change
    }

    fn absorbs(&self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> bool {
        let nothing = S::default();
        let mut theirs = other.iter().peekable();
        let brings_nothing = |store: &S| nothing.absorbs(context, store, other_context);
        self.iter().all(|(key, store)| {
            while let Some((_, only)) = theirs.next_if(|(other, _)| *other < key) {
                if !brings_nothing(only) {
                    return false;
                }
            }
            let same = theirs.next_if(|(other, _)| *other == key).map_or(&nothing, |(_, store)| store);
            store.absorbs(context, same, other_context)
        }) && theirs.all(|(_, only)| brings_nothing(only))
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn for_each_dot(&self, visit: &mut dyn FnMut(Dot)) {
        for store in self.entries.values() {
            store.for_each_dot(visit);
        }
    }

    fn for_each_range(&self, visit: &mut dyn FnMut(ReplicaId, RangeInclusive<u64>)) {
        for store in self.entries.values() {
            store.for_each_range(visit);
        }
    }

    fn unseen_by(&self, context: &CausalContext) -> Self {
        let unseen = self.iter().map(|(key, store)| (key, store.unseen_by(context)));
        let entries = unseen.filter(|(_, store)| !store.is_empty());
        Self { entries: entries.map(|(key, store)| (key.clone(), store)).collect() }
    }

    /// A fork within a key, or a dot that is alive under one key here and under another there.
    fn find_fork(&self, context: &CausalContext, other: &Self) -> Option<Dot> {
        let nothing = S::default();
        let mut astray = CausalContext::new();
        for (key, theirs) in other.iter() {
            let ours = self.get(key).unwrap_or(&nothing);
            if let Some(dot) = ours.find_fork(context, theirs) {
                return Some(dot);
            }
            // A set: whether it grows does not matter.
            let _ = astray.merge(&theirs.dots().intersection(context).difference(&ours.dots()));
        }
        if astray.is_empty() {
            return None;
        }
        // Usually removed here; else alive under another key.
        self.dots().intersection(&astray).dots().next()
    }

    /// Key by key: each sums up on its own.
    fn find_overflow(&self, other: &Self) -> Option<ReplicaId> {
        let shared = other.iter().filter_map(|(key, theirs)| Some((self.get(key)?, theirs)));
        shared.into_iter().find_map(|(ours, theirs)| ours.find_overflow(theirs))
    }

    fn renamed(&self, rename: &dyn Fn(Dot) -> Dot) -> Self {
        let entries = self.iter().map(|(key, store)| (key.clone(), store.renamed(rename)));
        Self { entries: entries.collect() }
    }

    fn split(&self) -> Vec<(Dot, Self)> {
        let parts =
            self.iter().flat_map(|(key, store)| store.split().into_iter().map(move |part| (key, part)));
        parts.map(|(key, (dot, part))| (dot, Self { entries: [(key.clone(), part)].into() })).collect()
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
        let mut map = Self::new();
        for (key, store) in entries {
            map.insert(key, store);
        }
        map
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
            Ok(Self { entries })
        }
    }
}
