//! The map whose values are causal types themselves, under one shared context.

use core::borrow::Borrow;
use core::convert::Infallible;
use core::mem;

use crate::dotted::{Causal, CausalCrdt, DotMap, DotStore, StoreDigest, Told, causal_type};
use crate::{CanonicalBytes, CausalContext, Crdt, VersionVector};

/// A map from keys to values that merge, in which a removal resets what it has seen and no more.
///
/// A value is any causal type: [`OrSet`](crate::OrSet), [`ResetCounter`](crate::ResetCounter), another map, or, by way
/// of [`Dotted`](crate::dotted::Dotted), any type at all that merges. It is the same type that stands alone elsewhere,
/// and it is changed by the same mutators, inside [`update`](Self::update). A key is present while something is alive
/// under it.
///
/// Removing a key removes the changes under it that were seen *here*. What another replica changed under the key
/// meanwhile survives, and nothing else does: the value is what those changes alone make it. Nothing is kept for a
/// removed key.
///
/// All values, at any depth, share the one context of the outermost map and take their dots from it. So a key costs no
/// context of its own, and a key that is removed and made anew never uses a dot twice.
///
/// Lookups and removals O(log n), besides what is removed. Merging a delta costs O(log n) for each key it touches,
/// however many there are; merging a whole state is one walk over both maps. See [`DotMap`].
///
/// Source: Almeida, Shoker, Baquero, "Delta State Replicated Data Types" (2018), section 7.5.
///
/// ```
/// use crdt_core::{Crdt, OrMap, OrSet, ReplicaId, Writer};
///
/// let [ann, bob] = [1, 2].map(|n| Writer::unchecked(ReplicaId::from_u128(n)));
/// let mut tags: OrMap<&str, OrSet<&str>> = OrMap::default();
/// tags.update("plum", |tags| tags.add(ann, "blue"))?;
///
/// let mut copy = tags.clone();
/// let removal = tags.remove(&"plum");
/// let update = copy.update("plum", |tags| tags.add(bob, "ripe"))?;
///
/// // Bob's tag was not there to be removed; Ann's was.
/// let _ = tags.merge(&update);
/// let _ = copy.merge(&removal);
/// assert_eq!(tags, copy);
/// let plum = tags.value(&"plum").unwrap();
/// assert!(plum.contains("ripe") && !plum.contains("blue"));
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "K: serde::Serialize, C::Store: serde::Serialize",
        deserialize = "K: Ord + Clone + serde::Deserialize<'de>, C::Store: serde::Deserialize<'de>"
    ))
)]
pub struct OrMap<K, C: CausalCrdt> {
    causal: Causal<DotMap<K, C::Store>>,
}

impl<K: Ord + Clone, C: CausalCrdt> OrMap<K, C> {
    /// Changes the value under `key`, which is bottom if the key is not there, and returns the delta.
    ///
    /// The closure gets the value as one that stands alone, calls its mutators and returns the delta they gave (merged
    /// into one, if it calls several). It must change the value by its mutators and by nothing else: the value has
    /// the context of the whole map on loan, which replacing the value, or merging into it what did not come from
    /// this map, would break. What the delta does not tell, peers will not hear of from it. Should the closure return a
    /// clone of the value in place of a delta, the delta is larger than it need be, and still says nothing about other
    /// keys.
    ///
    /// Mutators that fail change nothing, so an error leaves the map as it was; what a closure did *before* an error
    /// stays. The same holds for a panic: the value goes back into the map as the closure left it.
    ///
    /// Costs O(log n) besides the change, and O(replicas) in large maps: the value and the context are moved, not
    /// copied.
    pub fn update<E>(&mut self, key: K, change: impl FnOnce(&mut C) -> Result<C, E>) -> Result<Self, E> {
        let mut loan = Loan::of(&mut self.causal, key.clone());
        let delta = change(&mut loan.value)?.into();
        loan.give_back(Told::Delta(&delta));
        drop(loan);
        Ok(self.under(key, delta))
    }

