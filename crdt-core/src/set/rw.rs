//! The set whose elements come and go, removals winning over concurrent adds.

use alloc::vec::Vec;
use core::borrow::Borrow;

use super::RwMarks;
use crate::dotted::{Causal, DotMap, DotStore, causal_type};
use crate::{CausalContext, Dot, DotsExhausted, Writer};

/// A set in which an add affects the removals it has seen and no others.
///
/// It is [`OrSet`](crate::OrSet) the other way round: of a concurrent add and removal, the removal wins. That
/// is what access lists, invitations and shared folders want, where an element must not stay because somebody
/// renewed it without knowing that it had been withdrawn.
///
/// Adds and removals each mint a dot that replaces all dots the element has *here*. An element is in the set
/// while it has live adds and no live removal. Every call counts, also one that seems to change nothing: a
/// removal of an element that is not here holds out adds that are under way, and another removal holds out
/// adds made since the first.
///
/// So a removed element leaves a mark, one dot, until it is added again. Marks that every replica has seen
/// are dropped by [`forget_stable`](Self::forget_stable).
///
/// Deltas are sets like any other. They may be lost, repeated, reordered and merged into each other in any
/// way; replicas that have merged the same ones are equal.
///
/// Lookups, adds and removals O(log n), n being the elements with marks; merging is one walk over both sets.
///
/// Source: the remove-wins set of Almeida, Shoker, Baquero, "Delta State Replicated Data Types" (2018), with
/// one dot per element, kept apart by kind.
///
/// ```
/// use crdt_core::{Crdt, ReplicaId, RwSet, Writer};
///
/// let [ann, bob] = [1, 2].map(|n| Writer::unchecked(ReplicaId::from_u128(n)));
/// let mut guests = RwSet::default();
/// guests.add(ann, "eve")?;
///
/// let mut copy = guests.clone();
/// let removal = copy.remove(bob, "eve")?;
/// guests.add(ann, "eve")?;
/// assert!(guests.merge(&removal).is_changed());
/// assert!(!guests.contains("eve"), "the second add did not know of the removal");
///
/// guests.add(ann, "eve")?;
/// assert!(guests.contains("eve"), "this one does");
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RwSet<T> {
    causal: Causal<DotMap<T, RwMarks>>,
}

impl<T: Ord + Clone> RwSet<T> {
    /// Adds `element` and returns the delta: an add under a fresh dot, and the dots that dot replaces.
    ///
    /// The element is in the set then, until a removal arrives that this add did not see. When the replica
    /// has no counters left, nothing is changed.
    pub fn add(&mut self, me: Writer<'_>, element: T) -> Result<Self, DotsExhausted> {
        self.mark(me, element, true)
    }

    /// Removes `element`, whether or not it is there, and returns the delta: a removal under a fresh dot, and
    /// the dots that dot replaces.
    ///
    /// The element stays out until somebody who has seen this removal adds it. When the replica has no
    /// counters left, nothing is changed.
    pub fn remove(&mut self, me: Writer<'_>, element: T) -> Result<Self, DotsExhausted> {
        self.mark(me, element, false)
    }

    /// Changes this set as merging the delta would.
    fn mark(&mut self, me: Writer<'_>, element: T, added: bool) -> Result<Self, DotsExhausted> {
        let dot = self.context().next_dot(me.id())?;
        let marks = RwMarks::new(dot, added);
        let (store, context) = self.causal.parts_mut();
        let replaced = store.insert(element.clone(), marks.clone()).unwrap_or_default();
        context.insert(dot);
        let store = [(element, marks)].into_iter().collect();
        Ok(Causal::delta(store, replaced.dots()).into())
    }

