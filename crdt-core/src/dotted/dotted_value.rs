//! Types that merge without dots, made causal.

use super::{Causal, DotFun, causal_type};
use crate::{
    BoundedCounter, CanonicalBytes, CausalContext, Crdt, DotsExhausted, FingerprintWriter, GCounter, GSet,
    LwwMap, LwwRegister, PnCounter, VersionDigest, Writer,
};

/// A value of any type that merges, as a causal value: so that it can be removed, and be a value of an
/// [`OrMap`](crate::OrMap).
///
/// A write takes the values it sees, joined, changes the result, stores it whole under a fresh dot and supersedes the
/// dots it saw. Concurrent writes leave several values, which are joined when read.
///
/// It removes by *whole values*, and that is coarser than what a type made for it does: a value written concurrently
/// with a removal survives it, together with everything its writer had seen, removed or not. Of a counter that stood
/// at 5 and is removed here while another replica adds 2, 7 remains, where [`ResetCounter`](crate::ResetCounter) keeps
/// 2. Worse, a [`GCounter`] that starts anew after a removal counts in the entry it had before, and where an older
/// value survives, the greater of both hides the other. So for counters and sets take
/// [`ResetCounter`](crate::ResetCounter) and [`OrSet`](crate::OrSet). This is for registers, maxima, grow-only sets,
/// and types of your own, where it is as good as anything.
///
/// Retiring a replica renames the dots and not what the values say: names inside stay.
///
/// Reads and writes cost what joining the concurrent values costs, merging as for [`DotFun`].
///
/// ```
/// use crdt_core::dotted::Dotted;
/// use crdt_core::{GSet, OrMap, ReplicaId, Writer};
///
/// let me = Writer::unchecked(ReplicaId::from_u128(1));
/// let mut seen: OrMap<&str, Dotted<GSet<u32>>> = OrMap::default();
/// seen.update("k", |set| set.update(me, |set| drop(set.insert(42))))?;
/// assert!(seen.get(&"k").unwrap().joined().contains(&42));
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "V: serde::Serialize",
        deserialize = "V: Clone + Eq + serde::Deserialize<'de>"
    ))
)]
pub struct Dotted<V> {
    causal: Causal<DotFun<V>>,
}

impl<V: Crdt + Eq> Dotted<V> {
    /// Changes the value and returns the delta: bottom if the change made no difference.
    pub fn update(&mut self, me: Writer<'_>, change: impl FnOnce(&mut V)) -> Result<Self, DotsExhausted> {
        self.try_update(me, |value| {
            change(value);
            Ok(())
        })
    }

    /// [`update`](Self::update) by a change that can fail. On an error nothing is written.
    ///
    /// ```
    /// use crdt_core::dotted::Dotted;
    /// use crdt_core::{LwwRegister, Hlc, ReplicaId, Stamp, Writer};
    ///
    /// let me = Writer::unchecked(ReplicaId::from_u128(1));
    /// let stamp = Stamp { time: Hlc::new(5, 0), replica: me.id() };
    /// let mut title: Dotted<LwwRegister<&str>> = Dotted::default();
    /// title.try_update(me, |title| -> Result<(), Box<dyn core::error::Error>> {
    ///     title.set(stamp, "Draft")?;
    ///     Ok(())
    /// })?;
    /// assert_eq!(title.read().get(), Some(&"Draft"));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn try_update<E: From<DotsExhausted>>(
        &mut self,
        me: Writer<'_>,
        change: impl FnOnce(&mut V) -> Result<(), E>,
    ) -> Result<Self, E> {
        let before = self.read();
        let mut value = before.clone();
        change(&mut value)?;
        if value == before {
            return Ok(Self::default());
        }
        let dot = self.causal.context().next_dot(me.id())?;
        let delta = Causal::delta([(dot, value)].into_iter().collect(), self.causal.live());
        // A new dot is a change.
        let _ = self.causal.merge(&delta);
        Ok(delta.into())
    }

    /// Removes the values seen here and returns the delta, whose context is exactly their dots.
    pub fn clear(&mut self) -> Self {
        let delta = Causal::delta(DotFun::new(), self.causal.live());
        // No change when nothing was there; then the delta is bottom.
        let _ = self.causal.merge(&delta);
        delta.into()
    }

    /// The join of the concurrent values; bottom if there are none.
    pub fn read(&self) -> V {
        self.causal.store().joined()
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

impl<V: Crdt> DotFun<V> {
    /// The join of all values: how a [`Dotted`] value is read. Bottom if there are none.
    pub fn joined(&self) -> V {
        self.iter().fold(V::default(), |all, (_, value)| all.merged(value))
    }
}

causal_type!(impl[V: Crdt + Eq] Dotted[V] over DotFun<V>);

/// A state's version digest stands for it.
macro_rules! canonical_by_digest {
    ($(impl[$($generics:tt)*] $type:ty),+ $(,)?) => {$(
        impl<$($generics)*> CanonicalBytes for $type
        where
            Self: VersionDigest,
        {
            fn feed(&self, writer: &mut FingerprintWriter) {
                writer.write(&self.version_digest());
            }
        }
    )+};
}

canonical_by_digest! {
    impl[] GCounter,
    impl[] PnCounter,
    impl[] BoundedCounter,
    impl[T] GSet<T>,
    impl[V] LwwRegister<V>,
    impl[K, V] LwwMap<K, V>,
}
