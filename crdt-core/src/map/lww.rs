//! The map of plain values in which the last write wins.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::mem::size_of;

use crate::crdt::order_from;
use crate::dotted::b_tree_bytes;
use crate::fingerprint::sum;
use crate::heap::owned_by;
use crate::{
    CanonicalBytes, Change, ClockAhead, Crdt, DeltaCrdt, FingerprintWriter, HeapSize, Hlc, LwwRegister,
    MergeError, NotStable, ReplicaId, Retire, Retirement, Stamp, TryMerge, VersionDigest,
};

/// A map in which of two writes to a key the one with the greater [`Stamp`] stays.
///
/// An [`LwwRegister`] under each key, with the same order and the same caveat: of two concurrent writes one is lost. A
/// removal is a write too and leaves a tombstone, a key with a stamp and no value, so that an older write which
/// arrives later does not bring the key back. Tombstones stay until [`forget_before`](Self::forget_before) drops them.
///
/// Lookups and writes O(log n), merging O(m log n) for m keys of the other.
///
/// Source: Johnson, Thomas, "The maintenance of duplicate databases", RFC 677, 1975.
///
/// ```
/// use crdt_core::{Crdt, Hlc, LwwMap, ReplicaId, Stamp};
///
/// let stamp = |millis, replica| Stamp { time: Hlc::new(millis, 0), replica: ReplicaId::from_u128(replica) };
/// let mut settings = LwwMap::default();
/// let mut copy = settings.clone();
/// let older = settings.set(stamp(5, 1), "theme", "dark")?;
/// copy.remove(stamp(6, 2), &"theme")?;
///
/// assert!(!copy.merge(&older).is_changed(), "removed since");
/// assert_eq!((copy.get(&"theme"), copy.len(), copy.tombstones()), (None, 0, 1));
/// # Ok::<(), crdt_core::ClockAhead>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "K: serde::Serialize, V: serde::Serialize",
        deserialize = "K: Ord + serde::Deserialize<'de>, V: Ord + Clone + serde::Deserialize<'de>"
    ))
)]
pub struct LwwMap<K, V> {
    /// No register is bottom.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::dotted::ascending::serialize"))]
    #[cfg_attr(feature = "serde", serde(deserialize_with = "serde_impls::written_only"))]
    entries: BTreeMap<K, LwwRegister<V>>,
}

impl<K: Ord + Clone, V: Ord + Clone> LwwMap<K, V> {
    /// Writes `value` under `key` and returns the delta, which holds that key alone.
    ///
    /// Fails, and changes nothing, when the stamp under the key is not below `stamp`.
    pub fn set(&mut self, stamp: Stamp, key: K, value: V) -> Result<Self, ClockAhead> {
        self.write(key, |register| register.set(stamp, value))
    }

    /// Removes `key` and returns the delta. A key that was never there gets a tombstone like any other: an older
    /// write may be on its way.
    pub fn remove(&mut self, stamp: Stamp, key: &K) -> Result<Self, ClockAhead> {
        self.write(key.clone(), |register| register.clear(stamp))
    }

    fn write(
        &mut self,
        key: K,
        write: impl FnOnce(&mut LwwRegister<V>) -> Result<LwwRegister<V>, ClockAhead>,
    ) -> Result<Self, ClockAhead> {
        let delta = match self.entries.entry(key.clone()) {
            Entry::Occupied(mut entry) => write(entry.get_mut())?,
            // Nothing is stored, so no stamp is refused; an entry appears with its content.
            Entry::Vacant(entry) => write(entry.insert(LwwRegister::default()))?,
        };
        Ok(Self { entries: [(key, delta)].into() })
    }

    /// Drops tombstones of before `horizon`, and says how many.
    ///
    /// This is no change that spreads: each replica forgets for itself, and one that has not yet brings its tombstones
    /// back when merged, which does no harm. It is sound once *nobody can bring a write older than the horizon any
    /// more*: every replica that still takes part has merged every write and removal stamped before it, and no message
    /// from before is under way. How far that is depends on who takes part, so the caller must know. Where an older
    /// write does arrive after its removal was forgotten, the key is back.
    pub fn forget_before(&mut self, horizon: Hlc) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, register| {
            register.get().is_some() || register.stamp().is_none_or(|stamp| stamp.time >= horizon)
        });
        before - self.entries.len()
    }
}

impl<K: Ord, V> LwwMap<K, V> {
    /// The value under `key`, unless it was never written or is removed.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)?.get()
    }

    /// The stamp of the last write or removal of `key`: what a clock should observe before it mints the next.
    pub fn stamp_of<Q: Ord + ?Sized>(&self, key: &Q) -> Option<Stamp>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)?.stamp()
    }
}

impl<K, V> LwwMap<K, V> {
    /// Keys and values in ascending order of keys, without removed ones.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().filter_map(|(key, register)| Some((key, register.get()?)))
    }

    /// How many keys have a value. O(n).
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether no key has a value. O(n).
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// How many removals are remembered. O(n).
    pub fn tombstones(&self) -> usize {
        self.entries.len() - self.len()
    }
}

