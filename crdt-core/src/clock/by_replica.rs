//! A small map from replica to something, in replica order.

use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::{Change, ReplicaId};

/// Entries in strictly ascending replica order; the first one lives inline, so what concerns one
/// replica (every fresh delta) allocates nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(transparent, bound = "V: serde::Serialize"))]
pub(super) struct ByReplica<V> {
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_entries"))]
    entries: SmallVec<[(ReplicaId, V); 1]>,
}

impl<V> ByReplica<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, replica: ReplicaId) -> Option<&V> {
        let index = self.search(replica).ok()?;
        Some(&self.entries[index].1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ReplicaId, &V)> {
        self.entries.iter().map(|(replica, value)| (*replica, value))
    }

    /// Every entry of this map beside the other's value for the same replica, in one linear walk.
    pub(super) fn beside<'a, W>(
        &'a self,
        other: &'a ByReplica<W>,
    ) -> impl Iterator<Item = (ReplicaId, &'a V, Option<&'a W>)> {
        let mut theirs = other.iter().peekable();
        self.iter().map(move |(replica, mine)| {
            while theirs.next_if(|(other, _)| *other < replica).is_some() {}
            let same = theirs.next_if(|(other, _)| *other == replica);
            (replica, mine, same.map(|(_, value)| value))
        })
    }

    /// Inserts `value`, or lets `join` fold it into the value that is there. `join` says whether
    /// it changed anything.
    pub(super) fn upsert(
        &mut self,
        replica: ReplicaId,
        value: V,
        join: impl FnOnce(&mut V, V) -> bool,
    ) -> bool {
        match self.search(replica) {
            Ok(index) => join(&mut self.entries[index].1, value),
            Err(index) => {
                self.entries.insert(index, (replica, value));
                true
            }
        }
    }

    /// Folds every entry of `other` in. O(m log n) when `other` brings no new replica, O(n + m)
    /// when it does.
    pub(super) fn merge_with(&mut self, other: &Self, mut join: impl FnMut(&mut V, &V) -> bool) -> Change
    where
        V: Clone,
    {
        let mut change = Change::Unchanged;
        let mut missing = Vec::new();
        for (replica, theirs) in &other.entries {
            match self.search(*replica) {
                Ok(index) => change |= Change::from(join(&mut self.entries[index].1, theirs)),
                Err(_) => missing.push((*replica, theirs.clone())),
            }
        }
        if !missing.is_empty() {
            self.entries.extend(missing);
            // Two sorted runs, which a merge sort joins in linear time.
            self.entries.sort_by_key(|(replica, _)| *replica);
            change = Change::Changed;
        }
        change
    }

    /// Collects entries that come in strictly ascending replica order.
    pub(super) fn from_ascending(entries: impl Iterator<Item = (ReplicaId, V)>) -> Self {
        let entries: SmallVec<_> = entries.collect();
        debug_assert!(entries.is_sorted_by(|(a, _), (b, _)| a < b), "replicas must ascend");
        Self { entries }
    }

    /// Bytes on the heap, besides what the values own.
    pub(super) fn spilled_bytes(&self) -> usize {
        if self.entries.spilled() { self.entries.capacity() * size_of::<(ReplicaId, V)>() } else { 0 }
    }

    fn search(&self, replica: ReplicaId) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&replica, |(replica, _)| *replica)
    }
}

impl<V> Default for ByReplica<V> {
    fn default() -> Self {
        Self { entries: SmallVec::new() }
    }
}

#[cfg(feature = "serde")]
use serde_impls::serialize_entries;

#[cfg(feature = "serde")]
mod serde_impls {
    use core::fmt;
    use core::marker::PhantomData;

    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use smallvec::SmallVec;

    use super::ByReplica;
    use crate::ReplicaId;

    pub(super) fn serialize_entries<V: Serialize, S: Serializer>(
        entries: &[(ReplicaId, V)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(entries)
    }

    impl<'de, V: Deserialize<'de>> Deserialize<'de> for ByReplica<V> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(Ascending(PhantomData))
        }
    }

    struct Ascending<V>(PhantomData<V>);

    impl<'de, V: Deserialize<'de>> Visitor<'de> for Ascending<V> {
        type Value = ByReplica<V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("one entry per replica, replicas strictly ascending")
        }

        /// Grows with what arrives, whatever length the input claims.
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut entries: SmallVec<[(ReplicaId, V); 1]> = SmallVec::new();
            while let Some((replica, value)) = seq.next_element::<(ReplicaId, V)>()? {
                if entries.last().is_some_and(|(last, _)| *last >= replica) {
                    return Err(A::Error::custom("replicas are not strictly ascending"));
                }
                entries.push((replica, value));
            }
            Ok(ByReplica { entries })
        }
    }
}
