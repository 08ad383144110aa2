//! Scopes: which part of the data a node holds.
//!
//! A *whole* node holds everything. A *partial replica* declares a [`Scope`] and holds what lies within it: a phone
//! holds one project of many. It greets with its scope, and whole nodes send it nothing else: of an entry outside it
//! learns that it is there, by number, and nothing of its key or content but what a hash of all of it gives away to
//! whoever can guess it whole.
//!
//! - A partial replica meets whole nodes only. Two partial ones part with
//!   [`Farewell::PartialReplica`](crate::wire::Farewell::PartialReplica), whatever their scopes.
//! - It writes within its scope only ([`WriteError::OutOfScope`](crate::WriteError::OutOfScope)), and says so when it
//!   is asked for a key outside ([`Reply::OutOfScope`](crate::Reply::OutOfScope)).
//! - Its own writes go to every whole node it meets, as entries. Of what others wrote it keeps no entries, and passes
//!   on the states in sessions.
//! - Its heads are heads *within its scope*. Others take its word only for what it wrote itself.
//! - The scope is for life: to hold something else a node is founded anew and catches up.
//! - What it heard of others' writes, and all whole nodes lost, it goes on to hold: it has no entries to give back.
//! - Forks are healed among whole nodes. A partial replica cannot divide a history, because it does not hold it; from a
//!   peer that knows other forks it is fenced ([`Event::PartialFenced`](crate::Event::PartialFenced)).
//!
//! # Why its causal context may cover what it never saw
//!
//! A head stands for everything at or below it, so the causal context of a partial replica covers the sequences of
//! entries that were skipped. That is sound because it holds no key outside its scope, at no time: a dot belongs to
//! one entry, an entry to one key, and the dots in the state of a key are those of entries of that key. A join at a
//! key asks a context only about dots in states of that key, on either side. The dot of a skipped entry is a dot of
//! a key outside the scope; it occurs in no state that is joined at the partial replica, nor in one that a whole
//! node joins with it, because both refuse states of keys outside the scope. So whether it counts as seen decides
//! nothing. Where a whole node takes over what a partial one has seen *for good*, it takes the identities the
//! partial one wrote under, and no others: those wrote within the scope only, so that nothing of them was skipped.
//!
//! Those identities took away what others had written, though, and the whole node may hear of that only later. Then it
//! must not live: a head stands for all that the entries up to it did. So the whole node keeps, beside its own context,
//! that of the partial one with the scope it holds for, a [`ScopedContext`], and joins the keys within by both. Of keys
//! outside it says nothing. What the whole node has seen of everything it need not keep for a scope; and it tells
//! whoever takes over its heads what is left, partial replicas as far as the two scopes meet.

mod scoped;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bytes::Bytes;
use crate::collection::CollectionId;

pub use scoped::ScopedContext;

/// The keys of a collection that begin with a prefix; with the empty prefix all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Selector {
    /// The collection.
    pub collection: CollectionId,
    /// What the keys begin with.
    pub prefix: Bytes,
}

/// The part of the data that a node holds: everything, or the keys that some selectors name.
///
/// ```
/// use crdt_sync::{Collection, Scope};
///
/// let notes = Collection::sets("notes").id();
/// let scope = Scope::everything().only(notes, "apollo/");
/// assert!(scope.contains(notes, b"apollo/todo") && !scope.contains(notes, b"gemini/todo"));
/// assert!(Scope::everything().contains(notes, b"gemini/todo"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Option<Vec<Selector>>")]
pub struct Scope {
    /// Ascending, and none of them within another; `None` selects everything.
    selectors: Option<Vec<Selector>>,
}

/// The selectors of a scope are not ascending, or one lies within another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the selectors of a scope are not in order")]
pub struct ScopeOutOfOrder;

impl TryFrom<Option<Vec<Selector>>> for Scope {
    type Error = ScopeOutOfOrder;

    fn try_from(selectors: Option<Vec<Selector>>) -> Result<Self, ScopeOutOfOrder> {
        let in_order = |pair: &[Selector]| pair[0] < pair[1] && !pair[0].covers(&pair[1]);
        if selectors.iter().all(|selectors| selectors.windows(2).all(in_order)) {
            Ok(Self { selectors })
        } else {
            Err(ScopeOutOfOrder)
        }
    }
}

