//! Which changes a state covers, gaps included.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::ops::RangeInclusive;

use super::VersionVector;
use super::by_replica::ByReplica;
use super::ranges::{Range, Ranges};
use crate::crdt::order_from;
use crate::{Change, Crdt, Dot, DotsExhausted, HeapSize, ReplicaId};

/// A set of [`Dot`]s: the changes a state has seen, whether or not anything is left of them.
///
/// Per replica it keeps *ranges* of counters. A history without gaps is one range however long it
/// is, deltas that arrive out of order leave gaps that close by themselves, and a claim about
/// `1..=u64::MAX` costs as much as one about `1..=1`. There is one representation for each set, so
/// `==` is equality of sets and the encoding is canonical.
///
/// It is itself a [`Crdt`] whose merge is set union.
///
/// Complexity, with `r` replicas and `g` ranges in all: lookups O(log r + log g), insertion of a
/// dot O(log r + log g) plus moving the ranges of one replica behind it, set operations O(r + g)
/// of both sides. Nothing but [`dots`](Self::dots) depends on how many dots there are.
///
/// Source: causal context compression of Almeida, Shoker, Baquero, "Delta State Replicated Data
/// Types" (2018), with ranges in place of a version vector and a dot cloud.
///
/// ```
/// use crdt_core::{CausalContext, Dot, ReplicaId};
///
/// let replica = ReplicaId::from_bytes([7; 16]);
/// let mut seen = CausalContext::new();
/// seen.insert_range(replica, 1..=3);
/// seen.insert(Dot::new(replica, 5).unwrap());
/// assert_eq!((seen.contiguous(replica), seen.highest(replica)), (3, 5));
///
/// seen.insert(Dot::new(replica, 4).unwrap());
/// assert_eq!(seen.ranges().collect::<Vec<_>>(), [(replica, 1..=5)]);
/// assert_eq!(seen.next_dot(replica)?.counter(), 6);
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct CausalContext {
    /// No entry has empty ranges.
    replicas: ByReplica<Ranges>,
}

