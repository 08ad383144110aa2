//! Under which key each live dot of a large map is.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::size_of;
use core::ops::RangeInclusive;

use smallvec::SmallVec;

use crate::clock::{Range, Ranges};
use crate::dotted::{DotStore, b_tree_bytes};
use crate::heap::owned_by;
use crate::{CausalContext, HeapSize, ReplicaId};

/// The live dots of a map by replica and counter, as spans that are alive under one key each.
///
/// A span is as long as it can be, whatever pieces the store under its key keeps, so there is one index for each map.
/// A large value that was written in one go is one span.
#[derive(Clone)]
pub(super) struct Index<K> {
    /// By first counter, none overlapping. No row is empty.
    rows: BTreeMap<ReplicaId, BTreeMap<u64, Span<K>>>,
    /// Every key of the map: all its spans hold the same pointer.
    keys: BTreeSet<Arc<K>>,
    /// Keys whose stores may have changed by more than was told. Their spans are not kept up any more, and whoever
    /// looks for keys has to look at these, too.
    unsure: BTreeSet<Arc<K>>,
}

#[derive(Clone)]
struct Span<K> {
    last: u64,
    key: Arc<K>,
}

/// Live dots of one span.
pub(super) struct Piece<K> {
    pub(super) key: Arc<K>,
    pub(super) replica: ReplicaId,
    pub(super) counters: Range,
}

impl<K> Index<K> {
    /// Whether all of it can be relied on.
    pub(super) fn is_sure(&self) -> bool {
        self.unsure.is_empty()
    }

    /// The keys that may hold more, or less, than the spans say.
    pub(super) fn unsure(&self) -> &BTreeSet<Arc<K>> {
        &self.unsure
    }

    /// The live dots that are among `dots`; `None` if finding them takes more than `limit` steps.
    ///
    /// A step is a range to look for, a piece found or a key to look at in any case. O(steps log n).
    pub(super) fn among(&self, dots: &CausalContext, limit: usize) -> Option<Vec<Piece<K>>> {
        let mut search = self.search(limit)?;
        let nothing = BTreeMap::new();
        for (replica, ranges) in dots.by_replica() {
            let row = self.rows.get(&replica).unwrap_or(&nothing);
            for range in ranges {
                search.look_for(*range, replica, row)?;
            }
        }
        Some(search.found)
    }

    /// The live dots that are not among `seen`; `None` if finding them takes more than `limit` steps.
    pub(super) fn outside(&self, seen: &CausalContext, limit: usize) -> Option<Vec<Piece<K>>> {
        let mut search = self.search(limit)?;
        for (replica, row) in &self.rows {
            let mut start = Some(1);
            for range in seen.ranges_of(*replica) {
                if let Some(start) = start.filter(|start| *start < range.start) {
                    search.look_for(Range { start, end: range.start - 1 }, *replica, row)?;
                }
                start = range.end.checked_add(1);
            }
            if let Some(start) = start {
                search.look_for(Range { start, end: u64::MAX }, *replica, row)?;
            }
        }
        Some(search.found)
    }

    fn search(&self, limit: usize) -> Option<Search<K>> {
        Some(Search { found: Vec::new(), steps_left: limit.checked_sub(self.unsure.len())? })
    }

    /// All live dots. O(spans).
    pub(super) fn dots(&self) -> CausalContext {
        CausalContext::from_ascending(self.rows.iter().map(|(replica, row)| {
            let mut ranges: SmallVec<[Range; 1]> = SmallVec::new();
            for (start, span) in row {
                match ranges.last_mut() {
                    Some(open) if open.end.checked_add(1) == Some(*start) => open.end = span.last,
                    _ => ranges.push(Range { start: *start, end: span.last }),
                }
            }
            (*replica, Ranges::from_canonical(ranges))
        }))
    }

    /// Takes a piece out, which is part of one span.
    pub(super) fn cut(&mut self, piece: &Piece<K>) {
        self.cut_under(&piece.key, piece.replica, piece.counters);
    }

