//! A dot store with a context of its own.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use super::DotStore;
use crate::crdt::order_from;
use crate::foreign::check_own_changes;
use crate::{
    CausalContext, Change, Crdt, DeltaCrdt, InvalidCausal, MergeError, NotStable, ReplicaId, Retire,
    Retirement, TryMerge,
};

/// A dot store and the context it lives under: a causal value that stands alone.
///
/// It is what sets, flags and registers of this crate are made of, and of any other causal type:
/// implement the read side over [`store`](Self::store), let mutators build a [`delta`](Self::delta)
/// and merge it.
///
/// Merging, comparing and making a delta cost one walk over both stores and contexts.
///
/// ```
/// use crdt_core::dotted::{Causal, DotSet};
/// use crdt_core::{CausalContext, Crdt, DeltaCrdt, ReplicaId};
///
/// // A flag that is up while some dot is alive.
/// let replica = ReplicaId::from_bytes([7; 16]);
/// let mut here = Causal::<DotSet>::default();
/// let up = DotSet::from(here.context().next_dot(replica)?);
/// let raise = Causal::delta(up, CausalContext::new());
/// assert!(here.merge(&raise).is_changed());
///
/// // Lowering it is to have seen the dots that are alive, and to hold none of them.
/// let mut there = here.clone();
/// let lower = Causal::delta(DotSet::new(), there.live());
/// assert!(there.merge(&lower).is_changed());
///
/// // The contexts are equal now, yet `there` knows more, and can say what `here` lacks.
/// assert_eq!(here.context(), there.context());
/// let news = there.delta_since(&here.digest());
/// assert!(here.merge(&news).is_changed());
/// assert_eq!(here, there);
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "serde_impls::Parts<S>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "S: serde::Serialize", deserialize = "S: DotStore + serde::Deserialize<'de>"))
)]
pub struct Causal<S> {
    store: S,
    /// Holds every dot of the store.
    context: CausalContext,
}

impl<S> Causal<S> {
    /// What is alive.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Every change seen, alive or not.
    pub const fn context(&self) -> &CausalContext {
        &self.context
    }

    /// Takes the value apart.
    pub fn into_parts(self) -> (S, CausalContext) {
        (self.store, self.context)
    }

    /// Puts together halves that belong together: every dot of the store is in the context.
    pub(crate) const fn from_parts_unchecked(store: S, context: CausalContext) -> Self {
        Self { store, context }
    }

    /// `Name { live: .., seen: .. }`
    pub(crate) fn debug_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result
    where
        S: fmt::Debug,
    {
        f.debug_struct(name).field("live", &self.store).field("seen", &self.context).finish()
    }

    /// Both halves, for mutators that change them in place as merging their delta would: every dot
    /// that enters the store enters the context too.
    pub(crate) const fn parts_mut(&mut self) -> (&mut S, &mut CausalContext) {
        (&mut self.store, &mut self.context)
    }
}

impl<S: DotStore> Causal<S> {
    /// Puts together what came from elsewhere. O(n log n) in the ranges of live dots.
    ///
    /// Refuses a store that breaks the rules the joins rely on: a dot outside the context would
    /// come back after its removal, and a dot in two places could not be removed from one of them.
    pub fn from_parts(store: S, context: CausalContext) -> Result<Self, InvalidCausal> {
        store.check(&context)?;
        Ok(Self { store, context })
    }

    /// The delta that adds `store` and removes whatever else has a dot in `context`.
    ///
    /// The dots of the store join the context by themselves, so pass only the dots removed or
    /// superseded: *exactly* those, because everything in `context` and not in `store` is removed
    /// wherever the delta arrives.
    #[must_use]
    pub fn delta(store: S, mut context: CausalContext) -> Self {
        // Whether the dots of the store were among the removed ones makes no difference.
        let _ = context.merge(&store.dots());
        Self { store, context }
    }

    /// The live dots.
    pub fn live(&self) -> CausalContext {
        self.store.dots()
    }
}

impl<S: DotStore> Crdt for Causal<S> {
    fn merge(&mut self, other: &Self) -> Change {
        let change = self.store.join(&self.context, &other.store, &other.context);
        change | self.context.merge(&other.context)
    }

