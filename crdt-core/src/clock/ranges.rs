//! A set of counters as ranges, so that its size is the number of gaps and not of counters.

use core::ops::RangeInclusive;

use smallvec::SmallVec;

/// Counters `start..=end` with `1 <= start <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// A set of counters: ranges in ascending order, at least one missing counter between any two.
///
/// There is exactly one such list for every set, so equality is equality of lists. The first range
/// lives inline: a replica heard of without gaps costs no allocation.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ranges(SmallVec<[Range; 1]>);

impl Ranges {
    /// The counters in `range`; `None` if that is none. Counter 0 is no counter and is cut off.
    pub(super) fn of(range: RangeInclusive<u64>) -> Option<Self> {
        let (start, end) = range.into_inner();
        let start = start.max(1);
        (start <= end).then(|| Self(SmallVec::from_buf([Range { start, end }])))
    }

    /// Ranges that are in order and do not touch already.
    pub(crate) const fn from_canonical(ranges: SmallVec<[Range; 1]>) -> Self {
        Self(ranges)
    }

    pub(crate) fn as_slice(&self) -> &[Range] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes on the heap, for ranges beyond the one inline.
    pub(super) fn spilled_bytes(&self) -> usize {
        if self.0.spilled() { self.0.capacity() * size_of::<Range>() } else { 0 }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> + Clone {
        self.0.iter().map(|range| range.start..=range.end)
    }

    /// The largest `n` with all of `1..=n` in the set.
    pub(super) fn contiguous(&self) -> u64 {
        self.0.first().filter(|range| range.start == 1).map_or(0, |range| range.end)
    }

    pub(super) fn highest(&self) -> u64 {
        self.0.last().map_or(0, |range| range.end)
    }

    pub(super) fn contains(&self, counter: u64) -> bool {
        self.covers(Range { start: counter, end: counter })
    }

    pub(super) fn is_superset(&self, other: &Self) -> bool {
        other.0.iter().all(|&range| self.covers(range))
    }

    /// Adds a counter above all others; the cheap way to build a set in order.
    pub(super) fn push(&mut self, counter: u64) {
        match self.0.last_mut() {
            Some(last) if counter <= last.end => debug_assert!(counter == last.end, "counters must ascend"),
            Some(last) if counter - last.end == 1 => last.end = counter,
            _ => self.0.push(Range { start: counter, end: counter }),
        }
    }

    /// Union in place; whether anything was added.
    pub(super) fn merge(&mut self, other: &Self) -> bool {
        if self.is_superset(other) {
            return false;
        }
        match other.0[..] {
            [range] => self.insert(range),
            _ => *self = self.union(other),
        }
        true
    }

    /// What is here and not in `other`.
    pub(super) fn difference(&self, other: &Self) -> Self {
        let mut result = SmallVec::new();
        let mut cuts = other.tail_reaching(self);
        for &range in &self.0 {
            while let [cut, rest @ ..] = cuts
                && cut.end < range.start
            {
                cuts = rest;
            }
            subtract(range, cuts, &mut result);
        }
        Self(result)
    }

    /// What is in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut result = SmallVec::new();
        let (mut ours, mut theirs) = (self.tail_reaching(other), other.tail_reaching(self));
        while let ([our, our_rest @ ..], [their, their_rest @ ..]) = (ours, theirs) {
            let common = Range { start: our.start.max(their.start), end: our.end.min(their.end) };
            if common.start <= common.end {
                result.push(common);
            }
            if our.end <= their.end {
                ours = our_rest;
            } else {
                theirs = their_rest;
            }
        }
        Self(result)
    }

