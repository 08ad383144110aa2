//! The map as a dot store.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::index::{Index, Piece};
use super::{DotMap, INDEXED_ABOVE};
use crate::dotted::{DotStore, spans};
use crate::{CausalContext, Change, Crdt, Dot, ReplicaId};

/// Key by key; a key that one side lacks has the empty store there.
///
/// What can change in a join are the keys that `other` has and those that hold a dot `other_context` has seen. Where
/// the index finds that these are few, a join looks at no others.
impl<K: Ord + Clone, S: DotStore> DotStore for DotMap<K, S> {
    /// O(log n) for each key of `other`, each range of `other_context` and each piece alive in there, if they are few;
    /// else one walk over both maps, after which an index that does not hold any more is gone.
    fn join(&mut self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> Change {
        let mut index = self.kept.index.take();
        if self.len() > INDEXED_ABOVE && other.len() <= self.few() {
            // Keys in doubt are looked at every time.
            let usable = index.filter(|index| index.unsure().len() <= self.few() / 2);
            index = usable.or_else(|| Index::of(self.iter()).map(Box::new));
            if let Some(mut found) = index.take() {
                if let Some(pieces) = found.among(other_context, self.few()) {
                    let (change, sound) = self.join_few(&mut found, &pieces, context, other, other_context);
                    self.kept.index = Some(found).filter(|_| sound);
                    self.drop_index_if_small();
                    return change;
                }
                index = Some(found);
            }
        }
        let change = self.join_all(context, other, other_context);
        if !change.is_changed() {
            self.kept.index = index;
        }
        change
    }

    fn absorbs(&self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> bool {
        let few = self.few();
        if other.len() <= few
            && let Some(index) = &self.kept.index
            && let Some(pieces) = index.among(other_context, few)
        {
            let nothing = S::default();
            let loses_nothing =
                |key: &K| self.get(key).is_none_or(|ours| ours.absorbs(context, &nothing, other_context));
            return touched(index, &pieces)
                .into_iter()
                .all(|key| other.get(key).is_some() || loses_nothing(key))
                && other.iter().all(|(key, theirs)| {
                    self.get(key).unwrap_or(&nothing).absorbs(context, theirs, other_context)
                });
        }
        self.absorbs_all(context, other, other_context)
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn for_each_dot(&self, visit: &mut dyn FnMut(Dot)) {
        for store in self.entries.values() {
            store.for_each_dot(visit);
        }
    }

    fn for_each_range(&self, visit: &mut dyn FnMut(ReplicaId, RangeInclusive<u64>)) {
        for store in self.entries.values() {
            store.for_each_range(visit);
        }
    }

    /// O(n) where there is an index, which has them in order.
    fn dots(&self) -> CausalContext {
        match &self.kept.index {
            Some(index) if index.is_sure() => index.dots(),
            _ => spans::union(&spans::ascending(self)),
        }
    }

    /// O(log n) for each replica, gap of `context` and result, if they are few and there is an index; else O(n).
    fn unseen_by(&self, context: &CausalContext) -> Self {
        if let Some(index) = &self.kept.index
            && let Some(pieces) = index.outside(context, self.few())
        {
            let keys = touched(index, &pieces).into_iter();
            return Self::unseen_of(keys.filter_map(|key| Some((key, self.get(key)?))), context);
        }
        Self::unseen_of(self.iter(), context)
    }

    /// A fork within a key, or a dot that is alive under one key here and under another there.
    fn find_fork(&self, context: &CausalContext, other: &Self) -> Option<Dot> {
        let Some(index) = self.kept.index.as_ref().filter(|index| index.is_sure()) else {
            return self.find_fork_in_all(context, other);
        };
        let nothing = S::default();
        let mut astray: Option<Dot> = None;
        for (key, theirs) in other.iter() {
            if let Some(dot) = self.get(key).unwrap_or(&nothing).find_fork(context, theirs) {
                return Some(dot);
            }
            let here = index.among(&theirs.dots(), usize::MAX).unwrap_or_default();
            let elsewhere = here.into_iter().filter(|piece| *piece.key != *key);
            let first = elsewhere.filter_map(|piece| Dot::new(piece.replica, piece.counters.start)).min();
            astray = astray.into_iter().chain(first).min();
        }
        astray
    }

    /// Key by key: each sums up on its own.
    fn find_overflow(&self, other: &Self) -> Option<ReplicaId> {
        let shared = other.iter().filter_map(|(key, theirs)| Some((self.get(key)?, theirs)));
        shared.into_iter().find_map(|(ours, theirs)| ours.find_overflow(theirs))
    }

    fn renamed(&self, rename: &dyn Fn(Dot) -> Dot) -> Self {
        let entries = self.iter().map(|(key, store)| (key.clone(), store.renamed(rename)));
        let mut renamed = Self::of_entries(entries.collect());
        renamed.kept.tracked = self.kept.tracked.as_ref().map(|tracked| Box::new(tracked.of(&renamed)));
        renamed
    }

    fn split(&self) -> Vec<(Dot, Self)> {
        let parts =
            self.iter().flat_map(|(key, store)| store.split().into_iter().map(move |part| (key, part)));
        parts.map(|(key, (dot, part))| (dot, Self::of_entries([(key.clone(), part)].into()))).collect()
    }
}

/// The keys that pieces are alive under, and those in doubt.
fn touched<'a, K: Ord>(index: &'a Index<K>, pieces: &'a [Piece<K>]) -> BTreeSet<&'a K> {
    pieces.iter().map(|piece| &piece.key).chain(index.unsure()).map(|key| &**key).collect()
}

/// By way of the index.
impl<K: Ord + Clone, S: DotStore> DotMap<K, S> {
    /// How many keys are few enough that looking them up is cheaper than a walk.
    fn few(&self) -> usize {
        self.len() / 4
    }

    /// Joins, given the `pieces` of this map that `other_context` has seen. The second result is whether the index,
    /// which is kept up, still is one.
    fn join_few(
        &mut self,
        index: &mut Index<K>,
        pieces: &[Piece<K>],
        context: &CausalContext,
        other: &Self,
        other_context: &CausalContext,
    ) -> (Change, bool) {
        let nothing = S::default();
        let mut seen_there: BTreeMap<Arc<K>, CausalContext> =
            index.unsure().iter().map(|key| (Arc::clone(key), CausalContext::new())).collect();
        for piece in pieces {
            let counters = piece.counters.start..=piece.counters.end;
            seen_there.entry(Arc::clone(&piece.key)).or_default().insert_range(piece.replica, counters);
            index.cut(piece);
        }
        let mut tracked = self.kept.tracked.take();
        let (mut change, mut sound) = (Change::Unchanged, true);
        let mut join_at = |key: &K, theirs: &S, index: &mut Index<K>| {
            let Some(store) = self.entries.get_mut(key) else {
                let news = theirs.unseen_by(context);
                if !news.is_empty() {
                    if let Some(tracked) = &mut tracked {
                        tracked.add(key, &news);
                    }
                    self.entries.insert(key.clone(), news);
                    change = Change::Changed;
                }
                return;
            };
            if let Some(tracked) = &mut tracked {
                tracked.subtract(key, store);
            }
            change |= store.join(context, theirs, other_context);
            if store.is_empty() {
                self.entries.remove(key);
                index.forget(key);
            } else if let Some(tracked) = &mut tracked {
                tracked.add(key, store);
            }
        };
        for key in seen_there.keys().filter(|key| other.get(&***key).is_none()) {
            join_at(key, &nothing, index);
        }
        for (key, theirs) in other.iter() {
            join_at(key, theirs, index);
            // Cut above: what both hold is to be noted again, beside what is new.
            let dots = theirs.dots();
            let mut alive = dots.difference(context);
            if let Some(ours) = seen_there.get(key) {
                // A set: whether it grows does not matter.
                let _ = alive.merge(&dots.intersection(ours));
            }
            if !alive.is_empty() {
                sound = sound && index.amend(key, &CausalContext::new(), &alive);
            }
        }
        self.kept.tracked = tracked;
        (change, sound)
    }

    fn unseen_of<'a>(entries: impl Iterator<Item = (&'a K, &'a S)>, context: &CausalContext) -> Self
    where
        K: 'a,
        S: 'a,
    {
        let unseen = entries.map(|(key, store)| (key, store.unseen_by(context)));
        let unseen = unseen.filter(|(_, store)| !store.is_empty());
        Self::of_entries(unseen.map(|(key, store)| (key.clone(), store)).collect())
    }
}

/// By walking both maps.
impl<K: Ord + Clone, S: DotStore> DotMap<K, S> {
    /// Does not keep up the index.
    pub(super) fn join_all(
        &mut self,
        context: &CausalContext,
        other: &Self,
        other_context: &CausalContext,
    ) -> Change {
        let nothing = S::default();
        let mut tracked = self.kept.tracked.take();
        let mut change = Change::Unchanged;
        let mut theirs = other.iter().peekable();
        let mut theirs_only = Vec::new();
        self.entries.retain(|key, store| {
            while let Some(only) = theirs.next_if(|(other, _)| *other < key) {
                theirs_only.push(only);
            }
            let same = theirs.next_if(|(other, _)| *other == key).map_or(&nothing, |(_, store)| store);
            let Some(tracked) = &mut tracked else {
                change |= store.join(context, same, other_context);
                return !store.is_empty();
            };
            // Digests cost more than a look.
            if store.absorbs(context, same, other_context) {
                return true;
            }
            tracked.subtract(key, store);
            change |= store.join(context, same, other_context);
            let stays = !store.is_empty();
            if stays {
                tracked.add(key, store);
            }
            stays
        });
        for (key, store) in theirs_only.into_iter().chain(theirs) {
            let news = store.unseen_by(context);
            if !news.is_empty() {
                if let Some(tracked) = &mut tracked {
                    tracked.add(key, &news);
                }
                self.entries.insert(key.clone(), news);
                change = Change::Changed;
            }
        }
        self.kept.tracked = tracked;
        change
    }

    pub(super) fn absorbs_all(
        &self,
        context: &CausalContext,
        other: &Self,
        other_context: &CausalContext,
    ) -> bool {
        let nothing = S::default();
        let mut theirs = other.iter().peekable();
        let brings_nothing = |store: &S| nothing.absorbs(context, store, other_context);
        self.iter().all(|(key, store)| {
            while let Some((_, only)) = theirs.next_if(|(other, _)| *other < key) {
                if !brings_nothing(only) {
                    return false;
                }
            }
            let same = theirs.next_if(|(other, _)| *other == key).map_or(&nothing, |(_, store)| store);
            store.absorbs(context, same, other_context)
        }) && theirs.all(|(_, only)| brings_nothing(only))
    }

    pub(super) fn find_fork_in_all(&self, context: &CausalContext, other: &Self) -> Option<Dot> {
        let nothing = S::default();
        let mut astray = CausalContext::new();
        for (key, theirs) in other.iter() {
            let ours = self.get(key).unwrap_or(&nothing);
            if let Some(dot) = ours.find_fork(context, theirs) {
                return Some(dot);
            }
            // A set: whether it grows does not matter.
            let _ = astray.merge(&theirs.dots().intersection(context).difference(&ours.dots()));
        }
        if astray.is_empty() {
            return None;
        }
        // Usually removed here; else alive under another key.
        self.dots().intersection(&astray).dots().next()
    }
}
