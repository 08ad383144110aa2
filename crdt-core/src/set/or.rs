//! The set whose elements come and go, adds winning over concurrent removals.

use alloc::vec::Vec;
use core::borrow::Borrow;

use crate::dotted::{Causal, DotMap, DotSet, causal_type};
use crate::{CausalContext, Dot, DotsExhausted, Writer};

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
/// Lookups, adds and removals O(log n); merging is one walk over both sets.
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
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OrSet<T> {
    causal: Causal<DotMap<T, DotSet>>,
}

impl<T: Ord + Clone> OrSet<T> {
    /// Adds `element` and returns the delta: the element under a fresh dot, and the dots that dot replaces.
    ///
    /// Adding what is there already is a new add, which a concurrent removal will not undo. When
    /// the replica has no counters left, nothing is changed.
    pub fn add(&mut self, me: Writer<'_>, element: T) -> Result<Self, DotsExhausted> {
        let dot = self.context().next_dot(me.id())?;
        let mut delta = DeltaParts::default();
        self.add_under(dot, element, &mut delta);
        Ok(delta.into())
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
        let mut delta = DeltaParts::default();
        for element in elements {
            let dot = self.context().next_dot(me.id())?;
            self.add_under(dot, element, &mut delta);
        }
        Ok(delta.into())
    }

    /// Removes `element`, as far as it has been seen here, and returns the delta, whose context is
    /// exactly the dots removed: bottom if the element was not there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, element: &Q) -> Self
    where
        T: Borrow<Q>,
    {
        let (store, _) = self.causal.parts_mut();
        let removed = store.take(element);
        Causal::delta(DotMap::new(), removed.iter().collect()).into()
    }

    /// Removes every element seen here and returns the delta.
    pub fn clear(&mut self) -> Self {
        let removed = self.causal.live();
        let (store, _) = self.causal.parts_mut();
        *store = DotMap::new();
        Causal::delta(DotMap::new(), removed).into()
    }

    /// Changes this set as merging the delta would, and adds to the delta.
    fn add_under(&mut self, dot: Dot, element: T, delta: &mut DeltaParts<T>) {
        let (store, context) = self.causal.parts_mut();
        delta.superseded.extend(store.add(dot, element.clone()).iter());
        context.insert(dot);
        delta.added.add(dot, element);
    }
}

/// What a delta of adds is put together from.
struct DeltaParts<T> {
    added: DotMap<T, DotSet>,
    superseded: Vec<Dot>,
}

impl<T> Default for DeltaParts<T> {
    fn default() -> Self {
        Self { added: DotMap::new(), superseded: Vec::new() }
    }
}

impl<T: Ord + Clone> From<DeltaParts<T>> for OrSet<T> {
    fn from(parts: DeltaParts<T>) -> Self {
        Causal::delta(parts.added, parts.superseded.into_iter().collect()).into()
    }
}

impl<T: Ord> OrSet<T> {
    /// Whether `element` is in the set.
    pub fn contains<Q: Ord + ?Sized>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.dots(element).is_some()
    }

    /// The live dots of `element`, `None` if it is not in the set: what someone who saw this
    /// element must name to remove it, and no more than that.
    pub fn dots<Q: Ord + ?Sized>(&self, element: &Q) -> Option<&DotSet>
    where
        T: Borrow<Q>,
    {
        self.causal.store().get(element)
    }
}

impl<T> OrSet<T> {
    /// The elements in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> {
        self.causal.store().iter().map(|(element, _)| element)
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
    pub fn context(&self) -> &CausalContext {
        self.causal.context()
    }

    /// The elements under their live dots.
    pub fn store(&self) -> &DotMap<T, DotSet> {
        self.causal.store()
    }
}

causal_type!(impl[T: Ord + Clone] OrSet[T] over DotMap<T, DotSet>, tagged 0x0004);
