//! How far each replica has come.

use core::cmp::Ordering;
use core::fmt;
use core::num::NonZeroU64;

use smallvec::SmallVec;

use super::by_replica::ByReplica;
use crate::{Change, Crdt, Dot, HeapSize, ReplicaId};

/// The highest counter per replica; an absent replica stands at 0.
///
/// It says the same as a [`CausalContext`](super::CausalContext) without gaps, in less: right
/// wherever changes of one replica are taken in order. Where they may arrive out of order, a
/// version vector would claim changes that were never seen.
///
/// As a [`Crdt`] it merges to the maximum per replica; two vectors that are each ahead somewhere
/// are concurrent.
///
/// Lookups and single updates O(log r), merging and comparing O(r) for `r` replicas.
///
/// Source: Parker et al., "Detection of Mutual Inconsistency in Distributed Systems" (1983).
///
/// ```
/// use crdt_core::{Crdt, Dot, ReplicaId, VersionVector};
///
/// let [a, b] = [1, 2].map(|byte| ReplicaId::from_bytes([byte; 16]));
/// let mut left = VersionVector::new();
/// let mut right = VersionVector::new();
/// left.advance(Dot::new(a, 2).unwrap());
/// right.advance(Dot::new(b, 1).unwrap());
/// assert_eq!(left.compare(&right), None, "concurrent");
///
/// let _ = left.merge(&right);
/// assert_eq!((left.get(a), left.get(b)), (2, 1));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct VersionVector {
    counters: ByReplica<NonZeroU64>,
}

impl VersionVector {
    /// The vector at 0 for every replica.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every replica stands at 0.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// How many replicas stand above 0.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// The highest counter of this replica, 0 if it was never heard of.
    pub fn get(&self, replica: ReplicaId) -> u64 {
        self.counters.get(replica).map_or(0, |counter| counter.get())
    }

    /// Whether the vector has reached this dot.
    pub fn contains(&self, dot: Dot) -> bool {
        dot.counter() <= self.get(dot.replica)
    }

    /// Raises the dot's replica to the dot's counter; whether that was further than before. Never
    /// lowers.
    pub fn advance(&mut self, dot: Dot) -> bool {
        NonZeroU64::new(dot.counter())
            .is_some_and(|counter| self.counters.upsert(dot.replica, counter, raise))
    }

    /// Replicas above 0 with their counters, ascending by replica.
    pub fn iter(&self) -> impl Iterator<Item = (ReplicaId, u64)> {
        self.counters.iter().map(|(replica, counter)| (replica, counter.get()))
    }

    /// The highest dot of each replica that is further here than in `other`, ascending by replica. O(n + m).
    pub(crate) fn ahead_of<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Dot> + 'a {
        let beside = self.counters.beside(&other.counters);
        beside
            .filter(|(_, ours, theirs)| theirs.is_none_or(|theirs| *ours > theirs))
            .filter_map(|(replica, ours, _)| Dot::new(replica, ours.get()))
    }
}

/// Maximum per replica; the order is "at most everywhere".
impl Crdt for VersionVector {
    fn merge(&mut self, other: &Self) -> Change {
        self.counters.merge_with(&other.counters, |mine, theirs| raise(mine, *theirs))
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        self.counters.compare_with(&other.counters, |mine, theirs| Some(mine.cmp(theirs)))
    }

    fn is_bottom(&self) -> bool {
        self.is_empty()
    }
}

impl HeapSize for VersionVector {
    fn heap_size(&self) -> usize {
        self.counters.spilled_bytes()
    }
}

/// Of several dots of one replica the highest counts. O(n log n), and O(n) when they come in order.
impl FromIterator<Dot> for VersionVector {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut dots: SmallVec<[Dot; 1]> = dots.into_iter().collect();
        dots.sort_unstable();
        let highest = dots.chunk_by(|a, b| a.replica == b.replica).filter_map(<[Dot]>::last);
        let counters = highest.filter_map(|dot| Some((dot.replica, NonZeroU64::new(dot.counter())?)));
        Self { counters: ByReplica::from_ascending(counters) }
    }
}

impl fmt::Debug for VersionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

fn raise(counter: &mut NonZeroU64, to: NonZeroU64) -> bool {
    let further = to > *counter;
    *counter = to.max(*counter);
    further
}

#[cfg(test)]
mod tests;