    /// [`update`](Self::update) by a change that cannot fail, such as removing something.
    ///
    /// ```
    /// use crdt_core::{OrMap, OrSet, ReplicaId, Writer};
    ///
    /// let me = Writer::unchecked(ReplicaId::from_u128(1));
    /// let mut tags: OrMap<&str, OrSet<&str>> = OrMap::default();
    /// tags.update("plum", |tags| tags.add(me, "ripe"))?;
    /// tags.update_with("plum", |tags| tags.remove("ripe"));
    /// assert!(!tags.contains_key(&"plum"), "nothing is alive under it");
    /// # Ok::<(), crdt_core::DotsExhausted>(())
    /// ```
    pub fn update_with(&mut self, key: K, change: impl FnOnce(&mut C) -> C) -> Self {
        match self.update(key, |value| Ok::<C, Infallible>(change(value))) {
            Ok(delta) => delta,
            Err(never) => match never {},
        }
    }

    /// Removes what is under `key` and writes something new, in one delta: wherever that arrives, the one does not
    /// happen without the other. The closure starts from bottom, and is otherwise held to what
    /// [`update`](Self::update) says.
    ///
    /// On an error the old value is back in place. O(log n), besides what is removed and written.
    pub fn replace<E>(&mut self, key: K, write: impl FnOnce(&mut C) -> Result<C, E>) -> Result<Self, E> {
        let mut loan = Loan::of(&mut self.causal, key.clone());
        loan.set_aside();
        let delta = write(&mut loan.value)?.into();
        let replaced = loan.aside.take().unwrap_or_default();
        loan.give_back(Told::Before(&replaced));
        drop(loan);
        let mut delta = self.under(key, delta);
        // What was replaced is removed, whether or not the delta says so already.
        let _ = delta.causal.parts_mut().1.merge(&replaced.dots());
        Ok(delta)
    }

    /// Removes `key`, as far as what is under it has been seen here, and returns the delta, whose context is exactly
    /// the dots removed: bottom if the key was not there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Self
    where
        K: Borrow<Q>,
    {
        let (entries, _) = self.causal.parts_mut();
        let removed = entries.remove(key).map(|store| store.dots());
        Causal::delta(DotMap::new(), removed.unwrap_or_default()).into()
    }

    /// Removes every key seen here and returns the delta.
    pub fn clear(&mut self) -> Self {
        let removed = self.causal.live();
        let (entries, _) = self.causal.parts_mut();
        entries.clear();
        Causal::delta(DotMap::new(), removed).into()
    }

    /// The delta of the map from that of a value.
    fn under(&self, key: K, delta: Causal<C::Store>) -> Self {
        let (store, mut context) = delta.into_parts();
        if context == *self.context() {
            // Either all that is alive is under this key, or the delta is a clone of the value, with the context of
            // the whole map, and would remove what is under other keys wherever it arrives.
            let mine = self.causal.store().get(&key).map(DotStore::dots).unwrap_or_default();
            context = context.difference(&self.causal.live().difference(&mine));
        }
        Causal::from_parts_unchecked([(key, store)].into_iter().collect(), context).into()
    }
}

impl<K: Ord, C: CausalCrdt> OrMap<K, C> {
    /// What is alive under `key`, `None` if the key is not there: the value without its context, to be read by the
    /// methods of the store.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&C::Store>
    where
        K: Borrow<Q>,
    {
        self.causal.store().get(key)
    }

    /// A copy of the value under `key`, to be read by its own methods, `None` if the key is not there. It has seen
    /// what is alive in it and nothing else. O(size of the value).
    pub fn value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<C>
    where
        K: Borrow<Q>,
    {
        let store = self.get(key)?;
        Some(Causal::from_parts_unchecked(store.clone(), store.dots()).into())
    }

    /// Whether anything is alive under `key`.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }
}

impl<K: Ord + Clone, C: CausalCrdt> OrMap<K, C> {
    /// Recomputes what is kept beside the values and says whether it was right: see [`DotMap::scrub`].
    pub fn scrub(&self) -> bool {
        self.causal.store().scrub()
    }
}

