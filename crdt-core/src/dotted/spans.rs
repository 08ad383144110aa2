//! Live dots as ranges on their way from a store to a set.

use alloc::vec::Vec;

use super::DotStore;
use crate::{CausalContext, Dot, ReplicaId};

/// Consecutive dots that a store keeps in one piece.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    replica: ReplicaId,
    first: u64,
    last: u64,
}

/// All live dots of a store, in order. They overlap where a store holds a dot twice.
pub(super) fn ascending<S: DotStore>(store: &S) -> Vec<Span> {
    let mut spans = Vec::new();
    store.for_each_range(&mut |replica, counters| {
        let (first, last) = counters.into_inner();
        spans.push(Span { replica, first, last });
    });
    spans.sort_unstable();
    spans
}

/// The set of them. O(n) for spans that touch, O(log n) more for each gap.
pub(super) fn union(ascending: &[Span]) -> CausalContext {
    let mut context = CausalContext::new();
    let mut spans = ascending.iter().copied();
    let Some(mut open) = spans.next() else { return context };
    for span in spans {
        if span.replica == open.replica && span.first <= open.last.saturating_add(1) {
            open.last = open.last.max(span.last);
        } else {
            context.insert_range(open.replica, open.first..=open.last);
            open = span;
        }
    }
    context.insert_range(open.replica, open.first..=open.last);
    context
}

/// A dot that is in two of them, if there is one.
pub(super) fn overlap(ascending: &[Span]) -> Option<Dot> {
    let mut pairs = ascending.windows(2).map(|pair| (pair[0], pair[1]));
    let overlaps = |(one, next): &(Span, Span)| next.replica == one.replica && next.first <= one.last;
    let (_, twice) = pairs.find(overlaps)?;
    Dot::new(twice.replica, twice.first)
}