    /// Takes out what of these counters is alive under a key.
    fn cut_under(&mut self, key: &Arc<K>, replica: ReplicaId, counters: Range) {
        let Some(row) = self.rows.get_mut(&replica) else { return };
        let mut end = counters.end;
        while let Some((&first, span)) = row.range_mut(..=end).next_back() {
            let last = span.last;
            if last < counters.start {
                break;
            }
            if Arc::ptr_eq(&span.key, key) {
                if first < counters.start {
                    span.last = counters.start - 1;
                } else {
                    row.remove(&first);
                }
                if last > counters.end {
                    row.insert(counters.end + 1, Span { last, key: Arc::clone(key) });
                }
            }
            if first <= counters.start {
                break;
            }
            end = first - 1;
        }
        if row.is_empty() {
            self.rows.remove(&replica);
        }
    }

    /// Notes live dots of a key; `false` if some of them were alive already.
    fn put(&mut self, key: &Arc<K>, replica: ReplicaId, counters: Range) -> bool {
        let row = self.rows.entry(replica).or_default();
        let Range { start, end } = counters;
        let mut last = end;
        if let Some((&next, span)) = row.range(start..).next() {
            if next <= end {
                return false;
            }
            if next - 1 == end && Arc::ptr_eq(&span.key, key) {
                last = span.last;
                row.remove(&next);
            }
        }
        if let Some((_, span)) = row.range_mut(..start).next_back() {
            if span.last >= start {
                return false;
            }
            if span.last + 1 == start && Arc::ptr_eq(&span.key, key) {
                span.last = last;
                return true;
            }
        }
        row.insert(start, Span { last, key: Arc::clone(key) });
        true
    }
}

impl<K: Ord + Clone> Index<K> {
    /// The index of a map; none if a dot is in two places, which no index can tell. O(n log n).
    pub(super) fn of<'a, S: DotStore + 'a>(entries: impl Iterator<Item = (&'a K, &'a S)>) -> Option<Self>
    where
        K: 'a,
    {
        let (mut keys, mut pieces) = (Vec::new(), Vec::new());
        for (key, store) in entries {
            let key = Arc::new(key.clone());
            store.for_each_range(&mut |replica, counters| {
                pieces.extend(range(&counters).map(|counters| Piece {
                    key: Arc::clone(&key),
                    replica,
                    counters,
                }));
            });
            keys.push(key);
        }
        pieces.sort_unstable_by_key(|piece| (piece.replica, piece.counters.start));
        let mut rows = BTreeMap::new();
        for pieces in pieces.chunk_by(|one, next| one.replica == next.replica) {
            rows.insert(pieces[0].replica, row_of(pieces)?);
        }
        Some(Self { rows, keys: keys.into_iter().collect(), unsure: BTreeSet::new() })
    }

    /// Notes that the store under a key is another now. O(ranges of both, log n each).
    ///
    /// `false`, as below, if the dots are alive elsewhere: then this is an index no more.
    #[must_use]
    pub(super) fn restate<S: DotStore>(&mut self, key: &K, before: Option<&S>, after: Option<&S>) -> bool {
        if self.unsure.contains(key) {
            return true;
        }
        let handle = self.handle(key);
        if let Some(before) = before {
            before.for_each_range(&mut |replica, counters| {
                if let Some(counters) = range(&counters) {
                    self.cut_under(&handle, replica, counters);
                }
            });
        }
        let Some(after) = after else {
            self.forget(key);
            return true;
        };
        let mut sound = true;
        after.for_each_range(&mut |replica, counters| {
            if let Some(counters) = range(&counters).filter(|_| sound) {
                sound = self.put(&handle, replica, counters);
            }
        });
        sound
    }

    /// Notes that of `touched` exactly `alive` is alive under a key now. O(ranges of both, log n each).
    #[must_use]
    pub(super) fn amend(&mut self, key: &K, touched: &CausalContext, alive: &CausalContext) -> bool {
        if self.unsure.contains(key) {
            return true;
        }
        let handle = self.handle(key);
        for (replica, ranges) in touched.by_replica() {
            for range in ranges {
                self.cut_under(&handle, replica, *range);
            }
        }
        let put_all = |(replica, ranges): (ReplicaId, &[Range])| {
            ranges.iter().all(|range| self.put(&handle, replica, *range))
        };
        alive.by_replica().all(put_all)
    }