impl CausalContext {
    /// The context that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.replicas.is_empty()
    }

    /// Whether this change was seen.
    pub fn contains(&self, dot: Dot) -> bool {
        self.replicas.get(dot.replica).is_some_and(|ranges| ranges.contains(dot.counter()))
    }

    /// Whether every change `other` has seen was seen here.
    pub fn is_superset(&self, other: &Self) -> bool {
        other
            .replicas
            .beside(&self.replicas)
            .all(|(_, theirs, ours)| ours.is_some_and(|ours| ours.is_superset(theirs)))
    }

    /// The largest `n` for which all of this replica's changes `1..=n` were seen, 0 if the first
    /// is missing.
    pub fn contiguous(&self, replica: ReplicaId) -> u64 {
        self.replicas.get(replica).map_or(0, Ranges::contiguous)
    }

    /// The highest counter seen of this replica, gaps below or not; 0 if none.
    pub fn highest(&self, replica: ReplicaId) -> u64 {
        self.replicas.get(replica).map_or(0, Ranges::highest)
    }

    /// The dot for the next change `replica` makes: one above the highest seen of it, so that no
    /// counter is used twice even if someone claimed some in its name.
    ///
    /// Fails when there is none left. Only the replica itself may use the dot, and must insert it
    /// together with the change.
    pub fn next_dot(&self, replica: ReplicaId) -> Result<Dot, DotsExhausted> {
        let next = self.highest(replica).checked_add(1);
        next.and_then(|counter| Dot::new(replica, counter)).ok_or(DotsExhausted { replica })
    }

    /// Adds one dot; whether it was new.
    pub fn insert(&mut self, dot: Dot) -> bool {
        self.insert_range(dot.replica, dot.counter()..=dot.counter())
    }

    /// Adds all of this replica's counters in `counters`; whether any was new.
    ///
    /// Counter 0 names no change and is left out; an empty range adds nothing.
    pub fn insert_range(&mut self, replica: ReplicaId, counters: RangeInclusive<u64>) -> bool {
        Ranges::of(counters)
            .is_some_and(|ranges| self.replicas.upsert(replica, ranges, |mine, new| mine.merge(&new)))
    }

    /// The dots seen here and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.per_replica(other, |ours, theirs| match theirs {
            Some(theirs) => ours.difference(theirs),
            None => ours.clone(),
        })
    }

    /// The dots seen in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.per_replica(other, |ours, theirs| match theirs {
            Some(theirs) => ours.intersection(theirs),
            None => Ranges::default(),
        })
    }

    /// Every range with its replica, ascending by replica, then counter: the set in full, and its
    /// canonical form.
    pub fn ranges(&self) -> impl Iterator<Item = (ReplicaId, RangeInclusive<u64>)> {
        self.replicas.iter().flat_map(|(replica, ranges)| ranges.iter().map(move |range| (replica, range)))
    }

    /// How many ranges there are: the size of this context, in memory and encoded.
    pub fn range_count(&self) -> usize {
        self.replicas.iter().map(|(_, ranges)| ranges.len()).sum()
    }

    /// Every single dot, in order.
    ///
    /// A walk takes O(number of dots), which a few bytes from elsewhere can set to 2^64: for sets
    /// you made yourself. Everything else can be said in [`ranges`](Self::ranges).
    pub fn dots(&self) -> impl Iterator<Item = Dot> {
        self.ranges()
            .flat_map(|(replica, counters)| counters.filter_map(move |counter| Dot::new(replica, counter)))
    }

    /// How far each replica has come, gaps or not.
    pub(crate) fn heads(&self) -> VersionVector {
        self.replicas.iter().filter_map(|(replica, ranges)| Dot::new(replica, ranges.highest())).collect()
    }

    /// Whether everything that `later` has seen of any replica beyond `before` is in here.
    pub(crate) fn covers_since(&self, before: &VersionVector, later: &Self) -> bool {
        later.replicas.iter().all(|(replica, ranges)| {
            let (known, highest) = (before.get(replica), ranges.highest());
            let new = Ranges::of(known.saturating_add(1)..=highest).filter(|_| highest > known);
            new.is_none_or(|new| self.replicas.get(replica).is_some_and(|ours| ours.is_superset(&new)))
        })
    }

    /// The first dot in here that is not in `other`, if there is one. O(r + g).
    pub(crate) fn first_outside(&self, other: &Self) -> Option<Dot> {
        if other.is_superset(self) { None } else { self.difference(other).dots().next() }
    }

    /// The ranges of one replica, none if it was never heard of.
    pub(crate) fn ranges_of(&self, replica: ReplicaId) -> &[Range] {
        self.replicas.get(replica).map_or(&[], Ranges::as_slice)
    }

    /// Replicas heard of, ascending, with their ranges.
    pub(crate) fn by_replica(&self) -> impl Iterator<Item = (ReplicaId, &[Range])> {
        self.replicas.iter().map(|(replica, ranges)| (replica, ranges.as_slice()))
    }

    /// How many replicas were heard of.
    pub(crate) fn replica_count(&self) -> usize {
        self.replicas.len()
    }

    /// Ranges by replica, replicas strictly ascending and none without ranges.
    pub(crate) fn from_ascending(ranges: impl Iterator<Item = (ReplicaId, Ranges)>) -> Self {
        Self { replicas: ByReplica::from_ascending(ranges) }
    }

    fn per_replica(
        &self,
        other: &Self,
        mut operation: impl FnMut(&Ranges, Option<&Ranges>) -> Ranges,
    ) -> Self {
        let results = self
            .replicas
            .beside(&other.replicas)
            .map(|(replica, ours, theirs)| (replica, operation(ours, theirs)))
            .filter(|(_, ranges)| !ranges.is_empty());
        Self { replicas: ByReplica::from_ascending(results) }
    }
}

/// Set union; the order is set inclusion.
impl Crdt for CausalContext {
    fn merge(&mut self, other: &Self) -> Change {
        self.replicas.merge_with(&other.replicas, Ranges::merge)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        self.replicas.compare_with(&other.replicas, |ours, theirs| {
            order_from(theirs.is_superset(ours), ours.is_superset(theirs))
        })
    }

    fn is_bottom(&self) -> bool {
        self.is_empty()
    }
}

impl HeapSize for CausalContext {
    fn heap_size(&self) -> usize {
        let ranges: usize = self.replicas.iter().map(|(_, ranges)| ranges.spilled_bytes()).sum();
        self.replicas.spilled_bytes() + ranges
    }
}

impl From<Dot> for CausalContext {
    fn from(dot: Dot) -> Self {
        let mut context = Self::new();
        context.insert(dot);
        context
    }
}

/// O(n log n), and O(n) when the dots come in order.
impl FromIterator<Dot> for CausalContext {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut dots: Vec<Dot> = dots.into_iter().collect();
        dots.sort_unstable();
        let per_replica = dots.chunk_by(|a, b| a.replica == b.replica).map(|run| {
            let mut ranges = Ranges::default();
            for dot in run {
                ranges.push(dot.counter());
            }
            (run[0].replica, ranges)
        });
        Self { replicas: ByReplica::from_ascending(per_replica) }
    }
}

/// `{a1b2c3d4:1..=3, a1b2c3d4:5..=5}`
impl fmt::Debug for CausalContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = self.ranges().map(|(replica, range)| ShortRange(replica, range));
        f.debug_set().entries(ranges).finish()
    }
}

struct ShortRange(ReplicaId, RangeInclusive<u64>);

impl fmt::Debug for ShortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{:?}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests;