/// Bottom: nothing was ever written.
impl<K, V> Default for LwwMap<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V: Ord + Clone> LwwMap<K, V> {
    fn is_at_most(&self, other: &Self) -> bool {
        self.entries.iter().all(|(key, register)| {
            let theirs = other.entries.get(key);
            theirs.is_some_and(|theirs| register.compare(theirs).is_some_and(Ordering::is_le))
        })
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Crdt for LwwMap<K, V> {
    fn merge(&mut self, other: &Self) -> Change {
        let mut change = Change::Unchanged;
        for (key, theirs) in &other.entries {
            change |= match self.entries.get_mut(key) {
                Some(ours) => ours.merge(theirs),
                None => self.entries.insert(key.clone(), theirs.clone()).is_none().into(),
            };
        }
        change
    }

    fn merge_owned(&mut self, other: Self) -> Change {
        let mut change = Change::Unchanged;
        for (key, theirs) in other.entries {
            change |= self.entries.entry(key).or_default().merge_owned(theirs);
        }
        change
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        order_from(self.is_at_most(other), other.is_at_most(self))
    }

    fn is_bottom(&self) -> bool {
        self.entries.is_empty()
    }
}

/// What an [`LwwMap`] tells about itself: the last stamp of each key, tombstones included, without the values.
///
/// Beside the stamp stands a digest of what it stamps: a cloned replica may have given one stamp to two contents, and
/// they must meet to be told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "K: serde::Serialize", deserialize = "K: Ord + serde::Deserialize<'de>"))
)]
pub struct LwwMapDigest<K> {
    #[cfg_attr(feature = "serde", serde(with = "crate::dotted::ascending"))]
    last: BTreeMap<K, (Stamp, u128)>,
}

impl<K, V: CanonicalBytes> LwwMap<K, V> {
    fn writes(&self) -> impl Iterator<Item = (&K, (Stamp, u128))> {
        let write = |register: &LwwRegister<V>| Some((register.stamp()?, register.version_digest()));
        self.entries.iter().filter_map(move |(key, register)| Some((key, write(register)?)))
    }
}

impl<K: Ord + Clone, V: Ord + Clone + CanonicalBytes> DeltaCrdt for LwwMap<K, V> {
    type Digest = LwwMapDigest<K>;

    fn digest(&self) -> LwwMapDigest<K> {
        LwwMapDigest { last: self.writes().map(|(key, write)| (key.clone(), write)).collect() }
    }

    /// The keys in which this map is ahead. O(n log m).
    fn delta_since(&self, digest: &LwwMapDigest<K>) -> Self {
        let is_news = |key: &K, (stamp, content): (Stamp, u128)| match digest.last.get(key) {
            Some((theirs, other)) => stamp > *theirs || (stamp == *theirs && content != *other),
            None => true,
        };
        let news = self.writes().filter(|(key, write)| is_news(key, *write));
        let entries = news.filter_map(|(key, _)| Some((key.clone(), self.entries.get(key)?.clone())));
        Self { entries: entries.collect() }
    }

    /// One part per key.
    fn split(&self) -> Vec<Self> {
        let entries = self.entries.iter();
        entries.map(|(key, register)| Self { entries: [(key.clone(), register.clone())].into() }).collect()
    }
}

/// Only the last write of each key is known of, so a write counts while nobody has written the key since.
impl<K: Ord + Clone, V: Ord + Clone> TryMerge for LwwMap<K, V> {
    /// The greatest stamp of the replica's, as a number.
    fn changes_of(&self, replica: ReplicaId) -> u128 {
        self.entries.values().map(|register| register.changes_of(replica)).max().unwrap_or(0)
    }

    /// Key by key as for [`LwwRegister`]. An own removal of a key that is not here is no claim: it may be one that was
    /// [forgotten](Self::forget_before) here.
    fn check_merge(&self, other: &Self, me: ReplicaId) -> Result<(), MergeError> {
        let nothing = LwwRegister::default();
        other.entries.iter().try_for_each(|(key, theirs)| match self.entries.get(key) {
            Some(ours) => ours.check_merge(theirs, me),
            None if theirs.get().is_none() => Ok(()),
            None => nothing.check_merge(theirs, me),
        })
    }
}

/// Stamps keep the names of retired replicas, as for [`LwwRegister`].
impl<K, V> Retire for LwwMap<K, V> {
    fn retire(&mut self, _: &Retirement) -> Result<(), NotStable> {
        Ok(())
    }

    fn changes_to_retire(&self, _: ReplicaId) -> u128
    where
        Self: TryMerge,
    {
        0
    }
}

impl<K: CanonicalBytes, V: CanonicalBytes> VersionDigest for LwwMap<K, V> {
    fn version_digest(&self) -> u128 {
        sum(self.writes().map(|(key, (_, write))| {
            let mut part = FingerprintWriter::new(*b"lww-map.");
            part.write(key);
            part.write(&write);
            part.finish()
        }))
    }
}

impl<K: HeapSize, V: HeapSize> HeapSize for LwwMap<K, V> {
    fn heap_size(&self) -> usize {
        b_tree_bytes(self.entries.len(), size_of::<(K, LwwRegister<V>)>())
            + owned_by(self.entries.keys())
            + owned_by(self.entries.values())
    }
}

/// `{"k": LwwRegister { .. }}`, tombstones included.
impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for LwwMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.entries).finish()
    }
}

#[cfg(feature = "serde")]
impl<K, V> crate::codec::Encoded for LwwMap<K, V>
where
    Self: serde::Serialize + serde::de::DeserializeOwned,
{
    const TYPE_TAG: u16 = 0x000d;
    const NAME: &str = "LwwMap";
}

#[cfg(feature = "serde")]
mod serde_impls {
    use alloc::collections::BTreeMap;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer};

    use crate::dotted::ascending;
    use crate::{Crdt, LwwRegister};

    /// Strictly ascending keys, none of which was never written.
    pub(super) fn written_only<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, LwwRegister<V>>, D::Error>
    where
        K: Ord + Deserialize<'de>,
        V: Ord + Clone + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        let entries: BTreeMap<K, LwwRegister<V>> = ascending::deserialize(deserializer)?;
        if entries.values().any(Crdt::is_bottom) {
            return Err(D::Error::custom("a key that was never written"));
        }
        Ok(entries)
    }
}
