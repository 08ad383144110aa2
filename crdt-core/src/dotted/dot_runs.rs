//! Amounts under live dots, equal ones in one piece.

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroI64;
use core::ops::RangeInclusive;

use smallvec::SmallVec;

use super::{DotStore, StoreDigest};
use crate::fingerprint::sum;
use crate::{CausalContext, Change, Dot, FingerprintWriter, HeapSize, ReplicaId};

/// An amount under each live dot, kept as *runs*: consecutive dots of one replica with one amount are one entry.
///
/// It says what a [`DotFun`](super::DotFun) of amounts says. But a counter mints a dot for each increment, and a
/// million increments by one are a million dots; here they are one run, and whatever this store does costs by the
/// run: lookups O(log runs), insertion and removal of a dot O(runs), joins and comparisons O(runs + ranges of the
/// contexts). There is one list of runs for each content, so `==` is equality of contents.
///
/// Amounts are not zero: a dot that adds nothing is not worth one.
///
/// ```
/// use core::num::NonZeroI64;
/// use crdt_core::dotted::DotRuns;
/// use crdt_core::{Dot, ReplicaId};
///
/// let dot = |counter| Dot::new(ReplicaId::from_u128(7), counter).unwrap();
/// let two = NonZeroI64::new(2).unwrap();
/// let mut amounts = DotRuns::new();
/// for counter in 1..=1_000 {
///     amounts.insert(dot(counter), two);
/// }
/// assert_eq!((amounts.run_count(), amounts.total()), (1, 2_000));
///
/// amounts.remove(dot(400));
/// assert_eq!((amounts.run_count(), amounts.total()), (2, 1_998));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct DotRuns {
    /// Ascending by replica and counter, none overlapping, none that could be one with the next.
    runs: SmallVec<[Run; 1]>,
}

/// The dots `first..=last` of a replica, each with this amount.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Run {
    pub(super) replica: ReplicaId,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) amount: NonZeroI64,
}

impl Run {
    /// How many dots there are, from 1 to `u64::MAX`, as counters start at 1.
    const fn len(&self) -> u64 {
        self.last - self.first + 1
    }

    /// The absolute value of all amounts together, below 2¹²⁷ + 2⁶⁴.
    fn magnitude(&self) -> u128 {
        u128::from(self.len()) * u128::from(self.amount.get().unsigned_abs())
    }

    /// Whether `next` goes on where this one ends, with the same amount.
    fn continues_in(&self, next: &Self) -> bool {
        self.replica == next.replica
            && self.amount == next.amount
            && self.last.checked_add(1) == Some(next.first)
    }

    fn start(&self) -> (ReplicaId, u64) {
        (self.replica, self.first)
    }

    fn end(&self) -> (ReplicaId, u64) {
        (self.replica, self.last)
    }

    fn counters(&self) -> RangeInclusive<u64> {
        self.first..=self.last
    }
}

impl DotRuns {
    /// The amounts of a store, all together, stay at or below this: then sums and differences fit `i128`.
    pub(super) const MAX_MAGNITUDE: u128 = i128::MAX.unsigned_abs();

    /// The store without amounts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no dot is alive.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many runs there are: the size of this store, in memory and encoded.
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// How many dots are alive. O(runs).
    pub fn len(&self) -> u128 {
        self.runs.iter().map(|run| u128::from(run.len())).sum()
    }

