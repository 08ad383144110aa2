//! One key's concurrent values, told apart by the writes that brought them.
//!
//! [`Siblings`] reads and writes; `write` says what a write gives back and why one is refused;
//! `lattice` makes it a CRDT with bytes of its own.

mod lattice;
mod write;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub use write::{Crowding, SiblingWrite, SiblingWriteError};

use core::cmp::Ordering;

use crdt_core::dotted::{Causal, DotFun};
use crdt_core::{CausalContext, Crdt, Dot, ReplicaId, Writer};
use serde::{Deserialize, Serialize};

use crate::limits::MAX_SIBLINGS;

/// The values of one key that no write has yet replaced: one as long as writers see each other, and
/// every one of them when they do not.
///
/// It is for values whose history does not matter, written by clients who hold no replica. A client
/// reads the values with their [`context`](Self::context), keeps it (sealed as a
/// [`Token`](crate::Token)), and writes with it. The write supersedes *exactly what the client saw*,
/// whatever has arrived in the meantime; what it did not see stays beside it as a *sibling*. A write
/// with the empty context has seen nothing and supersedes nothing.
///
/// Every write mints a dot, and a value lives under its dot until a context that has seen the dot
/// arrives without it. So a deletion is nothing but a context, leaves no tombstone behind, and
/// cannot touch what is written later, however late it arrives.
///
/// Where the history does matter (a common ancestor to merge by, versions with names), take a
/// [`Document`](crate::Document).
///
/// ```
/// use conflict_store::Siblings;
/// use crdt_core::{CausalContext, Replica, ReplicaId};
///
/// let mut cart = Replica::new(ReplicaId::from_u128(1), Siblings::default())?;
/// cart.edit(|cart, me| cart.write(me, &CausalContext::new(), "milk"))?;
/// let seen_by_ann = cart.context().clone();
/// let seen_by_bob = cart.context().clone();
///
/// let anns = cart.edit(|cart, me| cart.write(me, &seen_by_ann, "milk, rice"))?;
/// cart.edit(|cart, me| cart.write(me, &seen_by_bob, "milk, salt"))?;
/// assert!(cart.values().copied().eq(["milk, rice", "milk, salt"]), "neither saw the other");
///
/// // Ann goes on from her own write and makes no further sibling.
/// cart.edit(|cart, me| cart.write(me, anns.context(), "milk, rice, tea"))?;
/// assert_eq!(cart.len(), 2);
///
/// // Whoever has seen both may decide.
/// let seen = cart.context().clone();
/// cart.edit(|cart, me| cart.write(me, &seen, "milk, rice, tea, salt"))?;
/// assert!(cart.values().copied().eq(["milk, rice, tea, salt"]));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # What it is made of
///
/// The semantics are those of dotted version vector sets (Almeida, Baquero, Gonçalves, Preguiça,
/// Fonte, "Scalable and Accurate Causality Tracking for Eventually Consistent Stores", 2014). They
/// note per server how many of its newest values are alive, which needs contexts without gaps. Here
/// every value has an explicit dot, as in Almeida, Shoker, Baquero, "Delta State Replicated Data
/// Types" (2018): contexts may have gaps, so deltas may arrive in any order, and many keys can share
/// one context ([`CausalCrdt`](crdt_core::dotted::CausalCrdt) gives the values without it). A client
/// of such a store is handed [`live`](Self::live) instead of the context, which speaks of other keys.
///
/// # What grows, and why nothing is pruned
///
/// A context has one range per replica that ever wrote, however often it did. Entries whose values
/// are gone are what keeps those values from coming back, so there is no operation that drops some:
/// a value that a peer still holds would reappear. Identities that are given up go by
/// [`Retire`](crdt_core::Retire), which renames on all replicas alike.
///
/// # Cost
///
/// Reading is O(values), writing and merging O(values + ranges of the contexts).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent, bound(serialize = "V: Serialize", deserialize = "V: Clone + Eq + Deserialize<'de>"))]
pub struct Siblings<V> {
    causal: Causal<DotFun<V>>,
}

