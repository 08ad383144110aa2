//! The set whose elements come and go, adds winning over concurrent removals.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::Hash;

use crate::dotted::{Causal, DotSet, ElementStore, causal_type};
use crate::{CanonicalBytes, CausalContext, Crdt, DotsExhausted, Writer};

/// A set in which a removal affects the adds it has seen and no others.
///
/// Every add mints a dot. A removal drops the dots the element has *here*, so an add it did not see
/// survives it: of a concurrent add and removal, the add wins. Nothing is kept for what was removed
/// (no tombstones): the context says which adds were seen, and an add that was seen and is no
/// longer alive was removed. Adding an element again replaces its dots, so an element has one dot,
/// and several only after concurrent adds.
///
/// Deltas are sets like any other. They may be lost, repeated, reordered and merged into each other
/// in any way; replicas that have merged the same ones are equal.
///
/// Lookups, adds and removals O(1). Merging costs what the other set's context names and what changes,
/// not the size of the sets: O(replicas) between equal ones, O(log n) per element of a small delta;
/// [`ElementStore`] tells how.
///
/// Source: Bieniusa, Zawirski, Preguiça, Shapiro, Baquero, Balegas, Duarte, "An optimized
/// conflict-free replicated set" (2012), in the delta form of Almeida, Shoker, Baquero, "Delta
/// State Replicated Data Types" (2018).
///
/// ```
/// use crdt_core::{Crdt, OrSet, ReplicaId, Writer};
///
/// let ann = Writer::unchecked(ReplicaId::from_u128(1));
/// let mut list = OrSet::default();
/// list.add(ann, "milk")?;
///
/// let mut copy = list.clone();
/// let removal = copy.remove("milk");
/// let add = list.add(ann, "milk")?;
///
/// // The removal has not seen the second add, and the first is replaced already.
/// assert!(!list.merge(&removal).is_changed());
/// assert!(copy.merge(&add).is_changed());
/// assert!(list.contains("milk"));
/// assert_eq!(list, copy);
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "T: serde::Serialize",
        deserialize = "T: Eq + Hash + Clone + serde::Deserialize<'de>"
    ))
)]
pub struct OrSet<T> {
    causal: Causal<ElementStore<T>>,
}

impl<T: Eq + Hash + Clone> OrSet<T> {
    /// Adds `element` and returns the delta: the element under a fresh dot, and the dots that dot
    /// replaces.
    ///
    /// Adding what is there already is a new add, which a concurrent removal will not undo. When
    /// the replica has no counters left, nothing is changed.
    pub fn add(&mut self, me: Writer<'_>, element: T) -> Result<Self, DotsExhausted> {
        let mut delta = Self::default();
        self.add_into(me, element, &mut delta)?;
        Ok(delta)
    }

    /// Adds all `elements`, each under a dot of its own, so that each can be removed by itself.
    ///
    /// Returns one delta. When the replica has too few counters left, nothing is changed.
    pub fn add_all(
        &mut self,
        me: Writer<'_>,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<Self, DotsExhausted> {
        let elements: Vec<T> = elements.into_iter().collect();
        let used = self.context().highest(me.id());
        if u64::MAX - used < elements.len() as u64 {
            return Err(DotsExhausted { replica: me.id() });
        }
        let mut delta = Self::default();
        for element in elements {
            self.add_into(me, element, &mut delta)?;
        }
        Ok(delta)
    }

    /// Adds `element` and puts what that changes into a delta that is being gathered: cheaper than
    /// merging a delta of its own into it.
    ///
    /// `delta` is a group of deltas of this very set, in the order in which they came about; its
    /// elements are those it adds and that nothing in it has removed since.
    pub fn add_into(&mut self, me: Writer<'_>, element: T, delta: &mut Self) -> Result<(), DotsExhausted> {
        let dot = self.context().next_dot(me.id())?;
        let (store, context) = self.causal.parts_mut();
        context.insert(dot);
        let superseded = store.add(dot, element.clone());
        let (added, seen) = delta.causal.parts_mut();
        seen.insert(dot);
        // Of this element the delta holds at most dots that were alive here until now.
        added.add(dot, element);
        for old in superseded.iter() {
            seen.insert(old);
        }
        Ok(())
    }