    /// The runs: replica, counters, amount of each. Ascending by replica, then counter.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ReplicaId, RangeInclusive<u64>, NonZeroI64)> {
        self.runs.iter().map(|run| (run.replica, run.counters(), run.amount))
    }

    /// The amount this dot brought, if it is alive. O(log runs).
    pub fn get(&self, dot: Dot) -> Option<NonZeroI64> {
        self.find(dot).map(|index| self.runs[index].amount)
    }

    /// All amounts together. O(runs).
    ///
    /// Exact for all that counting can lead to: it would take 2⁶³ dots to come near the end of `i128`. Amounts that
    /// are forged to go further end at its bounds, and are refused by [`TryMerge`](crate::TryMerge) and by decoding.
    pub fn total(&self) -> i128 {
        let (mut added, mut taken) = (0_u128, 0_u128);
        for run in &self.runs {
            let direction = if run.amount.is_positive() { &mut added } else { &mut taken };
            *direction = direction.saturating_add(run.magnitude());
        }
        match added.checked_sub(taken) {
            Some(more) => i128::try_from(more).unwrap_or(i128::MAX),
            None => i128::try_from(taken - added).map_or(i128::MIN, |less| -less),
        }
    }

    /// Files an amount under a new dot. `false`, and no change, when the dot has an amount already.
    pub fn insert(&mut self, dot: Dot, amount: NonZeroI64) -> bool {
        if self.find(dot).is_some() {
            return false;
        }
        let counter = dot.counter();
        let new = Run { replica: dot.replica, first: counter, last: counter, amount };
        let index = self.runs.partition_point(|run| run.start() < new.start());
        let after_previous = index > 0 && self.runs[index - 1].continues_in(&new);
        let before_next = self.runs.get(index).is_some_and(|next| new.continues_in(next));
        match (after_previous, before_next) {
            (true, true) => self.runs[index - 1].last = self.runs.remove(index).last,
            (true, false) => self.runs[index - 1].last = counter,
            (false, true) => self.runs[index].first = counter,
            (false, false) => self.runs.insert(index, new),
        }
        true
    }

    /// Drops a dot and hands back its amount. A run it was in the middle of is two afterwards.
    pub fn remove(&mut self, dot: Dot) -> Option<NonZeroI64> {
        let index = self.find(dot)?;
        let run = self.runs[index];
        let counter = dot.counter();
        match (run.first < counter, counter < run.last) {
            (false, false) => drop(self.runs.remove(index)),
            (false, true) => self.runs[index].first = counter + 1,
            (true, false) => self.runs[index].last = counter - 1,
            (true, true) => {
                self.runs[index].last = counter - 1;
                self.runs.insert(index + 1, Run { first: counter + 1, ..run });
            }
        }
        Some(run.amount)
    }

    #[cfg(feature = "serde")]
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Adds a run that starts behind the end of all others; whether it did.
    pub(super) fn push(&mut self, run: Run) -> bool {
        match self.runs.last_mut() {
            Some(last) if last.end() >= run.start() => return false,
            Some(last) if last.continues_in(&run) => last.last = run.last,
            _ => self.runs.push(run),
        }
        true
    }

    /// The absolute value of all amounts, or the greatest number there is.
    pub(super) fn magnitude(&self) -> u128 {
        self.runs.iter().map(Run::magnitude).fold(0, u128::saturating_add)
    }

    fn find(&self, dot: Dot) -> Option<usize> {
        let index = self.runs.partition_point(|run| run.end() < (dot.replica, dot.counter()));
        let run = self.runs.get(index)?;
        (run.start() <= (dot.replica, dot.counter())).then_some(index)
    }

    /// The amounts under these dots. O(runs + ranges).
    fn within(&self, dots: &CausalContext) -> Self {
        let mut ranges = dots.ranges().map(|(replica, counters)| Reach::new(replica, &counters)).peekable();
        let mut kept = Self::new();
        for run in &self.runs {
            while ranges.next_if(|range| range.end() < run.start()).is_some() {}
            while let Some(range) = ranges.peek().filter(|range| range.start() <= run.end()) {
                // Neither wholly before nor wholly behind, so of the same replica.
                kept.push(Run { first: run.first.max(range.first), last: run.last.min(range.last), ..*run });
                if range.last > run.last {
                    break;
                }
                ranges.next();
            }
        }
        kept
    }

    /// What `other` and its context take away from here.
    fn dropped_by(&self, other: &Self, other_context: &CausalContext) -> CausalContext {
        let seen_there = self.dots().intersection(other_context);
        if seen_there.is_empty() { seen_there } else { seen_there.difference(&other.dots()) }
    }

    /// Puts the runs of both in one order. No dot is in both.
    fn put_together(&self, other: &Self) -> Self {
        let mut all: SmallVec<[Run; 1]> = SmallVec::with_capacity(self.runs.len() + other.runs.len());
        all.extend(self.runs.iter().chain(&other.runs).copied());
        Self::from_any_order(all)
    }

    fn from_any_order(mut runs: SmallVec<[Run; 1]>) -> Self {
        // Usually two sorted lists, which a merge sort joins in linear time.
        runs.sort_by_key(Run::start);
        let mut ordered = Self::new();
        for run in runs {
            ordered.push(run);
        }
        ordered
    }
}

/// A range of a context beside runs.
struct Reach {
    replica: ReplicaId,
    first: u64,
    last: u64,
}

impl Reach {
    const fn new(replica: ReplicaId, counters: &RangeInclusive<u64>) -> Self {
        Self { replica, first: *counters.start(), last: *counters.end() }
    }

    const fn start(&self) -> (ReplicaId, u64) {
        (self.replica, self.first)
    }