impl<K: CanonicalBytes + Ord + Clone, C: CausalCrdt> OrMap<K, C>
where
    C::Store: StoreDigest,
{
    /// Keeps the digest of what is alive current from now on, which is what makes the
    /// [version digest](crate::VersionDigest) slow: see [`DotMap::track_digest`].
    pub fn track_digest(&mut self) {
        self.causal.parts_mut().0.track_digest();
    }
}

impl<K, C: CausalCrdt> OrMap<K, C> {
    /// Keys and what is alive under them, ascending by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &C::Store)> {
        self.causal.store().iter()
    }

    /// The keys in ascending order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.causal.store().len()
    }

    /// Whether there is no key. An empty map that has seen some is not bottom.
    pub fn is_empty(&self) -> bool {
        self.causal.store().is_empty()
    }

    /// Every change seen, under all keys and at all depths.
    pub const fn context(&self) -> &CausalContext {
        self.causal.context()
    }

    /// Everything alive.
    pub const fn store(&self) -> &DotMap<K, C::Store> {
        self.causal.store()
    }
}

/// A value taken out of a map, with the map's context, which goes back in when this is dropped: also when what is done
/// with it fails or panics. A map whose context is lost would use its dots twice.
struct Loan<'a, K: Ord + Clone, C: CausalCrdt> {
    map: &'a mut Causal<DotMap<K, C::Store>>,
    /// Taken when the value goes back.
    key: Option<K>,
    value: C,
    /// What goes back in place of the value, while it is to be replaced.
    aside: Option<C::Store>,
    /// How far each replica had come when the value was lent, where somebody has to know.
    before: Option<VersionVector>,
}

impl<'a, K: Ord + Clone, C: CausalCrdt> Loan<'a, K, C> {
    fn of(map: &'a mut Causal<DotMap<K, C::Store>>, key: K) -> Self {
        let (entries, shared) = map.parts_mut();
        let before = entries.is_indexed().then(|| shared.heads());
        let store = entries.lend(&key);
        let value = Causal::from_parts_unchecked(store, mem::take(shared)).into();
        Self { map, key: Some(key), value, aside: None, before }
    }

    /// Keeps what is there apart and goes on with nothing.
    fn set_aside(&mut self) {
        let (store, context) = self.take_value();
        self.value = Causal::from_parts_unchecked(C::Store::default(), context).into();
        self.aside = Some(store);
    }

    fn take_value(&mut self) -> (C::Store, CausalContext) {
        let value: Causal<C::Store> = mem::take(&mut self.value).into();
        value.into_parts()
    }

    /// Puts the value back. Once.
    fn give_back(&mut self, told: Told<'_, C::Store>) {
        let Some(key) = self.key.take() else { return };
        let (store, context) = self.take_value();
        // A closure that made several changes and handed back the delta of one is caught here: its index would miss
        // dots that are alive, and a removal from elsewhere would pass them by.
        let told = match (told, &self.before) {
            (Told::Delta(delta), Some(before)) if !delta.context().covers_since(before, &context) => {
                Told::Nothing
            }
            (told, _) => told,
        };
        let (entries, shared) = self.map.parts_mut();
        *shared = context;
        entries.settle(key, store, told);
    }
}

impl<K: Ord + Clone, C: CausalCrdt> Drop for Loan<'_, K, C> {
    fn drop(&mut self) {
        let Some(before) = self.aside.take() else { return self.give_back(Told::Nothing) };
        let (_, context) = self.take_value();
        self.value = Causal::from_parts_unchecked(before, context).into();
        self.give_back(Told::Delta(&Causal::default()));
    }
}

impl<K: Clone, C: CausalCrdt> Clone for OrMap<K, C> {
    fn clone(&self) -> Self {
        Self { causal: self.causal.clone() }
    }
}

impl<K: PartialEq, C: CausalCrdt> PartialEq for OrMap<K, C> {
    fn eq(&self, other: &Self) -> bool {
        self.causal == other.causal
    }
}

impl<K: Eq, C: CausalCrdt> Eq for OrMap<K, C> where C::Store: Eq {}

causal_type!(impl[K: Ord + Clone, C: CausalCrdt] OrMap[K, C] over DotMap<K, C::Store>, tagged 0x000e);