    /// Drops the marks of removed elements that `stable` covers, and returns the delta, whose context is
    /// exactly the dots dropped. O(n log n).
    ///
    /// An element is forgotten if all it has left are removals and `stable` contains all of them. Nothing
    /// else changes: no element comes or goes, and an element with a concurrent add keeps its marks. Replicas
    /// that merge the delta forget the same.
    ///
    /// Replicas agree in the end whatever is forgotten. What is at stake is that removals win: a removal that
    /// was forgotten no longer holds out an add it was concurrent to. Forgetting is *sound*, and no such add
    /// ever takes effect, when both of these hold:
    ///
    /// 1. *Whatever could race with the removals is here.* By the time a replica had seen all of `stable`,
    ///    everything it had seen or written until then was merged into this state, or will not be heard of by
    ///    anyone. Adds it makes later know of the removals.
    /// 2. *Everyone knows what is here.* Every replica has merged this very state since, and replicas that
    ///    join later start from a state past it. So an add that races with a removal, and is over in this
    ///    state, is over everywhere and cannot come back in a late message.
    ///
    /// Three rounds establish both. Collect and merge the states of all replicas; the context of that is
    /// `stable`. Send it to all, and once each has merged it, collect and merge their states once more: that
    /// is the state to forget on, kept aside. Send it to all, and once each has merged it, forget, and merge
    /// the delta everywhere, in any order with whatever was written meanwhile. Where members tell their
    /// contexts all the time, their [`stable_cut`](crate::stable_cut) at any moment can take the place of the
    /// first round; the other two remain.
    ///
    /// The delta is to reach all replicas, like any other. Where deltas arrive in causal order, nobody can
    /// tell from the elements that something was forgotten. Out of order, an add that *knew* of the removal
    /// may take effect earlier than it would have, or as late as this delta.
    ///
    /// ```
    /// use crdt_core::{Crdt, ReplicaId, RwSet, Writer};
    ///
    /// let [ann, bob] = [1, 2].map(|n| Writer::unchecked(ReplicaId::from_u128(n)));
    /// let (mut a, mut b) = (RwSet::default(), RwSet::default());
    /// a.remove(ann, "eve")?;
    /// a.remove(ann, "mallory")?;
    /// let first = a.clone().merged(&b);
    ///
    /// b.add(bob, "eve")?;
    /// let _ = b.merge(&first);
    /// let mut second = a.clone().merged(&b);
    /// let _ = a.merge(&second);
    /// let _ = b.merge(&second);
    ///
    /// let forgotten = second.forget_stable(first.context());
    /// let _ = a.merge(&forgotten);
    /// let _ = b.merge(&forgotten);
    /// assert_eq!(a, b);
    /// assert!(a.removed().eq(&["eve"]), "Bob's add is still held out, and Mallory has left no mark");
    /// # Ok::<(), crdt_core::DotsExhausted>(())
    /// ```
    pub fn forget_stable(&mut self, stable: &CausalContext) -> Self {
        let forgettable = |marks: &RwMarks| {
            marks.adds().is_empty() && marks.removals().iter().all(|dot| stable.contains(dot))
        };
        let settled = self.store().iter().filter(|(_, marks)| forgettable(marks));
        let settled: Vec<T> = settled.map(|(element, _)| element.clone()).collect();
        let (store, _) = self.causal.parts_mut();
        let mut dropped: Vec<Dot> = Vec::new();
        for element in &settled {
            dropped.extend(store.remove(element).unwrap_or_default().removals().iter());
        }
        Causal::delta(DotMap::new(), dropped.into_iter().collect()).into()
    }
}

impl<T: Ord> RwSet<T> {
    /// Whether `element` is in the set.
    pub fn contains<Q: Ord + ?Sized>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.marks(element).is_some_and(RwMarks::is_present)
    }

    /// The live adds and removals of `element`, `None` if there are none: it was never heard of, or
    /// forgotten.
    pub fn marks<Q: Ord + ?Sized>(&self, element: &Q) -> Option<&RwMarks>
    where
        T: Borrow<Q>,
    {
        self.causal.store().get(element)
    }
}

impl<T> RwSet<T> {
    /// The elements in ascending order. O(n) for all of them, those held out included.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.store().iter().filter(|(_, marks)| marks.is_present()).map(|(element, _)| element)
    }

    /// The elements that a removal holds out, in ascending order: what [`forget_stable`](Self::forget_stable)
    /// is there to make fewer.
    pub fn removed(&self) -> impl Iterator<Item = &T> {
        self.store().iter().filter(|(_, marks)| !marks.is_present()).map(|(element, _)| element)
    }

    /// How many elements are in the set. O(n), those held out included.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether no element is in the set. An empty set that has seen changes is not bottom.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Every add and removal seen, whether or not a mark of it is left.
    pub const fn context(&self) -> &CausalContext {
        self.causal.context()
    }

    /// The elements with their marks, those held out included.
    pub const fn store(&self) -> &DotMap<T, RwMarks> {
        self.causal.store()
    }
}

causal_type!(impl[T: Ord + Clone] RwSet[T] over DotMap<T, RwMarks>, tagged 0x000c);

/// Written as an [`OrSet`](crate::OrSet) of pairs of element and whether the dot is an add: dots in order cost
/// nothing then.
#[cfg(feature = "serde")]
mod serde_impls {
    use core::hash::Hash;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::RwSet;
    use crate::dotted::{Causal, DotMap, ElementStore};
    use crate::set::RwMarks;

    impl<T: Ord + Hash + Clone + Serialize> Serialize for RwSet<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let pairs: ElementStore<(&T, bool)> = self
                .store()
                .iter()
                .flat_map(|(element, marks)| {
                    let adds = marks.adds().iter().map(move |dot| (dot, (element, true)));
                    adds.chain(marks.removals().iter().map(move |dot| (dot, (element, false))))
                })
                .collect();
            Causal::from_parts_unchecked(pairs, self.context().clone()).serialize(serializer)
        }
    }

    impl<'de, T: Ord + Hash + Clone + Deserialize<'de>> Deserialize<'de> for RwSet<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let pairs = Causal::<ElementStore<(T, bool)>>::deserialize(deserializer)?;
            let mut store: DotMap<T, RwMarks> = DotMap::new();
            for (dot, (element, added)) in pairs.store().iter_dots() {
                let mut marks = store.remove(element).unwrap_or_default();
                marks.insert(dot, *added);
                store.insert(element.clone(), marks);
            }
            Causal::from_parts(store, pairs.context().clone()).map(Self::from).map_err(D::Error::custom)
        }
    }
}