    /// Both walked in order, each range either extending the last one written or following it.
    fn union(&self, other: &Self) -> Self {
        let mut result: SmallVec<[Range; 1]> = SmallVec::with_capacity(self.len().max(other.len()));
        let (mut ours, mut theirs) = (&self.0[..], &other.0[..]);
        loop {
            let next = match (ours, theirs) {
                ([our, rest @ ..], [their, ..]) if our.start <= their.start => {
                    ours = rest;
                    our
                }
                (_, [their, rest @ ..]) => {
                    theirs = rest;
                    their
                }
                ([our, rest @ ..], []) => {
                    ours = rest;
                    our
                }
                ([], []) => return Self(result),
            };
            match result.last_mut() {
                Some(last) if next.start <= last.end.saturating_add(1) => last.end = last.end.max(next.end),
                _ => result.push(*next),
            }
        }
    }

    /// Adds one range, swallowing every range it overlaps or touches.
    fn insert(&mut self, range: Range) {
        let first = self.0.partition_point(|old| old.end.saturating_add(1) < range.start);
        let after = self.0.partition_point(|old| old.start <= range.end.saturating_add(1));
        if first == after {
            self.0.insert(first, range);
            return;
        }
        self.0[first] =
            Range { start: range.start.min(self.0[first].start), end: range.end.max(self.0[after - 1].end) };
        self.0.drain(first + 1..after);
    }

    fn covers(&self, range: Range) -> bool {
        let index = self.0.partition_point(|old| old.end < range.end);
        self.0.get(index).is_some_and(|old| old.start <= range.start)
    }

    /// The ranges that remain when those wholly below `other` are skipped, so that a small set
    /// against a long one costs a search and not a walk.
    fn tail_reaching(&self, other: &Self) -> &[Range] {
        let floor = other.0.first().map_or(u64::MAX, |range| range.start);
        &self.0[self.0.partition_point(|range| range.end < floor)..]
    }
}

/// Pushes the pieces of `range` that `cuts`, in order and none wholly below it, leave over.
fn subtract(range: Range, cuts: &[Range], pieces: &mut SmallVec<[Range; 1]>) {
    let mut start = range.start;
    for cut in cuts.iter().take_while(|cut| cut.start <= range.end) {
        if start < cut.start {
            pieces.push(Range { start, end: cut.start - 1 });
        }
        if cut.end >= range.end {
            return;
        }
        start = cut.end + 1;
    }
    pieces.push(Range { start, end: range.end });
}

/// On the wire a range is (counters skipped since the least possible start, length - 1).
///
/// Unsorted, overlapping, adjacent and empty ranges and counter 0 have no such form; what is left
/// to refuse is a range past the last counter. Small numbers stay small in a varint format.
#[cfg(feature = "serde")]
mod serde_impls {
    use core::fmt;

    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use smallvec::SmallVec;

    use super::{Range, Ranges};

    impl Serialize for Ranges {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut floor = 1;
            serializer.collect_seq(self.0.iter().map(|range| {
                let pair = (range.start - floor, range.end - range.start);
                // Only the last range can end at the last counters, where the floor is not used again.
                floor = range.end.saturating_add(2);
                pair
            }))
        }
    }

    impl<'de> Deserialize<'de> for Ranges {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(SkipsAndRuns)
        }
    }

    struct SkipsAndRuns;

    impl<'de> Visitor<'de> for SkipsAndRuns {
        type Value = Ranges;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("at least one range as (counters skipped, length - 1)")
        }

        /// Grows with what arrives, whatever length the input claims.
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ranges, A::Error> {
            let mut ranges: SmallVec<[Range; 1]> = SmallVec::new();
            let mut floor = Some(1_u64);
            while let Some((skip, more)) = seq.next_element::<(u64, u64)>()? {
                let start = floor.and_then(|floor| floor.checked_add(skip));
                let end = start.and_then(|start| start.checked_add(more));
                let (Some(start), Some(end)) = (start, end) else {
                    return Err(A::Error::custom("a range passes the last counter"));
                };
                ranges.push(Range { start, end });
                floor = end.checked_add(2);
            }
            if ranges.is_empty() {
                return Err(A::Error::invalid_length(0, &self));
            }
            Ok(Ranges(ranges))
        }
    }
}