    /// Exact: contexts alone do not decide, as a removal leaves the context as it was.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        order_from(other.absorbs(self), self.absorbs(other))
    }

    fn is_bottom(&self) -> bool {
        self.context.is_empty()
    }
}

impl<S: DotStore> Causal<S> {
    fn absorbs(&self, other: &Self) -> bool {
        self.context.is_superset(&other.context)
            && self.store.absorbs(&self.context, &other.store, &other.context)
    }
}

impl<S: fmt::Debug> fmt::Debug for Causal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.debug_as("Causal", f)
    }
}

/// What a [`Causal`] tells about itself: everything it has seen, and what of that is alive.
///
/// The size is the number of ranges in both, not of dots. The context alone would not do: it says
/// nothing of removals, so either they would be missed or all of them sent every time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct CausalDigest {
    /// Every change seen.
    pub context: CausalContext,
    /// The dots alive.
    pub live: CausalContext,
}

impl<S: DotStore> DeltaCrdt for Causal<S> {
    type Digest = CausalDigest;

    fn digest(&self) -> CausalDigest {
        CausalDigest { context: self.context.clone(), live: self.live() }
    }

    /// Sends what the receiver never saw, and the removal of what it still holds:
    ///
    /// - store: our live content under dots outside its context;
    /// - context: (ours \ its) ∪ (our removed dots ∩ its live dots).
    ///
    /// A receiver that has moved on since the digest is not harmed, and a digest that claims live
    /// dots outside its context is only a digest of less.
    fn delta_since(&self, digest: &CausalDigest) -> Self {
        let store = self.store.unseen_by(&digest.context);
        let mut context = self.context.difference(&digest.context);
        // Both halves are wanted, whether or not the second adds anything.
        let _ = context.merge(&self.removed().intersection(&digest.live));
        Self { store, context }
    }

    /// One part per live dot (or run of dots, where the store keeps runs), then one per range of removed dots.
    fn split(&self) -> Vec<Self> {
        let live = self.store.split().into_iter().map(|(_, store)| {
            let mut context = CausalContext::new();
            store.for_each_range(&mut |replica, counters| {
                context.insert_range(replica, counters);
            });
            Self { store, context }
        });
        let mut parts: Vec<Self> = live.collect();
        parts.extend(self.removed().ranges().map(|(replica, counters)| {
            let mut context = CausalContext::new();
            context.insert_range(replica, counters);
            Self { store: S::default(), context }
        }));
        parts
    }
}

impl<S: DotStore> Causal<S> {
    /// Seen and no longer alive.
    fn removed(&self) -> CausalContext {
        self.context.difference(&self.live())
    }
}

/// Changes are dots: what a replica has changed is its highest counter.
impl<S: DotStore> TryMerge for Causal<S> {
    fn changes_of(&self, replica: ReplicaId) -> u128 {
        self.context.highest(replica).into()
    }

    fn check_merge(&self, other: &Self, me: ReplicaId) -> Result<(), MergeError> {
        check_own_changes(self, other, me)?;
        if let Some(dot) = self.store.find_fork(&self.context, &other.store) {
            return Err(MergeError::ForkedReplica { dot });
        }
        match self.store.find_overflow(&other.store) {
            Some(replica) => Err(MergeError::Overflow { replica }),
            None => Ok(()),
        }
    }
}

impl<S: DotStore> Retire for Causal<S> {
    fn retire(&mut self, retirement: &Retirement) -> Result<(), NotStable> {
        let context = retirement.rename_context(&self.context)?;
        let store = self.store.renamed(&|dot| retirement.rename(dot));
        *self = Self { store, context };
        Ok(())
    }
}

#[cfg(feature = "serde")]
mod serde_impls {
    use super::{Causal, DotStore};
    use crate::{CausalContext, InvalidCausal};

    /// What the input claims, before it is checked.
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Parts<S> {
        store: S,
        context: CausalContext,
    }

    impl<S: DotStore> TryFrom<Parts<S>> for Causal<S> {
        type Error = InvalidCausal;

        fn try_from(parts: Parts<S>) -> Result<Self, InvalidCausal> {
            Self::from_parts(parts.store, parts.context)
        }
    }
}