    const fn end(&self) -> (ReplicaId, u64) {
        (self.replica, self.last)
    }
}

/// As for [`DotFun`](super::DotFun), by whole runs.
impl DotStore for DotRuns {
    fn join(&mut self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> Change {
        let dropped = self.dropped_by(other, other_context);
        if !dropped.is_empty() {
            *self = self.within(&self.dots().difference(&dropped));
        }
        let news = other.unseen_by(context);
        if !news.is_empty() {
            *self = self.put_together(&news);
        }
        Change::from(!dropped.is_empty() || !news.is_empty())
    }

    /// Other than `join`, this tells different amounts under one dot apart.
    fn absorbs(&self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> bool {
        context.is_superset(&other.dots())
            && self.dropped_by(other, other_context).is_empty()
            && self.find_fork(context, other).is_none()
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn for_each_dot(&self, visit: &mut dyn FnMut(Dot)) {
        for run in &self.runs {
            run.counters().filter_map(|counter| Dot::new(run.replica, counter)).for_each(&mut *visit);
        }
    }

    fn for_each_range(&self, visit: &mut dyn FnMut(ReplicaId, RangeInclusive<u64>)) {
        for run in &self.runs {
            visit(run.replica, run.counters());
        }
    }

    fn unseen_by(&self, context: &CausalContext) -> Self {
        let unseen = self.dots().difference(context);
        if unseen.is_empty() { Self::new() } else { self.within(&unseen) }
    }

    /// Different amounts under one dot. O(runs).
    fn find_fork(&self, _: &CausalContext, other: &Self) -> Option<Dot> {
        let mut theirs = other.runs.iter().peekable();
        for ours in &self.runs {
            while theirs.next_if(|their| their.end() < ours.start()).is_some() {}
            while let Some(their) = theirs.peek().filter(|their| their.start() <= ours.end()) {
                if their.amount != ours.amount {
                    return Dot::new(ours.replica, ours.first.max(their.first));
                }
                if their.last > ours.last {
                    break;
                }
                theirs.next();
            }
        }
        None
    }

    /// Counts twice what both hold, which honest amounts are far too small for to matter. O(runs).
    fn find_overflow(&self, other: &Self) -> Option<ReplicaId> {
        let together = self.magnitude().saturating_add(other.magnitude());
        let greatest = self.runs.iter().chain(&other.runs).max_by_key(|run| run.magnitude())?;
        (together > Self::MAX_MAGNITUDE).then_some(greatest.replica)
    }

    fn renamed(&self, rename: &dyn Fn(Dot) -> Dot) -> Self {
        let renamed = self.runs.iter().filter_map(|run| {
            let first = rename(Dot::new(run.replica, run.first)?);
            let last = first.counter().saturating_add(run.len() - 1);
            Some(Run { replica: first.replica, first: first.counter(), last, ..*run })
        });
        Self::from_any_order(renamed.collect())
    }

    /// One part per run.
    fn split(&self) -> Vec<(Dot, Self)> {
        let part =
            |run: &Run| Some((Dot::new(run.replica, run.first)?, Self { runs: SmallVec::from_buf([*run]) }));
        self.runs.iter().filter_map(part).collect()
    }
}

/// One part per run.
impl StoreDigest for DotRuns {
    fn digest_parts(&self, path: &FingerprintWriter) -> u128 {
        sum(self.runs.iter().map(|run| {
            let mut part = path.clone();
            part.write(&run.replica);
            part.write(&run.first);
            part.write(&run.last);
            part.write(&run.amount.get());
            part.finish()
        }))
    }
}

impl HeapSize for DotRuns {
    fn heap_size(&self) -> usize {
        if self.runs.spilled() { self.runs.capacity() * size_of::<Run>() } else { 0 }
    }
}

/// The first amount given for a dot stays.
impl FromIterator<(Dot, NonZeroI64)> for DotRuns {
    fn from_iter<I: IntoIterator<Item = (Dot, NonZeroI64)>>(amounts: I) -> Self {
        let mut runs = Self::new();
        for (dot, amount) in amounts {
            runs.insert(dot, amount);
        }
        runs
    }
}

/// `{a1b2c3d4:1..=3: 5}`
impl fmt::Debug for DotRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.runs.iter().map(|run| (ShortRun(run), run.amount))).finish()
    }
}

struct ShortRun<'a>(&'a Run);

impl fmt::Debug for ShortRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{:?}", self.0.replica, self.0.counters())
    }
}
