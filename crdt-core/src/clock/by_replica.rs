//! A small map from replica to something, in replica order.

use alloc::vec::Vec;
use core::cmp::Ordering;

use smallvec::SmallVec;

use crate::crdt::order_from;
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

    /// Every entry of this map beside the other's value for the same replica, in one walk. O(n), and what the other
    /// has in between is leapt over.
    pub(super) fn beside<'a, W>(
        &'a self,
        other: &'a ByReplica<W>,
    ) -> impl Iterator<Item = (ReplicaId, &'a V, Option<&'a W>)> {
        let mut theirs = &other.entries[..];
        self.iter().map(move |(replica, mine)| {
            theirs = &theirs[count_below(theirs, replica)..];
            match theirs {
                [(other, value), rest @ ..] if *other == replica => {
                    theirs = rest;
                    (replica, mine, Some(value))
                }
                _ => (replica, mine, None),
            }
        })
    }

    /// The order of two maps, an absent value being less than any other: one walk, which ends where they turn out to
    /// be concurrent.
    pub(super) fn compare_with(
        &self,
        other: &Self,
        order: impl Fn(&V, &V) -> Option<Ordering>,
    ) -> Option<Ordering> {
        let (mut ours, mut theirs) = (&self.entries[..], &other.entries[..]);
        // Whoever has more entries has one that the other lacks.
        let (mut at_most, mut at_least) = (ours.len() <= theirs.len(), ours.len() >= theirs.len());
        while at_most || at_least {
            let ([(replica, mine), our_rest @ ..], [(their_replica, value), their_rest @ ..]) =
                (ours, theirs)
            else {
                return order_from(at_most && ours.is_empty(), at_least && theirs.is_empty());
            };
            let (left, right) = match replica.cmp(their_replica) {
                Ordering::Equal => {
                    (ours, theirs) = (our_rest, their_rest);
                    let order = order(mine, value);
                    (order.is_some_and(Ordering::is_le), order.is_some_and(Ordering::is_ge))
                }
                Ordering::Less => {
                    ours = our_rest;
                    (false, true)
                }
                Ordering::Greater => {
                    theirs = their_rest;
                    (true, false)
                }
            };
            at_most &= left;
            at_least &= right;
        }
        None
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

    /// Folds every entry of `other` in. O(n + m), and O(m log n) for a few entries that bring no new replica.
    ///
    /// Replicas that have met before mostly know of the same others, so both are walked in lockstep for as long as
    /// they do. From there on each of the other's entries is sought from where the last one was, until one is new.
    pub(super) fn merge_with(&mut self, other: &Self, mut join: impl FnMut(&mut V, &V) -> bool) -> Change
    where
        V: Clone,
    {
        let (ours, theirs) = (&mut self.entries[..], &other.entries[..]);
        let mut changed = false;
        let mut met = 0;
        for ((replica, mine), (their_replica, value)) in ours.iter_mut().zip(theirs) {
            if replica != their_replica {
                break;
            }
            changed |= join(mine, value);
            met += 1;
        }
        let mut at = met;
        // Up to so many are noted and inserted in the end: ours in between are not even looked at.
        let few = ours.len() / 8 + 1;
        let mut missing = SmallVec::<[Missing<'_, V>; 1]>::new();
        for (index, entry) in theirs.iter().enumerate().skip(met) {
            at += count_below(&ours[at..], entry.0);
            match ours.get_mut(at) {
                Some((replica, mine)) if *replica == entry.0 => {
                    changed |= join(mine, &entry.1);
                    at += 1;
                }
                _ if theirs.len() - index <= few => missing.push(Missing { at, entry }),
                _ => {
                    // What is noted so far lies below, where nothing moves any more.
                    at += missing.len();
                    self.insert_all(&missing);
                    self.weave(at, &theirs[index..], join);
                    return Change::Changed;
                }
            }
        }
        changed |= !missing.is_empty();
        self.insert_all(&missing);
        Change::from(changed)
    }

    /// Folds many entries in, of which the first is new and belongs in front of ours at `start`: each of ours moves
    /// once.
    fn weave(&mut self, start: usize, theirs: &[(ReplicaId, V)], mut join: impl FnMut(&mut V, &V) -> bool)
    where
        V: Clone,
    {
        let mut ours = core::mem::take(&mut self.entries).into_iter();
        let mut woven = Vec::with_capacity(ours.len() + theirs.len());
        woven.extend(ours.by_ref().take(start));
        for entry in theirs {
            while ours.as_slice().first().is_some_and(|(replica, _)| *replica < entry.0) {
                woven.extend(ours.next());
            }
            match ours.as_mut_slice().first_mut() {
                Some((replica, mine)) if *replica == entry.0 => {
                    join(mine, &entry.1);
                    woven.extend(ours.next());
                }
                _ => woven.push(entry.clone()),
            }
        }
        woven.extend(ours);
        woven.shrink_to_fit();
        self.entries = SmallVec::from_vec(woven);
    }

    fn insert_all(&mut self, missing: &[Missing<'_, V>])
    where
        V: Clone,
    {
        match missing {
            [] => {}
            [one] => self.entries.insert(one.at, one.entry.clone()),
            _ => {
                let mut grown = SmallVec::with_capacity(self.entries.len() + missing.len());
                let mut ours = core::mem::take(&mut self.entries).into_iter();
                let mut moved = 0;
                for Missing { at, entry } in missing {
                    grown.extend(ours.by_ref().take(at - moved));
                    grown.push((*entry).clone());
                    moved = *at;
                }
                grown.extend(ours);
                self.entries = grown;
            }
        }
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

/// An entry that is to stand in front of the one that is at `at` now.
struct Missing<'a, V> {
    at: usize,
    entry: &'a (ReplicaId, V),
}

/// How many entries, from the first on, are of replicas below this one. O(log result): the next entry is asked first,
/// then ever farther ones.
#[inline]
fn count_below<V>(entries: &[(ReplicaId, V)], replica: ReplicaId) -> usize {
    let is_below = |entry: &(ReplicaId, V)| entry.0 < replica;
    if !entries.first().is_some_and(is_below) {
        return 0;
    }
    let mut reach = 1;
    while entries.get(reach).is_some_and(is_below) {
        reach *= 2;
    }
    let known = reach / 2 + 1;
    known + entries[known..reach.min(entries.len())].partition_point(is_below)
}

impl<V> Default for ByReplica<V> {
    fn default() -> Self {
        Self { entries: SmallVec::new() }
    }
}

#[cfg(test)]
mod tests;

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
