//! Copies of a whole store, each with an identity of its own.

use std::path::Path;

use ::redb::{Database, Key, ReadableDatabase, ReadableTable, TableDefinition, Value};
use crdt_core::ReplicaId;

use super::error::{OpenError, RedbError};
use super::identity::{self, Note};
use super::meta::Meta;
use super::open::{FsyncPolicy, read_meta};
use super::{CHANGES, RedbBackend, STATES, begin};

impl<S> RedbBackend<S> {
    /// Copies the store as it is now into a new file, which writes under `fresh`. O(size).
    ///
    /// On an error there is no new file.
    pub fn clone_to(&self, path: impl AsRef<Path>, fresh: ReplicaId) -> Result<(), OpenError> {
        copy(&self.database, self.meta, path.as_ref(), fresh)
    }

    /// Makes a new file at `path` of the store in the file `backup`, which writes under `fresh`. O(size).
    ///
    /// The backup is left as it is, and must not be open. On an error there is no new file.
    pub fn restore(
        backup: impl AsRef<Path>,
        path: impl AsRef<Path>,
        fresh: ReplicaId,
    ) -> Result<(), OpenError> {
        let backup = backup.as_ref();
        let database = Database::open(backup).map_err(|error| OpenError::of_engine(backup, error))?;
        let meta = read_meta(backup, &database)?.ok_or_else(|| OpenError::Foreign { path: backup.into() })?;
        copy(&database, meta, path.as_ref(), fresh)
    }
}

fn copy(from: &Database, meta: Meta, path: &Path, fresh: ReplicaId) -> Result<(), OpenError> {
    if meta.replica == fresh {
        return Err(OpenError::NotFresh { replica: fresh });
    }
    let file = identity::claim(path)?;
    let work = || {
        let to = Database::builder().create_file(file).map_err(|error| OpenError::of_engine(path, error))?;
        let meta =
            Meta { opens: 1, note_before: None, place: identity::place(path)?, open_under: None, ..meta };
        let meta = meta.reincarnated(fresh);
        copy_rows(from, &to, &meta)?;
        Note::of(&meta).write(path)?;
        identity::settle(path)
    };
    work().inspect_err(|_| identity::discard(path))
}

/// One transaction reads, one writes: the copy is of one moment, and whole.
fn copy_rows(from: &Database, to: &Database, meta: &Meta) -> Result<(), RedbError> {
    let (reading, writing) = (from.begin_read()?, begin(to, FsyncPolicy::EveryBatch)?);
    copy_table(&reading, &writing, STATES)?;
    copy_table(&reading, &writing, CHANGES)?;
    meta.write(&writing)?;
    Ok(writing.commit()?)
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    reading: &::redb::ReadTransaction,
    writing: &::redb::WriteTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<(), RedbError> {
    let (from, mut to) = (reading.open_table(table)?, writing.open_table(table)?);
    for row in from.iter()? {
        let (key, value) = row?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}
