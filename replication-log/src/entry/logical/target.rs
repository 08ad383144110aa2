//! Where a logical stream is applied to.

use alloc::{collections::BTreeMap, vec::Vec};
use core::convert::Infallible;

use super::{CollectionId, Row, Schema};
use crate::Lsn;

/// A place that rows are kept in, with transactions of its own.
///
/// What happens between [`begin`](Target::begin) and [`commit`](Target::commit) becomes visible and
/// durable together with the position, or not at all: that is what makes applying a stream
/// idempotent. [`MemoryTarget`] is one, and an example of how to write one.
pub trait Target {
    /// What can go wrong.
    type Error: core::error::Error;

    /// The last record of the last transaction that was committed; [`Lsn::ZERO`] before the first.
    fn applied(&self) -> Result<Lsn, Self::Error>;

    /// The schemas of the writer as they were last declared.
    fn declared(&self) -> Result<Vec<(CollectionId, Schema)>, Self::Error>;

    /// Begins a transaction.
    fn begin(&mut self) -> Result<(), Self::Error>;

    /// The row under a key, with what this transaction did to it.
    fn get(&self, collection: CollectionId, key: &[u8]) -> Result<Option<Row>, Self::Error>;

    /// Puts a whole row under a key.
    fn upsert(&mut self, collection: CollectionId, key: &[u8], row: Row) -> Result<(), Self::Error>;

    /// Removes the row under a key, if there is one.
    fn delete(&mut self, collection: CollectionId, key: &[u8]) -> Result<(), Self::Error>;

    /// Merges a CRDT's delta into the state under a key.
    fn delta(
        &mut self,
        collection: CollectionId,
        key: &[u8],
        tag: u32,
        bytes: &[u8],
    ) -> Result<(), Self::Error>;

    /// Keeps a schema of the writer.
    fn declare(&mut self, collection: CollectionId, schema: &Schema) -> Result<(), Self::Error>;

    /// Makes the transaction, and that everything up to `lsn` is applied, visible and durable.
    fn commit(&mut self, lsn: Lsn) -> Result<(), Self::Error>;

    /// Forgets the transaction. A target that cannot fails from then on.
    fn rollback(&mut self);
}

type Rows = BTreeMap<CollectionId, BTreeMap<Vec<u8>, Row>>;
type Deltas = BTreeMap<(CollectionId, Vec<u8>), Vec<(u32, Vec<u8>)>>;

/// Rows in memory.
///
/// ```
/// use replication_log::Lsn;
/// use replication_log::entry::logical::{CollectionId, ColumnId, MemoryTarget, Row, Target};
///
/// let mut target = MemoryTarget::new();
/// target.begin()?;
/// target.upsert(CollectionId(1), b"milk", Row::new().with(ColumnId(1), "milk"))?;
/// target.rollback();
/// assert_eq!(target.get(CollectionId(1), b"milk")?, None);
/// assert_eq!(target.applied()?, Lsn::ZERO);
/// # Ok::<(), core::convert::Infallible>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTarget {
    applied: Lsn,
    rows: Rows,
    deltas: Deltas,
    declared: BTreeMap<CollectionId, Schema>,
    staged: Staged,
}

/// What the transaction under way does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Staged {
    rows: BTreeMap<CollectionId, BTreeMap<Vec<u8>, Option<Row>>>,
    deltas: Deltas,
    declared: BTreeMap<CollectionId, Schema>,
}

impl MemoryTarget {
    /// An empty target.
    pub fn new() -> Self {
        Self::default()
    }

    /// The committed rows of a collection, ascending by key.
    pub fn rows(&self, collection: CollectionId) -> impl Iterator<Item = (&[u8], &Row)> {
        let rows = self.rows.get(&collection).into_iter().flatten();
        rows.map(|(key, row)| (key.as_slice(), row))
    }

    /// The committed deltas of a key with their tags, in the order in which they were applied.
    pub fn deltas(&self, collection: CollectionId, key: &[u8]) -> &[(u32, Vec<u8>)] {
        self.deltas.get(&(collection, key.to_vec())).map_or(&[], Vec::as_slice)
    }
}

impl Target for MemoryTarget {
    type Error = Infallible;

    fn applied(&self) -> Result<Lsn, Infallible> {
        Ok(self.applied)
    }

    fn declared(&self) -> Result<Vec<(CollectionId, Schema)>, Infallible> {
        Ok(self.declared.clone().into_iter().collect())
    }

    fn begin(&mut self) -> Result<(), Infallible> {
        self.staged = Staged::default();
        Ok(())
    }

    fn get(&self, collection: CollectionId, key: &[u8]) -> Result<Option<Row>, Infallible> {
        let staged = self.staged.rows.get(&collection).and_then(|rows| rows.get(key));
        let committed = || self.rows.get(&collection).and_then(|rows| rows.get(key)).cloned();
        Ok(staged.cloned().unwrap_or_else(committed))
    }

    fn upsert(&mut self, collection: CollectionId, key: &[u8], row: Row) -> Result<(), Infallible> {
        self.staged.rows.entry(collection).or_default().insert(key.to_vec(), Some(row));
        Ok(())
    }

    fn delete(&mut self, collection: CollectionId, key: &[u8]) -> Result<(), Infallible> {
        self.staged.rows.entry(collection).or_default().insert(key.to_vec(), None);
        Ok(())
    }

    fn delta(
        &mut self,
        collection: CollectionId,
        key: &[u8],
        tag: u32,
        bytes: &[u8],
    ) -> Result<(), Infallible> {
        let key = (collection, key.to_vec());
        self.staged.deltas.entry(key).or_default().push((tag, bytes.to_vec()));
        Ok(())
    }

    fn declare(&mut self, collection: CollectionId, schema: &Schema) -> Result<(), Infallible> {
        self.staged.declared.insert(collection, schema.clone());
        Ok(())
    }

    fn commit(&mut self, lsn: Lsn) -> Result<(), Infallible> {
        let staged = core::mem::take(&mut self.staged);
        for (collection, changes) in staged.rows {
            let rows = self.rows.entry(collection).or_default();
            for (key, row) in changes {
                match row {
                    Some(row) => drop(rows.insert(key, row)),
                    None => drop(rows.remove(&key)),
                }
            }
        }
        for (key, deltas) in staged.deltas {
            self.deltas.entry(key).or_default().extend(deltas);
        }
        self.declared.extend(staged.declared);
        self.applied = lsn;
        Ok(())
    }

    fn rollback(&mut self) {
        self.staged = Staged::default();
    }
}
