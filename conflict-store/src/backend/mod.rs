//! Where documents are kept.

mod memory;
#[cfg(feature = "redb")]
pub mod redb;
mod stored;

use alloc::borrow::{Cow, ToOwned};
use alloc::vec::Vec;
use core::ops::Bound;

use crdt_core::{Crdt, VersionDigest};

pub use memory::MemoryBackend;
pub use stored::StoredState;

/// An ordered map from keys to states that knows up to which log record it has been applied, and in
/// which order its keys last changed.
///
/// `K` is the borrowed form of the key, `[u8]` for a [`Store`](crate::Store); `S` is the state, a
/// [`Document`](crate::Document) for a store.
///
/// A backend that persists must make a batch and its number durable together, and must not make a
/// batch durable before the log has made the record durable it belongs to. Reopened, it stands at
/// some [`applied_lsn`](Self::applied_lsn), and the log replays what comes after.
///
/// Every change of a key takes the next *sequence*. A key has one, that of its last change; so the
/// keys in the order of their sequences are the feed of changes, in which each appears once.
pub trait Backend<K: ?Sized + ToOwned, S: Crdt + VersionDigest> {
    /// What can go wrong beneath.
    type Error: core::error::Error;

    /// The state of `key`, if there is one.
    fn get(&self, key: &K) -> Result<Option<Cow<'_, S>>, Self::Error>;

    /// All keys from `from` on, ascending, with their states.
    fn scan<'a>(&'a self, from: Bound<&K>) -> impl Iterator<Item = Result<Entry<'a, K, S>, Self::Error>>
    where
        K: 'a,
        S: 'a;

    /// The version digest of `key` and the sequence of its last change, without reading the state.
    fn version(&self, key: &K) -> Result<Option<KeyVersion>, Self::Error>;

    /// The keys that last changed past `sequence`, in the order of those changes.
    fn changed_past<'a>(
        &'a self,
        sequence: u64,
    ) -> impl Iterator<Item = Result<ChangedKey<K::Owned>, Self::Error>> + 'a
    where
        K: 'a,
        S: 'a;

    /// The sequence of the last change, [`floor`](Self::floor) before the first.
    fn last_sequence(&self) -> u64;

    /// The highest sequence that a removed key ever had, or where the sequences of this store begin
    /// if that is higher. What happened up to there is not all in the feed any more.
    fn floor(&self) -> u64;

    /// Makes all changes of `batch` in their order, or none, and moves
    /// [`applied_lsn`](Self::applied_lsn) to `lsn`.
    ///
    /// A batch that is not past what has been applied is refused as [`ApplyError::Stale`] and
    /// changes nothing.
    fn apply(&mut self, lsn: u64, batch: Batch<K, S>) -> Result<(), ApplyError<Self::Error>>;

    /// Takes `states`, each key once, as the whole content at `lsn`, all or nothing. Their sequences
    /// begin above `floor`.
    ///
    /// Only a backend that never held anything can be filled. A durable one need not hold `states` in
    /// memory all at once.
    fn fill<X>(
        &mut self,
        lsn: u64,
        floor: u64,
        states: impl Iterator<Item = Result<(K::Owned, S), X>>,
    ) -> Result<(), FillError<Self::Error, X>>;

    /// The number of the last batch applied, 0 before the first.
    fn applied_lsn(&self) -> u64;

    /// How many keys have a state.
    fn len(&self) -> Result<usize, Self::Error>;

    /// Whether no key has a state.
    fn is_empty(&self) -> Result<bool, Self::Error> {
        Ok(self.len()? == 0)
    }
}

/// A key and its state, borrowed where the backend can lend them.
pub type Entry<'a, K, S> = (Cow<'a, K>, Cow<'a, S>);

/// What is known of a key without its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyVersion {
    /// The sequence of the last change of the key.
    pub sequence: u64,
    /// The [version digest](VersionDigest) of its state.
    pub digest: u128,
}

/// A key in the feed of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedKey<K> {
    /// The key.
    pub key: K,
    /// Its last change and what it is since.
    pub version: KeyVersion,
}

/// Changes that are made together.
pub type Batch<K, S> = Vec<(<K as ToOwned>::Owned, Write<S>)>;

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write<S> {
    /// This becomes the state, whatever it was.
    Put(S),
    /// This is merged into the state, or becomes it if there is none. A backend that holds states
    /// ready merges in place; the others read, merge and write.
    Merge(S),
    /// The state is gone.
    Remove,
}

/// A batch was not applied. The backend is as it was.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError<E> {
    /// The batch is not past what has been applied. The caller is at fault: it replayed too far
    /// back, or gave two batches one number.
    #[error("batch {given} is not past batch {applied}, which has been applied; nothing was changed")]
    Stale {
        /// The number of the last batch applied.
        applied: u64,
        /// The number of the refused batch.
        given: u64,
    },
    /// The backend failed.
    #[error("the backend failed: {0}; nothing was changed")]
    Backend(E),
}

/// A backend was not filled. It is as empty as it was.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillError<E, X> {
    /// The backend holds something, or once did. The caller is at fault.
    #[error("the backend is not new; nothing was changed")]
    NotNew,
    /// What it was to be filled with came to an end too early.
    #[error(transparent)]
    Source(X),
    /// The backend failed.
    #[error("the backend failed: {0}; nothing was changed")]
    Backend(E),
}