    /// Removes `element`, as far as it has been seen here, and returns the delta, whose context is
    /// exactly the dots removed: bottom if the element was not there.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, element: &Q) -> Self
    where
        T: Borrow<Q>,
    {
        let (store, _) = self.causal.parts_mut();
        removal(store.take(element).iter().collect())
    }

    /// Removes `element` as far as somebody else has seen it, and returns the delta.
    ///
    /// `seen` is what [`dots`](Self::dots) told of the element there, a client's proof of what it was shown. Adds that
    /// are not in it survive, here and everywhere, and so do other elements. Dots that have not arrived here yet will
    /// find themselves removed when they do.
    ///
    /// Dots are names and not secrets: whoever makes them up removes what they name. From clients that are not trusted
    /// take them under an authenticator.
    pub fn remove_seen<Q: Eq + Hash + ?Sized>(&mut self, element: &Q, seen: &DotSet) -> Self
    where
        T: Borrow<Q>,
    {
        let (store, context) = self.causal.parts_mut();
        let removed = store.take_dots(element, seen);
        // A dot that is known and not alive under this element was removed, or belongs to another one.
        let mut named: CausalContext = seen.iter().filter(|dot| !context.contains(*dot)).collect();
        // All at once: each by itself would move the ranges behind it.
        let _ = context.merge(&named);
        let _ = named.merge(&removed.iter().collect());
        removal(named)
    }

    /// Removes every element seen here and returns the delta.
    pub fn clear(&mut self) -> Self {
        let removed = self.causal.live();
        let (store, _) = self.causal.parts_mut();
        store.clear();
        removal(removed)
    }
}

/// The delta that removes these dots.
fn removal<T>(removed: CausalContext) -> OrSet<T> {
    OrSet { causal: Causal::from_parts_unchecked(ElementStore::new(), removed) }
}

impl<T: Eq + Hash> OrSet<T> {
    /// Whether `element` is in the set.
    pub fn contains<Q: Eq + Hash + ?Sized>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.causal.store().contains(element)
    }

    /// The live dots of `element`, none if it is not in the set: what someone who saw this
    /// element must name to [remove](Self::remove_seen) it, and no more than that.
    pub fn dots<Q: Eq + Hash + ?Sized>(&self, element: &Q) -> DotSet
    where
        T: Borrow<Q>,
    {
        self.causal.store().dots_of(element)
    }

    /// Recomputes what is kept beside the elements and says whether it was right: see [`ElementStore::scrub`].
    pub fn scrub(&self) -> bool {
        self.causal.store().scrub()
    }
}

impl<T> OrSet<T> {
    /// The elements in the order of their dots: by replica, then by time of adding. Equal sets have the same order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.causal.store().iter()
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.causal.store().len()
    }

    /// Whether there is no element. An empty set that has seen some is not bottom.
    pub fn is_empty(&self) -> bool {
        self.causal.store().is_empty()
    }

    /// Every add seen, whether or not the element is still there.
    pub const fn context(&self) -> &CausalContext {
        self.causal.context()
    }

    /// The elements under their live dots.
    pub const fn store(&self) -> &ElementStore<T> {
        self.causal.store()
    }
}

impl<T: Ord> OrSet<T> {
    /// The elements in ascending order. O(n log n).
    pub fn to_sorted(&self) -> Vec<&T> {
        self.causal.store().to_sorted()
    }
}

impl<T: CanonicalBytes> OrSet<T> {
    /// Keeps the [version digest](crate::VersionDigest) current from now on: see [`ElementStore::track_digest`].
    pub fn track_digest(&mut self) {
        self.causal.parts_mut().0.track_digest();
    }
}

causal_type!(impl[T: Eq + Hash + Clone] OrSet[T] over ElementStore<T>, tagged 0x0004);
