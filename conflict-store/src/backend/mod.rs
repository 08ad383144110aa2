//! Where documents are kept.

mod memory;

use alloc::borrow::{Cow, ToOwned};
use alloc::vec::Vec;
use core::ops::Bound;

use crdt_core::Crdt;

pub use memory::MemoryBackend;

/// An ordered map from keys to states that knows up to which log record it has been applied.
///
/// `K` is the borrowed form of the key, `[u8]` for a [`Store`](crate::Store); `S` is the state, a
/// [`Document`](crate::Document) for a store.
///
/// A backend that persists must make a batch and its number durable together, and must not make a
/// batch durable before the log has made the record durable it belongs to. Reopened, it stands at
/// some [`applied_lsn`](Self::applied_lsn), and the log replays what comes after.
pub trait Backend<K: ?Sized + ToOwned, S: Crdt> {
    /// What can go wrong beneath.
    type Error: core::error::Error;

    /// The state of `key`, if there is one.
    fn get(&self, key: &K) -> Result<Option<Cow<'_, S>>, Self::Error>;

    /// All keys from `from` on, ascending, with their states.
    fn scan<'a>(&'a self, from: Bound<&K>) -> impl Iterator<Item = Result<Entry<'a, K, S>, Self::Error>>
    where
        K: 'a,
        S: 'a;

    /// Makes all changes of `batch` in their order, or none, and moves
    /// [`applied_lsn`](Self::applied_lsn) to `lsn`.
    ///
    /// A batch that is not past what has been applied is refused as [`ApplyError::Stale`] and
    /// changes nothing.
    fn apply(&mut self, lsn: u64, batch: Batch<K, S>) -> Result<(), ApplyError<Self::Error>>;

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