    /// Notes that nobody knows how the store under a key has changed.
    pub(super) fn doubt(&mut self, key: &K) {
        let handle = self.handle(key);
        self.unsure.insert(handle);
    }

    /// Notes that a key is gone.
    pub(super) fn forget(&mut self, key: &K) {
        self.keys.remove(key);
    }

    fn handle(&mut self, key: &K) -> Arc<K> {
        if let Some(handle) = self.keys.get(key) {
            return Arc::clone(handle);
        }
        let handle = Arc::new(key.clone());
        self.keys.insert(Arc::clone(&handle));
        handle
    }

    /// Whether this says what a fresh index does, as far as it is sure.
    pub(super) fn agrees_with(&self, fresh: &Self) -> bool {
        let is_sure = |key: &Arc<K>| !self.unsure.contains(key);
        let spans = |index: &Self| -> Vec<(ReplicaId, u64, u64, Arc<K>)> {
            let rows = index.rows.iter().flat_map(|(replica, row)| row.iter().map(|span| (*replica, span)));
            let sure = rows.filter(|(_, (_, span))| is_sure(&span.key));
            sure.map(|(replica, (first, span))| (replica, *first, span.last, Arc::clone(&span.key))).collect()
        };
        let keys = |index: &Self| index.keys.iter().filter(|key| is_sure(key)).cloned().collect::<Vec<_>>();
        spans(self) == spans(fresh) && keys(self) == keys(fresh)
    }
}

/// Pieces of one replica in order, as spans; `None` if they overlap.
fn row_of<K>(pieces: &[Piece<K>]) -> Option<BTreeMap<u64, Span<K>>> {
    let mut spans: Vec<(u64, Span<K>)> = Vec::new();
    for Piece { key, counters, .. } in pieces {
        match spans.last_mut() {
            Some((_, open)) if open.last >= counters.start => return None,
            Some((_, open)) if open.last + 1 == counters.start && Arc::ptr_eq(&open.key, key) => {
                open.last = counters.end;
            }
            _ => spans.push((counters.start, Span { last: counters.end, key: Arc::clone(key) })),
        }
    }
    Some(spans.into_iter().collect())
}

fn range(counters: &RangeInclusive<u64>) -> Option<Range> {
    let (start, end) = (*counters.start(), *counters.end());
    (start <= end).then_some(Range { start, end })
}

/// Pieces found so far, and how much more may be looked for.
struct Search<K> {
    found: Vec<Piece<K>>,
    steps_left: usize,
}

impl<K> Search<K> {
    fn look_for(&mut self, counters: Range, replica: ReplicaId, row: &BTreeMap<u64, Span<K>>) -> Option<()> {
        self.step()?;
        let reaching_in = row.range(..counters.start).next_back();
        let reaching_in = reaching_in.filter(|(_, span)| span.last >= counters.start);
        for (first, span) in reaching_in.into_iter().chain(row.range(counters.start..=counters.end)) {
            self.step()?;
            let counters = Range { start: counters.start.max(*first), end: counters.end.min(span.last) };
            self.found.push(Piece { key: Arc::clone(&span.key), replica, counters });
        }
        Some(())
    }

    fn step(&mut self) -> Option<()> {
        self.steps_left = self.steps_left.checked_sub(1)?;
        Some(())
    }
}

impl<K: HeapSize> HeapSize for Index<K> {
    fn heap_size(&self) -> usize {
        let spans: usize = self.rows.values().map(BTreeMap::len).sum();
        let handles = self.keys.len() + self.unsure.len();
        // Keys are shared with their spans; each has two counts beside it.
        let shared = self.keys.len() * (size_of::<K>() + 2 * size_of::<usize>());
        b_tree_bytes(self.rows.len(), size_of::<(ReplicaId, BTreeMap<u64, Span<K>>)>())
            + b_tree_bytes(spans, size_of::<(u64, Span<K>)>())
            + b_tree_bytes(handles, size_of::<Arc<K>>())
            + shared
            + owned_by(self.keys.iter().map(|key| &**key))
    }
}