impl Selector {
    fn covers(&self, other: &Self) -> bool {
        self.collection == other.collection && other.prefix.starts_with(&self.prefix)
    }
}

impl Scope {
    /// The scope of a whole node.
    pub const fn everything() -> Self {
        Self { selectors: None }
    }

    /// The scope that holds no key.
    pub const fn nothing() -> Self {
        Self { selectors: Some(Vec::new()) }
    }

    /// Of a scope of everything, these keys only; of any other, these as well. O(selectors).
    #[must_use]
    pub fn only(self, collection: CollectionId, prefix: impl Into<Bytes>) -> Self {
        let new = Selector { collection, prefix: prefix.into() };
        let mut selectors = self.selectors.unwrap_or_default();
        if !selectors.iter().any(|known| known.covers(&new)) {
            selectors.retain(|known| !new.covers(known));
            selectors.push(new);
            selectors.sort_unstable();
        }
        Self { selectors: Some(selectors) }
    }

    /// The keys that lie within both. O(selectors x log selectors).
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (ours, theirs) = match (&self.selectors, &other.selectors) {
            (None, _) => return other.clone(),
            (_, None) => return self.clone(),
            (Some(ours), Some(theirs)) => (ours, theirs),
        };
        let ours = ours.iter().filter(|s| other.contains(s.collection, &s.prefix));
        let theirs = theirs.iter().filter(|s| self.contains(s.collection, &s.prefix));
        let both: BTreeSet<_> = ours.chain(theirs).cloned().collect();
        Self { selectors: Some(both.into_iter().collect()) }
    }

    /// Whether it is the scope of a whole node.
    pub const fn is_everything(&self) -> bool {
        self.selectors.is_none()
    }

    /// Whether a key lies within. O(log selectors).
    pub fn contains(&self, collection: CollectionId, key: &[u8]) -> bool {
        let Some(selectors) = &self.selectors else { return true };
        // Of selectors none of which lies within another, one that covers the key is the last that sorts before it.
        let sorts_before = |s: &Selector| (s.collection, &*s.prefix) <= (collection, key);
        let at = selectors.partition_point(sorts_before);
        let last = at.checked_sub(1).and_then(|at| selectors.get(at));
        last.is_some_and(|s| s.collection == collection && key.starts_with(&s.prefix))
    }

    /// Whether any key of a collection lies within. O(selectors).
    pub fn touches(&self, collection: CollectionId) -> bool {
        let selectors = self.selectors.as_ref();
        selectors.is_none_or(|selectors| selectors.iter().any(|s| s.collection == collection))
    }

    /// The selectors, ascending; `None` for everything.
    pub fn selectors(&self) -> Option<&[Selector]> {
        self.selectors.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::collection::Collection;

    fn collection(number: u8) -> CollectionId {
        Collection::sets(if number == 0 { "notes" } else { "lists" }).id()
    }

    fn arb_key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0u8..3, 0..4)
    }

    proptest! {
        #[test]
        fn a_scope_contains_what_any_of_its_selectors_names(
            selectors in prop::collection::vec((0u8..2, arb_key()), 0..6),
            number in 0u8..2,
            key in arb_key(),
        ) {
            let named = selectors.iter().any(|(of, prefix)| *of == number && key.starts_with(prefix));
            let scope = selectors.iter().fold(Scope::nothing(), |scope, (of, prefix)| {
                scope.only(collection(*of), prefix.clone())
            });
            prop_assert_eq!(scope.contains(collection(number), &key), named);
            let again = Scope::try_from(scope.selectors.clone());
            prop_assert_eq!(again, Ok(scope));
        }
    }

    #[test]
    fn a_scope_has_one_form() {
        let selector = |prefix: &str| Selector { collection: collection(0), prefix: prefix.into() };
        for disorder in [["b", "a"], ["a", "a"], ["a", "ab"]] {
            let selectors = disorder.map(selector).to_vec();
            assert_eq!(Scope::try_from(Some(selectors)), Err(ScopeOutOfOrder));
        }
        let scope = Scope::nothing().only(collection(0), "ab").only(collection(0), "a");
        assert_eq!(scope.selectors(), Some(&vec![selector("a")][..]));
    }
}
