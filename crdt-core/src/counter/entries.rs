//! What a counter is made of: per replica the most it is known to have counted.

use core::cmp::Ordering;
use core::fmt;
use core::num::NonZeroU64;

use smallvec::SmallVec;

use crate::crdt::Change;
use crate::fingerprint::{FingerprintWriter, sum};
use crate::id::ReplicaId;

type Entry = (ReplicaId, NonZeroU64);

/// A map from replicas to amounts whose join is the greater amount; absence is zero.
///
/// A sorted array, inside the value for up to three replicas: merging is one walk over both, and a
/// delta, which has one entry, never allocates.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Entries(SmallVec<[Entry; 3]>);

impl Entries {
    /// The map with one entry, or the empty one for amount 0.
    pub(super) fn one(replica: ReplicaId, amount: u64) -> Self {
        Self(
            NonZeroU64::new(amount)
                .map(|amount| (replica, amount))
                .into_iter()
                .collect(),
        )
    }

    pub(super) fn get(&self, replica: ReplicaId) -> u64 {
        self.0
            .binary_search_by_key(&replica, |entry| entry.0)
            .map_or(0, |at| self.0[at].1.get())
    }

    /// In replica order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (ReplicaId, u64)> {
        self.0.iter().map(|(replica, amount)| (*replica, amount.get()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the greater amount of each replica. O(n + m), and O(m log n) for a small `other`.
    pub(super) fn merge(&mut self, other: &Self) -> Change {
        let mut change = Change::Unchanged;
        let known = self.0.len();
        let mut at = 0;
        for &(replica, theirs) in &other.0 {
            let ours = &mut self.0[..known];
            at = seek(ours, at, replica);
            match ours.get_mut(at) {
                Some((found, amount)) if *found == replica => {
                    if *amount >= theirs {
                        continue;
                    }
                    *amount = theirs;
                }
                _ => self.0.push((replica, theirs)),
            }
            change = Change::Changed;
        }
        if self.0.len() > known {
            // Two ascending runs, which the stable sort merges in one pass.
            self.0.sort_by_key(|entry| entry.0);
        }
        change
    }

    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (other.covers(self), self.covers(other)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        }
    }

    /// The entries in which `self` is ahead of `other`.
    pub(super) fn ahead_of(&self, other: &Self) -> Self {
        Self(
            self.beside(other)
                .filter(|(entry, theirs)| entry.1.get() > *theirs)
                .map(|(entry, _)| entry)
                .collect(),
        )
    }

    pub(super) fn version_digest(&self, domain: [u8; 8]) -> u128 {
        sum(self.iter().map(|(replica, amount)| {
            let mut part = FingerprintWriter::new(domain);
            part.write(&replica);
            part.write(&amount);
            part.finish()
        }))
    }

    fn covers(&self, other: &Self) -> bool {
        other.beside(self).all(|(entry, ours)| entry.1.get() <= ours)
    }

    /// Every entry together with the amount `other` has for the same replica.
    fn beside<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (Entry, u64)> + 'a {
        let mut at = 0;
        self.0.iter().map(move |&entry| {
            at = seek(&other.0, at, entry.0);
            let theirs = other
                .0
                .get(at)
                .filter(|found| found.0 == entry.0)
                .map_or(0, |found| found.1.get());
            (entry, theirs)
        })
    }
}

/// The first place at or after `from` that does not come before `replica`: one comparison when the
/// neighbour is it, as in walks over the same replicas, else a binary search.
fn seek(entries: &[Entry], from: usize, replica: ReplicaId) -> usize {
    match entries.get(from) {
        Some(entry) if entry.0 < replica => {
            from + 1 + entries[from + 1..].partition_point(|entry| entry.0 < replica)
        }
        _ => from,
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A map in replica order; zero amounts, disorder and duplicates are refused.
#[cfg(feature = "serde")]
mod serde_impls {
    use core::fmt;
    use core::num::NonZeroU64;

    use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
    use serde::ser::{Serialize, Serializer};
    use smallvec::SmallVec;

    use super::{Entries, Entry};
    use crate::id::ReplicaId;

    impl Serialize for Entries {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.iter())
        }
    }

    impl<'de> Deserialize<'de> for Entries {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(EntriesVisitor)
        }
    }

    struct EntriesVisitor;

    impl<'de> Visitor<'de> for EntriesVisitor {
        type Value = Entries;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map from replicas, in ascending order, to amounts above zero")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
            let mut entries = SmallVec::<[Entry; 3]>::new();
            while let Some((replica, amount)) = map.next_entry::<ReplicaId, NonZeroU64>()? {
                if entries.last().is_some_and(|last| last.0 >= replica) {
                    return Err(A::Error::custom("replicas out of order"));
                }
                entries.push((replica, amount));
            }
            Ok(Entries(entries))
        }
    }
}
