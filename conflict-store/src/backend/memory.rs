//! Documents in memory.

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeMap;
use core::borrow::Borrow;
use core::convert::Infallible;
use core::fmt;
use core::ops::Bound;

use crdt_core::Crdt;

use super::{ApplyError, Backend, Batch, Entry, Write};

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
pub struct MemoryBackend<K: ?Sized + ToOwned, S> {
    states: BTreeMap<K::Owned, S>,
    applied_lsn: u64,
}

impl<K: ?Sized + ToOwned, S> Default for MemoryBackend<K, S> {
    fn default() -> Self {
        Self { states: BTreeMap::new(), applied_lsn: 0 }
    }
}

impl<K, S> Backend<K, S> for MemoryBackend<K, S>
where
    K: ?Sized + ToOwned<Owned: Ord> + Ord,
    S: Crdt,
{
    type Error = Infallible;

    /// O(log n).
    fn get(&self, key: &K) -> Result<Option<Cow<'_, S>>, Infallible> {
        Ok(self.states.get(key).map(Cow::Borrowed))
    }

    fn scan<'a>(&'a self, from: Bound<&K>) -> impl Iterator<Item = Result<Entry<'a, K, S>, Infallible>>
    where
        K: 'a,
        S: 'a,
    {
        self.states
            .range((from, Bound::Unbounded))
            .map(|(key, state)| Ok((Cow::Borrowed(key.borrow()), Cow::Borrowed(state))))
    }

    /// O(batch · log n).
    fn apply(&mut self, lsn: u64, batch: Batch<K, S>) -> Result<(), ApplyError<Infallible>> {
        if lsn <= self.applied_lsn {
            return Err(ApplyError::Stale { applied: self.applied_lsn, given: lsn });
        }
        for (key, write) in batch {
            match write {
                Write::Put(state) => drop(self.states.insert(key, state)),
                // Nobody asks whether the merge changed anything.
                Write::Merge(delta) => drop(self.states.entry(key).or_default().merge_owned(delta)),
                Write::Remove => drop(self.states.remove(key.borrow())),
            }
        }
        self.applied_lsn = lsn;
        Ok(())
    }

    fn applied_lsn(&self) -> u64 {
        self.applied_lsn
    }

    fn len(&self) -> Result<usize, Infallible> {
        Ok(self.states.len())
    }
}

impl<K: ?Sized + ToOwned, S: Clone> Clone for MemoryBackend<K, S>
where
    K::Owned: Clone,
{
    fn clone(&self) -> Self {
        Self { states: self.states.clone(), applied_lsn: self.applied_lsn }
    }
}

impl<K: ?Sized + ToOwned<Owned: fmt::Debug>, S: fmt::Debug> fmt::Debug for MemoryBackend<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend")
            .field("applied_lsn", &self.applied_lsn)
            .field("states", &self.states)
            .finish()
    }
}
