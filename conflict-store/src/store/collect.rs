//! Forgetting that documents were deleted, when everybody knows.

use super::{ReadError, Store, WriteError};
use crate::backend::{ApplyError, Backend, Batch, Write};
use crate::revision::Document;

/// What a [collection](Store::collect_tombstones) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many deleted documents are gone.
    pub removed: usize,
    /// How many documents below the horizon exist and stay.
    pub live: usize,
}

/// Nothing was collected. The store is as it was.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectError<E> {
    /// The horizon is past the last change: it belongs to another store. The caller is at fault.
    #[error("the horizon {horizon} is past the last change {last}; nothing was collected")]
    HorizonAhead {
        /// The horizon given.
        horizon: u64,
        /// The last change.
        last: u64,
    },
    /// A document could not be read.
    #[error(transparent)]
    Read(ReadError<E>),
    /// The backend did not take the removals.
    #[error(transparent)]
    Write(WriteError<E>),
}

/// Deleted documents.
impl<V, B> Store<V, B>
where
    V: AsRef<[u8]> + Clone + Eq,
    B: Backend<[u8], Document<V>>,
{
    /// Removes the deleted documents that last changed at or below `horizon`, as the next batch of the
    /// backend; see [`collect_tombstones_at`](Self::collect_tombstones_at).
    pub fn collect_tombstones(&mut self, horizon: u64) -> Result<Collected, CollectError<B::Error>> {
        self.collect_tombstones_at(self.backend.applied_lsn().saturating_add(1), horizon)
    }

    /// Removes the documents all of whose leaves are deletions and whose last change has a sequence at
    /// or below `horizon`, all or none, as the batch `lsn`.
    ///
    /// The horizon says what is *causally stable*: every replica that may still write has everything
    /// this store had when its feed stood at `horizon`, and has sent what it had written before. The
    /// lowest [sequence](super::Cursor::sequence) of all replicas' cursors is such a number, once what they
    /// had to say has been merged.
    ///
    /// What a collected deletion does not do any more is to hold down what it deleted:
    ///
    /// - a write that was made beside the deletion, and arrives later, shows as it would have: a live
    ///   version wins over a deletion anyway. Its history counts as [incomplete](crate::Conflict::is_history_complete);
    /// - a replica that never heard of the deletion, which a right horizon rules out, brings the document
    ///   back as it was. It must not merge any more, but start from a snapshot;
    /// - a replica that has not collected yet brings the deletion back, to be collected again. And if a
    ///   document with the very same first body was written here in the meantime, that version is the one
    ///   which was deleted there: it is deleted here, too. So collect everywhere before a key is used again.
    ///
    /// Readers of the [feed](Self::changes) who have not seen the removed deletions
    /// [start over](super::FeedError::StartOver). Reads all documents that changed last at or below the
    /// horizon.
    pub fn collect_tombstones_at(
        &mut self,
        lsn: u64,
        horizon: u64,
    ) -> Result<Collected, CollectError<B::Error>> {
        let last = self.backend.last_sequence();
        if horizon > last {
            return Err(CollectError::HorizonAhead { horizon, last });
        }
        let backend_failed = |error| CollectError::Read(ReadError::Backend(error));
        let mut collected = Collected::default();
        let mut batch = Batch::<[u8], _>::new();
        for changed in self.backend.changed_past(0) {
            let changed = changed.map_err(backend_failed)?;
            if changed.version.sequence > horizon {
                break;
            }
            let document = self.backend.get(&changed.key).map_err(backend_failed)?;
            if document.is_some_and(|document| document.is_deleted()) {
                batch.push((changed.key, Write::Remove));
            } else {
                collected.live += 1;
            }
        }
        collected.removed = batch.len();
        if !batch.is_empty() {
            self.backend
                .apply(lsn, batch)
                .map_err(|error: ApplyError<_>| CollectError::Write(WriteError::Apply(error)))?;
        }
        Ok(collected)
    }
}
