//! Dot stores: what is left of a causal history, kept apart from the history itself.
//!
//! A causal type has two halves. The *context* ([`CausalContext`]) is the set of all changes seen.
//! The *store* holds what is still alive, filed under the dots that brought it. A dot in the
//! context and not in the store was removed, a dot in neither was never seen; that difference is
//! what makes tombstones unnecessary.
//!
//! | store | holds | serves |
//! |---|---|---|
//! | [`DotSet`] | live dots | flags, one element of a set |
//! | [`DotFun`] | a value under each live dot | registers that keep concurrent values |
//! | [`DotRuns`] | an amount under each live dot, runs in one piece | counters |
//! | [`DotMap`] | a store under each key | sets, maps |
//!
//! Joins take both contexts by reference, so any number of stores can live under one shared
//! context. A value that stands alone brings its own: [`Causal`].
//!
//! Two rules hold for every store, and the joins rely on them:
//!
//! 1. every dot in a store is also in the context it lives under;
//! 2. a dot names one change: it sits in one place of one store, and what it holds never changes.
//!    Every change mints a dot; a removal mints none.
//!
//! Source: Almeida, Shoker, Baquero, "Delta State Replicated Data Types" (2018), section 7.

#[cfg(feature = "serde")]
pub(crate) mod ascending;
mod causal;
mod causal_type;
mod digest;
mod dot_fun;
mod dot_map;
mod dot_runs;
#[cfg(feature = "serde")]
mod dot_runs_serde;
mod dot_set;
mod dotted_value;
mod elements;
mod spans;

pub use causal::{Causal, CausalDigest};
pub use causal_type::CausalCrdt;
pub(crate) use causal_type::causal_type;
pub use digest::StoreDigest;
pub(crate) use digest::b_tree_bytes;
pub use dot_fun::DotFun;
pub use dot_map::DotMap;
pub(crate) use dot_map::Told;
pub use dot_runs::DotRuns;
pub use dot_set::DotSet;
pub use dotted_value::Dotted;
pub use elements::ElementStore;

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::{CausalContext, Change, Dot, InvalidCausal, ReplicaId};

/// A store whose content is filed under dots; see the [module](self) for the two rules.
///
/// ```
/// use crdt_core::dotted::{DotSet, DotStore};
/// use crdt_core::{CausalContext, Dot, ReplicaId};
///
/// let dot = Dot::new(ReplicaId::from_bytes([7; 16]), 1).unwrap();
/// let seen = CausalContext::from(dot);
/// let live = DotSet::from(dot);
///
/// // Someone who never saw the dot gains it; someone who saw it and has it no more removed it.
/// let mut newcomer = DotSet::new();
/// assert!(newcomer.join(&CausalContext::new(), &live, &seen).is_changed());
/// assert_eq!(newcomer, live);
/// let mut remover = DotSet::new();
/// assert!(!remover.join(&seen, &live, &seen).is_changed());
/// assert!(remover.is_empty());
/// ```
pub trait DotStore: Clone + Default + PartialEq {
    /// Takes in `other`: keeps what both hold and what only one side has seen, drops what one side
    /// has seen and holds no more.
    ///
    /// Reads both contexts and changes neither; the caller merges them afterwards, once, for all
    /// stores that share them. The result tells whether the *store* changed.
    fn join(&mut self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> Change;

    /// Whether [`join`](Self::join) with the same arguments would leave this store as it is.
    fn absorbs(&self, context: &CausalContext, other: &Self, other_context: &CausalContext) -> bool;

    /// Whether no dot is alive.
    fn is_empty(&self) -> bool;

    /// Visits every live dot, in the store's own canonical order.
    ///
    /// A store that keeps many dots in one piece can hold more of them than can be visited; whoever does not need them
    /// one by one takes [`for_each_range`](Self::for_each_range).
    fn for_each_dot(&self, visit: &mut dyn FnMut(Dot));

    /// Visits the live dots as ranges of counters, in pieces as the store keeps them and in its own canonical order. A
    /// walk is as long as the store is large.
    fn for_each_range(&self, visit: &mut dyn FnMut(ReplicaId, RangeInclusive<u64>)) {
        self.for_each_dot(&mut |dot| visit(dot.replica, dot.counter()..=dot.counter()));
    }

    /// The live dots as a set. O(n log n).
    fn dots(&self) -> CausalContext {
        spans::union(&spans::ascending(self))
    }

    /// The part of this store whose dots `context` has not seen.
    #[must_use]
    fn unseen_by(&self, context: &CausalContext) -> Self;

    /// Whether the store may live under `context`: refuses one that breaks the two rules. O(n log n) in the ranges of
    /// live dots.
    fn check(&self, context: &CausalContext) -> Result<(), InvalidCausal> {
        let spans = spans::ascending(self);
        if let Some(dot) = spans::union(&spans).first_outside(context) {
            return Err(InvalidCausal::DotOutsideContext { dot });
        }
        match spans::overlap(&spans) {
            Some(dot) => Err(InvalidCausal::DotInTwoPlaces { dot }),
            None => Ok(()),
        }
    }

    /// A dot that stands for one change here and for another in `other`, if there is one: under another key, or with
    /// another content. `context` is the one this store lives under.
    ///
    /// No join can make such states agree; it is the mark of a replica that used a counter twice, such as a restored
    /// backup. Looks at what both sides hold and at what `other` holds that was seen here; where some of the latter is
    /// not alive under its own key, it may have to be looked for under all others.
    fn find_fork(&self, context: &CausalContext, other: &Self) -> Option<Dot>;

    /// A replica whose amounts in both stores together are more than a sum can hold, if there is one: only forged
    /// amounts are. For stores whose content is added up; others have none.
    fn find_overflow(&self, other: &Self) -> Option<ReplicaId> {
        let _ = other;
        None
    }

    /// This store with other names for its dots. `rename` is injective, and keeps the distance between live dots of
    /// one replica, as numbering on from an offset does.
    #[must_use]
    fn renamed(&self, rename: &dyn Fn(Dot) -> Dot) -> Self;

    /// One store per live dot, each holding that dot alone, in the order of
    /// [`for_each_dot`](Self::for_each_dot). Dots that the store keeps in one piece stay together, under the first.
    fn split(&self) -> Vec<(Dot, Self)>;
}

#[cfg(test)]
mod tests;