/// Writing.
impl<V: Clone + Eq> Siblings<V> {
    /// Writes `value` in place of the values that `seen` has seen, and returns the delta for other
    /// replicas with the context for the client's next write.
    ///
    /// `seen` may have seen what has not arrived here yet, because the client read it elsewhere; that
    /// is then superseded as it arrives. It is trusted: where clients could make one up, hand it out as
    /// a [`Token`](crate::Token).
    ///
    /// A write repeated after a lost answer is a second write, and a sibling of the first until a
    /// context that has seen both replaces them.
    ///
    /// At [`MAX_SIBLINGS`] values a write that would add another is refused. A write that supersedes
    /// at least one value is not, so what is there can always be resolved.
    pub fn write(
        &mut self,
        me: Writer<'_>,
        seen: &CausalContext,
        value: V,
    ) -> Result<SiblingWrite<V>, SiblingWriteError> {
        self.check_seen(me.id(), seen)?;
        let kept = self.entries().filter(|(dot, _)| !seen.contains(*dot)).count();
        if kept == self.len() && kept >= MAX_SIBLINGS {
            return Err(SiblingWriteError::TooMany { siblings: kept, limit: MAX_SIBLINGS });
        }
        let dot = self.context().next_dot(me.id())?;
        let delta = Causal::delta([(dot, value)].into_iter().collect(), seen.clone());
        // Always news: the dot is fresh.
        let _ = self.causal.merge(&delta);
        Ok(SiblingWrite { dot, crowding: self.crowding(), delta: delta.into() })
    }

    /// Deletes the values that `seen` has seen, and returns the delta for other replicas: bottom if
    /// that is nothing new here.
    ///
    /// A write that did not see the same values survives, also one that arrives later. Nothing is left
    /// of what was deleted. The writer mints no dot; it is asked for because a context that speaks of
    /// writes it never made tells of a lost state, as for [`write`](Self::write).
    pub fn delete(&mut self, me: Writer<'_>, seen: &CausalContext) -> Result<Self, SiblingWriteError> {
        self.check_seen(me.id(), seen)?;
        let delta = Causal::delta(DotFun::new(), seen.clone());
        let change = self.causal.merge(&delta);
        Ok(if change.is_changed() { delta.into() } else { Self::default() })
    }

    /// A client cannot have seen more writes of this replica than the replica made.
    fn check_seen(&self, me: ReplicaId, seen: &CausalContext) -> Result<(), SiblingWriteError> {
        let (claimed, issued) = (seen.highest(me), self.context().highest(me));
        if claimed > issued {
            return Err(SiblingWriteError::OwnWritesClaimed { replica: me, claimed, issued });
        }
        Ok(())
    }
}

/// Reading.
impl<V> Siblings<V> {
    /// The values, in the order of their dots: the same on every replica that has the same values,
    /// and without further meaning.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> {
        self.entries().map(|(_, value)| value)
    }

    /// The values with the dots of the writes that brought them, in the order of the dots.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (Dot, &V)> {
        self.causal.store().iter()
    }

    /// The greatest value by `compare` and, where that says equal, by dot: last writer wins, if the
    /// values carry a time to compare by.
    ///
    /// Dots differ, so the order is total, and every replica with the same values finds the same one.
    /// Deletions do not take part: a value that a deletion did not see is there, whatever its time.
    ///
    /// ```
    /// use conflict_store::Siblings;
    /// use crdt_core::{CausalContext, ReplicaId, Writer};
    ///
    /// let [a, b] = [1, 2].map(|n| Writer::unchecked(ReplicaId::from_u128(n)));
    /// let mut price = Siblings::default();
    /// price.write(b, &CausalContext::new(), (1_000, "3 €"))?;
    /// price.write(a, &CausalContext::new(), (2_000, "4 €"))?;
    ///
    /// let (_, (_, latest)) = price.max_by(|(at, _), (other, _)| at.cmp(other)).unwrap();
    /// assert_eq!(*latest, "4 €");
    /// # Ok::<(), conflict_store::SiblingWriteError>(())
    /// ```
    pub fn max_by(&self, mut compare: impl FnMut(&V, &V) -> Ordering) -> Option<(Dot, &V)> {
        // Of equal ones the last is taken, which has the highest dot.
        self.entries().max_by(|(_, one), (_, other)| compare(one, other))
    }

    /// How many values there are; more than one after concurrent writes.
    pub fn len(&self) -> usize {
        self.causal.store().len()
    }

    /// Whether there is no value: nothing was written yet, or all of it deleted.
    pub fn is_empty(&self) -> bool {
        self.causal.store().is_empty()
    }

    /// Whether the values have become too many; worth a look after merging, which refuses nothing.
    pub fn crowding(&self) -> Crowding {
        Crowding::of(self.len())
    }

    /// Every write seen, whether or not its value is still there: what a client that reads has seen.
    pub const fn context(&self) -> &CausalContext {
        self.causal.context()
    }

    /// The values under their live dots.
    pub const fn store(&self) -> &DotFun<V> {
        self.causal.store()
    }
}

impl<V: Clone + Eq> Siblings<V> {
    /// The writes whose values are there: the part of the context that a client of a store needs
    /// whose keys share one.
    ///
    /// A write with it supersedes the same values. Only where the client writes to a replica that is
    /// behind the one it read from, values older than those stay in sight until that has caught up.
    pub fn live(&self) -> CausalContext {
        self.causal.live()
    }
}
