//! The set as a dot store.

use alloc::vec::Vec;
use core::hash::Hash;
use core::ops::RangeInclusive;

use super::{ElementStore, digest_part};
use crate::clock::Ranges;
use crate::dotted::{DotStore, StoreDigest};
use crate::fingerprint::sum;
use crate::{
    CanonicalBytes, CausalContext, Change, Dot, FingerprintWriter, InvalidCausal, ReplicaId, VersionDigest,
};

/// Joins are made for deltas as for whole states: the cost is the ranges of the other context, the pages they meet (a
/// word each for 64 dots) and the elements that come or go. Where both sides have seen the same of a replica and hold
/// the same, the join does not look further, so equal sets cost O(replicas).
impl<T: Eq + Hash + Clone> DotStore for ElementStore<T> {
    fn join(&mut self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> Change {
        if self.is_empty() && context.is_empty() {
            // What is told about the own digest stays; the other may not have been told.
            let tracked = self.tracked_like(other);
            self.clone_from(other);
            self.tracked = tracked;
            return Change::from(!self.is_empty());
        }
        let plan = self.plan(context, other, other_context, true);
        if plan.is_empty() {
            return Change::Unchanged;
        }
        self.apply(&plan, other);
        Change::Changed
    }

    /// O(elements): different elements under one dot are told apart, and such states do not absorb each other.
    fn absorbs(&self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> bool {
        self.plan(context, other, other_context, false).is_empty() && self.disagreement(other).is_none()
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn for_each_dot(&self, visit: &mut dyn FnMut(Dot)) {
        self.iter_dots().for_each(|(dot, _)| visit(dot));
    }

    fn for_each_range(&self, visit: &mut dyn FnMut(ReplicaId, RangeInclusive<u64>)) {
        for row in self.rows.iter() {
            row.pages.ranges().iter().for_each(|range| visit(row.id, range.start..=range.end));
        }
    }

    /// O(live dots / 64), and O(holes) where there are such.
    fn dots(&self) -> CausalContext {
        let rows = self.rows.iter();
        CausalContext::from_ascending(rows.map(|row| (row.id, Ranges::from_canonical(row.pages.ranges()))))
    }

    /// O(ranges + result).
    fn unseen_by(&self, context: &CausalContext) -> Self {
        self.part(&self.unseen(context))
    }

    /// A dot cannot be in two places here. O(live dots / 64), and O(holes) where there are such.
    fn check(&self, context: &CausalContext) -> Result<(), InvalidCausal> {
        match self.dots().first_outside(context) {
            Some(dot) => Err(InvalidCausal::DotOutsideContext { dot }),
            None => Ok(()),
        }
    }

    /// Different elements under one dot. An element is filed under nothing but its dots, so there is no other place
    /// where a dot could be astray.
    fn find_fork(&self, _: &CausalContext, other: &Self) -> Option<Dot> {
        self.disagreement(other)
    }

    fn renamed(&self, rename: &dyn Fn(Dot) -> Dot) -> Self {
        let live = self.iter_dots().map(|(dot, element)| (rename(dot), element.clone()));
        let mut renamed: Self = live.collect();
        renamed.tracked = self.tracked_like(&renamed);
        renamed
    }

    fn split(&self) -> Vec<(Dot, Self)> {
        let single = |(dot, element): (Dot, &T)| (dot, Self::from_iter([(dot, element.clone())]));
        self.iter_dots().map(single).collect()
    }
}

impl<T: CanonicalBytes + Eq + Hash + Clone> StoreDigest for ElementStore<T> {
    fn digest_parts(&self, path: &FingerprintWriter) -> u128 {
        sum(self.iter_dots().map(|(dot, element)| digest_part(path, dot, element)))
    }

    /// O(1) if it is [tracked](ElementStore::track_digest).
    fn store_digest(&self) -> u128 {
        match self.tracked {
            Some(tracked) => tracked.sum,
            None => self.sum_parts(super::part_under_root::<T>),
        }
    }
}

impl<T: CanonicalBytes + Eq + Hash + Clone> VersionDigest for ElementStore<T> {
    fn version_digest(&self) -> u128 {
        self.store_digest()
    }
}
