//! What was seen of some keys only.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;

use crdt_core::{CausalContext, Crdt, ReplicaId};
use serde::{Deserialize, Serialize};

use super::Scope;
use crate::collection::CollectionId;

/// Dots that count as seen where they are of a key within a scope, and say nothing of any other key.
///
/// A partial replica's context is such a one: it covers what was skipped. Without the scope it could not be kept by
/// anybody who holds more; without the dots it would be forgotten what the partial replica took away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScopedContext(BTreeMap<Scope, CausalContext>);

impl ScopedContext {
    /// These dots were seen of the keys of this scope.
    pub fn new(scope: Scope, dots: &CausalContext) -> Self {
        let mut scoped = Self::default();
        scoped.add(scope, dots);
        scoped
    }

    /// What was seen of a key, where `everywhere` was seen of all. O(ranges) for each scope that the key lies within,
    /// and O(log selectors) for each other.
    pub(crate) fn of_key<'e>(
        &self,
        collection: CollectionId,
        key: &[u8],
        everywhere: &'e CausalContext,
    ) -> Cow<'e, CausalContext> {
        let mut seen = Cow::Borrowed(everywhere);
        for dots in self.0.iter().filter(|(scope, _)| scope.contains(collection, key)).map(|(_, dots)| dots) {
            if !seen.is_superset(dots) {
                let _ = seen.to_mut().merge(dots);
            }
        }
        seen
    }

    fn add(&mut self, scope: Scope, dots: &CausalContext) {
        if scope != Scope::nothing() && !dots.is_empty() {
            let _ = self.0.entry(scope).or_default().merge(dots);
        }
    }

    /// Takes in more. O(ranges).
    pub(crate) fn merge(&mut self, more: &Self) {
        for (scope, dots) in &more.0 {
            self.add(scope.clone(), dots);
        }
    }

    /// What is left where `everywhere` was seen of all keys. O(ranges).
    pub(crate) fn beyond(&self, everywhere: &CausalContext) -> Self {
        self.map(|dots| dots.difference(everywhere))
    }

    /// What is left where dots of an identity above a sequence are no longer dots of that identity. O(ranges).
    pub(crate) fn without_above(&self, origin: ReplicaId, sequence: u64) -> Self {
        self.map(|dots| {
            let mut gone = CausalContext::new();
            gone.insert_range(origin, sequence + 1..=dots.highest(origin));
            dots.difference(&gone)
        })
    }

    fn map(&self, change: impl Fn(&CausalContext) -> CausalContext) -> Self {
        let mut changed = Self::default();
        for (scope, dots) in &self.0 {
            changed.add(scope.clone(), &change(dots));
        }
        changed
    }

    /// As much of it as is of keys within a scope. O(ranges, and selectors of both).
    pub(crate) fn within(&self, scope: &Scope) -> Self {
        let mut part = Self::default();
        for (of, dots) in &self.0 {
            part.add(of.intersection(scope), dots);
        }
        part
    }

    /// The dots, by scope.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = &CausalContext> {
        self.0.values()
    }

    /// How large it is, in ranges and what takes up as much.
    pub(crate) fn size(&self) -> usize {
        let selectors = self.0.keys().flat_map(|scope| scope.selectors().unwrap_or_default());
        let scopes = self.0.len() + selectors.map(|selector| 1 + selector.prefix.len() / 16).sum::<usize>();
        scopes + self.contexts().map(CausalContext::range_count).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use crdt_core::{Dot, codec};
    use proptest::prelude::*;

    use super::*;
    use crate::collection::Collection;

    const KEYS: [&str; 5] = ["", "a", "ab", "b", "ba"];

    fn lists() -> CollectionId {
        Collection::sets("lists").id()
    }

    fn arb_scope() -> impl Strategy<Value = Scope> {
        let prefixes = prop::collection::vec(prop::sample::select(KEYS.to_vec()), 0..3);
        prefixes
            .prop_map(|prefixes| prefixes.iter().fold(Scope::nothing(), |scope, p| scope.only(lists(), *p)))
    }

    fn arb_dots() -> impl Strategy<Value = CausalContext> {
        let dot =
            (1u128..3, 1u64..6).prop_map(|(origin, at)| Dot::new(ReplicaId::from_u128(origin), at).unwrap());
        prop::collection::vec(dot, 0..6).prop_map(CausalContext::from_iter)
    }

    fn arb_scoped() -> impl Strategy<Value = Vec<(Scope, CausalContext)>> {
        prop::collection::vec((arb_scope(), arb_dots()), 0..5)
    }

    fn merged(parts: &[(Scope, CausalContext)]) -> ScopedContext {
        parts.iter().fold(ScopedContext::default(), |mut all, (scope, dots)| {
            all.merge(&ScopedContext::new(scope.clone(), dots));
            all
        })
    }

    /// The naive model: what was seen of a key, dot by dot.
    fn seen(parts: &[(Scope, CausalContext)], key: &str, everywhere: &CausalContext) -> BTreeSet<Dot> {
        let of_key = parts.iter().filter(|(scope, _)| scope.contains(lists(), key.as_bytes()));
        of_key.flat_map(|(_, dots)| dots.dots()).chain(everywhere.dots()).collect()
    }

    proptest! {
        #[test]
        fn of_a_key_was_seen_what_was_seen_of_any_scope_around_it(
            parts in arb_scoped(),
            scope in arb_scope(),
            everywhere in arb_dots(),
            above in 0u64..6,
        ) {
            let all = merged(&parts);
            let origin = ReplicaId::from_u128(1);
            let dots = |scoped: &ScopedContext, key: &str, everywhere: &CausalContext| -> BTreeSet<Dot> {
                scoped.of_key(lists(), key.as_bytes(), everywhere).dots().collect()
            };
            let nothing = CausalContext::new();
            for key in KEYS {
                let of_key = seen(&parts, key, &everywhere);
                prop_assert_eq!(&dots(&all, key, &everywhere), &of_key);
                prop_assert_eq!(&dots(&all.beyond(&everywhere), key, &everywhere), &of_key);
                let within = scope.contains(lists(), key.as_bytes());
                let part = if within { seen(&parts, key, &nothing) } else { BTreeSet::new() };
                prop_assert_eq!(dots(&all.within(&scope), key, &nothing), part);
                let mut kept = seen(&parts, key, &nothing);
                kept.retain(|dot| dot.replica != origin || dot.counter() <= above);
                prop_assert_eq!(dots(&all.without_above(origin, above), key, &nothing), kept);
            }
            prop_assert_eq!(all.within(&Scope::everything()), all.clone());
            let bytes = codec::encode_payload(&all);
            prop_assert_eq!(codec::decode_payload(&bytes, &crdt_core::Limits::default()), Ok(all));
        }

        #[test]
        fn in_the_intersection_of_two_scopes_lies_what_lies_in_both(one in arb_scope(), other in arb_scope()) {
            let both = one.intersection(&other);
            for key in KEYS.map(str::as_bytes) {
                let in_both = one.contains(lists(), key) && other.contains(lists(), key);
                prop_assert_eq!(both.contains(lists(), key), in_both);
            }
            prop_assert_eq!(&Scope::try_from(both.selectors.clone()), &Ok(both.clone()));
            prop_assert_eq!(both, other.intersection(&one));
            prop_assert_eq!(one.intersection(&Scope::everything()), one);
        }
    }
}
