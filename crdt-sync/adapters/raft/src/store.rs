//! The journal as openraft wants it: a log, a vote, and snapshots of the register.

use std::fmt::Debug;
use std::io::Cursor;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft::{
    EntryPayload, LogState, OptionalSend, RaftLogReader, RaftSnapshotBuilder, Snapshot, StorageIOError,
};
use replication_log::storage::Storage;

use crate::journal::{Change, Journal, JournalError};
use crate::register::{Decision, Register};
use crate::types::{Entry, LogId, Membership, Meta, StorageError, Types, Vote};

/// The one journal of a member, which its log and its register share.
pub(crate) struct Store<S: Storage>(Arc<Mutex<Journal<S>>>);

impl<S: Storage> Clone for Store<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Storage> Store<S> {
    pub(crate) fn open(storage: S) -> Result<Self, JournalError> {
        Ok(Self(Arc::new(Mutex::new(Journal::open(storage)?))))
    }

    fn journal(&self) -> MutexGuard<'_, Journal<S>> {
        // A journal whose writer panicked has still every change whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The register as of the newest snapshot.
    pub(crate) fn machine(&self) -> Result<Machine<S>, JournalError> {
        let snapshot = self.journal().kept().snapshot.clone();
        let (meta, state) = snapshot.unwrap_or_default();
        let register = if state.is_empty() {
            Register::default()
        } else {
            serde_json::from_str(&state).map_err(unreadable)?
        };
        Ok(Machine {
            store: self.clone(),
            register,
            applied: meta.last_log_id,
            membership: meta.last_membership,
        })
    }
}

/// A storage that may be used from any thread.
pub trait Anywhere: Storage<File: Send + Sync> + Send + Sync + 'static {}
impl<S: Storage<File: Send + Sync> + Send + Sync + 'static> Anywhere for S {}

impl<S: Anywhere> RaftLogReader<Types> for Store<S> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        Ok(self.journal().kept().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl<S: Anywhere> RaftLogStorage<Types> for Store<S> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let journal = self.journal();
        let kept = journal.kept();
        let last = kept.entries.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(LogState { last_purged_log_id: kept.purged, last_log_id: last.or(kept.purged) })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let saved = self.journal().change(Change::Vote(*vote));
        saved.map_err(|error| StorageIOError::write_vote(&error).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.journal().kept().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let appended = self.journal().change(Change::Append(entries.into_iter().collect()));
        callback.log_io_completed(appended.clone().map_err(std::io::Error::other));
        appended.map_err(|error| StorageIOError::write_logs(&error).into())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let cut = self.journal().change(Change::Truncate(log_id.index));
        cut.map_err(|error| StorageIOError::write_logs(&error).into())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let purged = self.journal().change(Change::Purge(log_id));
        purged.map_err(|error| StorageIOError::write_logs(&error).into())
    }
}

/// The register, and up to where the log is applied to it.
pub(crate) struct Machine<S: Storage> {
    store: Store<S>,
    register: Register,
    applied: Option<LogId>,
    membership: Membership,
}

impl<S: Storage> Clone for Machine<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            register: self.register.clone(),
            applied: self.applied,
            membership: self.membership.clone(),
        }
    }
}

impl<S: Anywhere> RaftStateMachine<Types> for Machine<S> {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Decision>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut decisions = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            let by = entry.log_id.leader_id;
            decisions.push(match entry.payload {
                EntryPayload::Blank => Decision::Nothing,
                EntryPayload::Normal(stamped) => self.register.decide((by.term, by.node_id), &stamped),
                EntryPayload::Membership(membership) => {
                    self.membership = Membership::new(Some(entry.log_id), membership);
                    Decision::Nothing
                }
            });
        }
        Ok(decisions)
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &Meta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let refused = |error: JournalError| StorageIOError::write_snapshot(Some(meta.signature()), &error);
        let state = String::from_utf8(snapshot.into_inner()).map_err(|error| refused(unreadable(error)))?;
        let register = serde_json::from_str(&state).map_err(|error| refused(unreadable(error)))?;
        self.store.journal().change(Change::Snapshot(meta.clone(), state)).map_err(refused)?;
        self.register = register;
        (self.applied, self.membership) = (meta.last_log_id, meta.last_membership.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        let kept = self.store.journal().kept().snapshot.clone();
        Ok(kept.map(|(meta, state)| Snapshot { meta, snapshot: Box::new(Cursor::new(state.into_bytes())) }))
    }
}

impl<S: Anywhere> RaftSnapshotBuilder<Types> for Machine<S> {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let applied = self.applied.map_or_else(|| "nothing".to_owned(), |log_id| log_id.to_string());
        let meta = Meta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
            snapshot_id: applied,
        };
        let failed = |error: JournalError| StorageIOError::write_snapshot(Some(meta.signature()), &error);
        let state = serde_json::to_string(&self.register).map_err(|error| failed(unreadable(error)))?;
        self.store.journal().change(Change::Snapshot(meta.clone(), state.clone())).map_err(failed)?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(state.into_bytes())) })
    }
}

fn unreadable(error: impl std::fmt::Display) -> JournalError {
    JournalError::of(format!("a snapshot of the register: {error}"))
}

#[cfg(test)]
mod tests {
    use openraft::testing::{StoreBuilder, Suite};
    use replication_log::storage::MemoryStorage;

    use super::*;

    struct Fresh;

    impl StoreBuilder<Types, Store<MemoryStorage>, Machine<MemoryStorage>> for Fresh {
        async fn build(&self) -> Result<((), Store<MemoryStorage>, Machine<MemoryStorage>), StorageError> {
            let store = Store::open(MemoryStorage::new()).unwrap();
            let machine = store.machine().unwrap();
            Ok(((), store, machine))
        }
    }

    #[test]
    fn the_store_does_all_that_the_raft_relies_on() {
        Suite::test_all(Fresh).unwrap();
    }
}
