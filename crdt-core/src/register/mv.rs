//! The register that keeps every value written concurrently.

use crate::dotted::{Causal, DotFun, causal_type};
use crate::{CausalContext, Dot, DotsExhausted, Writer};

/// A single value, as long as writes see each other; after concurrent writes, all of their values.
///
/// A write replaces the values it has seen *here* and no others. So two writes that did not see each other
/// both stay, as *siblings*, until a later write that saw them replaces them: nothing is lost without
/// somebody having looked at it. Where losing the earlier write is fine, [`LwwRegister`](crate::LwwRegister)
/// always has one value.
///
/// Every write mints a dot, and siblings are told apart by their dots, not by their values: two replicas that
/// write equal values concurrently leave two siblings, and writing the value that is there already is a write
/// like any other. Nothing is kept of what was replaced or cleared.
///
/// Reads and writes cost O(siblings), of which there are rarely more than one.
///
/// Source: Shapiro, Preguiça, Baquero, Zawirski, "A comprehensive study of Convergent and Commutative
/// Replicated Data Types" (2011), specification 10, in the form of Almeida, Shoker, Baquero, "Delta State
/// Replicated Data Types" (2018).
///
/// ```
/// use crdt_core::{Crdt, MvRegister, ReplicaId, Writer};
///
/// let [ann, bob] = [1, 2].map(|n| Writer::unchecked(ReplicaId::from_u128(n)));
/// let mut title = MvRegister::default();
/// title.set(ann, "Draft".to_string())?;
/// let mut copy = title.clone();
/// title.set(ann, "Plan".to_string())?;
/// let delta = copy.set(bob, "Notes".to_string())?;
///
/// assert!(title.merge(&delta).is_changed());
/// assert!(title.values().eq(["Plan", "Notes"]), "neither write saw the other");
///
/// title.set_with(bob, |values| values.cloned().collect::<Vec<_>>().join(" and "))?;
/// assert!(title.values().eq(["Plan and Notes"]));
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "V: serde::Serialize",
        deserialize = "V: Clone + Eq + serde::Deserialize<'de>"
    ))
)]
pub struct MvRegister<V> {
    causal: Causal<DotFun<V>>,
}

impl<V: Clone + Eq> MvRegister<V> {
    /// Writes `value` in place of all values here, and returns the delta: the value under a fresh dot, and
    /// the dots that dot replaces.
    ///
    /// When the replica has no counters left, nothing is changed. O(siblings).
    pub fn set(&mut self, me: Writer<'_>, value: V) -> Result<Self, DotsExhausted> {
        self.set_with(me, |_| value)
    }

    /// Writes the value that `resolve` makes of the values here, in dot order; otherwise like
    /// [`set`](Self::set).
    ///
    /// When the replica has no counters left, `resolve` is not called.
    pub fn set_with(
        &mut self,
        me: Writer<'_>,
        resolve: impl FnOnce(&mut dyn ExactSizeIterator<Item = &V>) -> V,
    ) -> Result<Self, DotsExhausted> {
        let dot = self.context().next_dot(me.id())?;
        let value = resolve(&mut self.values());
        Ok(self.replace_all([(dot, value)].into_iter().collect()))
    }

    /// Removes all values here and returns the delta, whose context is exactly the dots removed: bottom if
    /// there was no value. O(siblings).
    ///
    /// A write that this replica has not seen survives it.
    pub fn clear(&mut self) -> Self {
        self.replace_all(DotFun::new())
    }

    fn replace_all(&mut self, values: DotFun<V>) -> Self {
        let delta = Causal::delta(values, self.causal.live());
        let (store, context) = self.causal.parts_mut();
        store.clone_from(delta.store());
        for (dot, _) in store.iter() {
            context.insert(dot);
        }
        delta.into()
    }
}

impl<V> MvRegister<V> {
    /// The values, in dot order: none before the first write and after a clear, one as long as writes see
    /// each other.
    ///
    /// The order is the same at every replica that has the same siblings, and means nothing else.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> {
        self.entries().map(|(_, value)| value)
    }

    /// The values with the dots that brought them, in dot order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (Dot, &V)> {
        self.causal.store().iter()
    }

    /// How many values there are; more than one after concurrent writes.
    pub fn len(&self) -> usize {
        self.causal.store().len()
    }

    /// Whether there is no value. A register that was cleared is not bottom.
    pub fn is_empty(&self) -> bool {
        self.causal.store().is_empty()
    }

    /// Every write seen, whether or not its value is still there.
    pub const fn context(&self) -> &CausalContext {
        self.causal.context()
    }

    /// The values under their live dots.
    pub const fn store(&self) -> &DotFun<V> {
        self.causal.store()
    }
}

causal_type!(impl[V: Clone + Eq] MvRegister[V] over DotFun<V>, tagged 0x0006);
