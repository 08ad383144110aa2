//! Reading row after row, and writing one.

use ::redb::{AccessGuard, Key, Range, ReadableTable, Table, Value, WriteTransaction};
use crdt_core::{Change, Limits};

use super::super::{KeyVersion, StoredState, Write};
use super::error::RedbError;
use super::meta::Meta;
use super::{CHANGES, STATES, record};

/// The rows of a range, read as they are asked for; an error comes once and ends them if nothing can follow it.
pub(super) struct Rows<K: Key + 'static, V: Value + 'static, F> {
    range: Option<Result<Range<'static, K, V>, RedbError>>,
    read: F,
}

impl<K, V, F, T> Rows<K, V, F>
where
    K: Key,
    V: Value,
    F: FnMut(AccessGuard<'static, K>, AccessGuard<'static, V>) -> Result<T, RedbError>,
{
    pub(super) fn new(range: Result<Range<'static, K, V>, RedbError>, read: F) -> Self {
        Self { range: Some(range), read }
    }
}

impl<K, V, F, T> Iterator for Rows<K, V, F>
where
    K: Key,
    V: Value,
    F: FnMut(AccessGuard<'static, K>, AccessGuard<'static, V>) -> Result<T, RedbError>,
{
    type Item = Result<T, RedbError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.range.as_mut()? {
            Ok(range) => match range.next()? {
                Ok((key, value)) => Some((self.read)(key, value)),
                Err(error) => {
                    self.range = None;
                    Some(Err(error.into()))
                }
            },
            Err(_) => self.range.take()?.err().map(Err),
        }
    }
}

/// The tables of one write transaction.
pub(super) struct Tables<'t> {
    states: Table<'t, &'static [u8], &'static [u8]>,
    changes: Table<'t, u64, &'static [u8]>,
    limits: Limits,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction, limits: Limits) -> Result<Self, RedbError> {
        let (states, changes) = (transaction.open_table(STATES)?, transaction.open_table(CHANGES)?);
        Ok(Self { states, changes, limits })
    }

    pub(super) fn write<S: StoredState>(
        &mut self,
        meta: &mut Meta,
        key: &[u8],
        write: Write<S>,
    ) -> Result<(), RedbError> {
        match write {
            Write::Put(state) => self.put(meta, key, &state),
            Write::Merge(delta) => match self.state::<S>(key)? {
                None => self.put(meta, key, &delta),
                Some(mut state) => match state.merge_owned(delta) {
                    Change::Changed => self.put(meta, key, &state),
                    Change::Unchanged => Ok(()),
                },
            },
            Write::Remove => {
                if let Some(sequence) = self.forget(key)? {
                    meta.floor = meta.floor.max(sequence);
                }
                self.states.remove(key)?;
                Ok(())
            }
        }
    }

    /// Makes `state` the state of `key`, under the next sequence.
    pub(super) fn put<S: StoredState>(
        &mut self,
        meta: &mut Meta,
        key: &[u8],
        state: &S,
    ) -> Result<(), RedbError> {
        let version = KeyVersion { sequence: meta.next_sequence()?, digest: state.version_digest() };
        let record = record::encode(key, version, state);
        let (found, limit) = (record::state_len(&record), self.limits.max_bytes);
        if found > limit {
            return Err(RedbError::TooLarge { key: key.to_vec(), found, limit });
        }
        let before = match self.states.insert(key, record.as_slice())? {
            None => None,
            Some(before) => Some(record::split(key, before.value())?.0.sequence),
        };
        if let Some(before) = before {
            self.changes.remove(before)?;
        }
        self.changes.insert(version.sequence, record::change(version.digest, key).as_slice())?;
        Ok(())
    }

    fn state<S: StoredState>(&self, key: &[u8]) -> Result<Option<S>, RedbError> {
        let Some(record) = self.states.get(key)? else { return Ok(None) };
        record::decode_state(key, record.value(), &self.limits).map(Some)
    }

    /// Takes the last change of `key` out of the feed, and says which it was.
    fn forget(&mut self, key: &[u8]) -> Result<Option<u64>, RedbError> {
        let Some(record) = self.states.get(key)? else { return Ok(None) };
        let sequence = record::split(key, record.value())?.0.sequence;
        self.changes.remove(sequence)?;
        Ok(Some(sequence))
    }
}
