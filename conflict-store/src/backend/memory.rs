//! Documents in memory.

mod feed;

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::convert::Infallible;
use core::fmt;
use core::ops::Bound;

use crdt_core::{Change, Crdt, VersionDigest};

use self::feed::Feed;
use super::{ApplyError, Backend, Batch, ChangedKey, Entry, FillError, KeyVersion, Write};

/// A [`Backend`] that forgets everything when dropped.
///
/// ```
/// use conflict_store::backend::{ApplyError, Backend, MemoryBackend, Write};
/// use crdt_core::GSet;
///
/// let set = |fruit| GSet::from_iter([fruit]);
/// let mut backend = MemoryBackend::<str, GSet<&str>>::default();
/// let (basket, bowl) = (|| "basket".to_string(), || "bowl".to_string());
/// backend.apply(1, vec![(basket(), Write::Put(set("fig"))), (bowl(), Write::Put(set("plum")))])?;
/// backend.apply(2, vec![(basket(), Write::Merge(set("pear"))), (bowl(), Write::Remove)])?;
/// assert_eq!(backend.get("basket")?.map(|basket| basket.len()), Some(2));
/// assert_eq!(backend.get("bowl")?, None);
///
/// let replayed = backend.apply(2, vec![("basket".into(), Write::Remove)]);
/// assert_eq!(replayed, Err(ApplyError::Stale { applied: 2, given: 2 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemoryBackend<K: ?Sized, S> {
    /// Keys are shared with the feed.
    states: BTreeMap<Arc<K>, Kept<S>>,
    feed: Feed<K>,
    applied_lsn: u64,
    last_sequence: u64,
    floor: u64,
}

#[derive(Clone)]
struct Kept<S> {
    sequence: u64,
    state: S,
}

impl<K: ?Sized, S> Default for MemoryBackend<K, S> {
    fn default() -> Self {
        Self { states: BTreeMap::new(), feed: Feed::default(), applied_lsn: 0, last_sequence: 0, floor: 0 }
    }
}

impl<K, S> MemoryBackend<K, S>
where
    K: ?Sized + ToOwned<Owned: Into<Arc<K>>> + Ord,
    S: Crdt,
{
    /// Gives `key` the next sequence and lets `change` change its state; nothing moves if that changes nothing.
    fn change(&mut self, key: K::Owned, change: impl FnOnce(&mut S) -> Change) {
        let next = self.last_sequence + 1;
        let entry = self.states.entry(key.into());
        let key = Arc::clone(entry.key());
        let kept = entry.or_insert_with(|| Kept { sequence: 0, state: S::default() });
        let is_new = kept.sequence == 0;
        if !change(&mut kept.state).is_changed() && !is_new {
            return;
        }
        if !is_new {
            self.feed.remove(kept.sequence);
        }
        (kept.sequence, self.last_sequence) = (next, next);
        self.feed.push(next, key);
    }

    fn remove(&mut self, key: &K) {
        if let Some(kept) = self.states.remove(key) {
            self.feed.remove(kept.sequence);
            self.floor = self.floor.max(kept.sequence);
        }
    }
}

impl<K, S> Backend<K, S> for MemoryBackend<K, S>
where
    K: ?Sized + ToOwned<Owned: Into<Arc<K>>> + Ord,
    S: Crdt + VersionDigest,
{
    type Error = Infallible;

    /// O(log n).
    fn get(&self, key: &K) -> Result<Option<Cow<'_, S>>, Infallible> {
        Ok(self.states.get(key).map(|kept| Cow::Borrowed(&kept.state)))
    }

    fn scan<'a>(&'a self, from: Bound<&K>) -> impl Iterator<Item = Result<Entry<'a, K, S>, Infallible>>
    where
        K: 'a,
        S: 'a,
    {
        self.states
            .range::<K, _>((from, Bound::Unbounded))
            .map(|(key, kept)| Ok((Cow::Borrowed(&**key), Cow::Borrowed(&kept.state))))
    }

    /// O(log n), and what the state takes to say its digest.
    fn version(&self, key: &K) -> Result<Option<KeyVersion>, Infallible> {
        Ok(self.states.get(key).map(Kept::version))
    }

    fn changed_past<'a>(
        &'a self,
        sequence: u64,
    ) -> impl Iterator<Item = Result<ChangedKey<K::Owned>, Infallible>> + 'a
    where
        K: 'a,
        S: 'a,
    {
        self.feed.past(sequence).filter_map(|key| {
            let version = self.states.get(key)?.version();
            Some(Ok(ChangedKey { key: key.to_owned(), version }))
        })
    }

    fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    fn floor(&self) -> u64 {
        self.floor
    }

    /// O(batch · log n).
    fn apply(&mut self, lsn: u64, batch: Batch<K, S>) -> Result<(), ApplyError<Infallible>> {
        if lsn <= self.applied_lsn {
            return Err(ApplyError::Stale { applied: self.applied_lsn, given: lsn });
        }
        for (key, write) in batch {
            match write {
                Write::Put(state) => self.change(key, |old| {
                    *old = state;
                    Change::Changed
                }),
                Write::Merge(delta) => self.change(key, |state| state.merge_owned(delta)),
                Write::Remove => self.remove(key.borrow()),
            }
        }
        self.applied_lsn = lsn;
        Ok(())
    }

    /// O(n · log n).
    fn fill<X>(
        &mut self,
        lsn: u64,
        floor: u64,
        states: impl Iterator<Item = Result<(K::Owned, S), X>>,
    ) -> Result<(), FillError<Infallible, X>> {
        if self.applied_lsn > 0 || self.last_sequence > 0 {
            return Err(FillError::NotNew);
        }
        let mut filled = Self { applied_lsn: lsn, last_sequence: floor, floor, ..Self::default() };
        for entry in states {
            let (key, state) = entry.map_err(FillError::Source)?;
            filled.change(key, |old| {
                *old = state;
                Change::Changed
            });
        }
        *self = filled;
        Ok(())
    }

    fn applied_lsn(&self) -> u64 {
        self.applied_lsn
    }

    fn len(&self) -> Result<usize, Infallible> {
        Ok(self.states.len())
    }
}

impl<S: VersionDigest> Kept<S> {
    fn version(&self) -> KeyVersion {
        KeyVersion { sequence: self.sequence, digest: self.state.version_digest() }
    }
}

impl<K: ?Sized + Ord, S: Clone> Clone for MemoryBackend<K, S> {
    fn clone(&self) -> Self {
        Self { states: self.states.clone(), feed: self.feed.clone(), ..*self }
    }
}

impl<S: fmt::Debug> fmt::Debug for Kept<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}

impl<K: ?Sized + fmt::Debug, S: fmt::Debug> fmt::Debug for MemoryBackend<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend")
            .field("applied_lsn", &self.applied_lsn)
            .field("last_sequence", &self.last_sequence)
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}
