//! What an entry says: a change to one row, or to a schema.

use alloc::vec::Vec;
use core::fmt;

use super::{Cell, Malformed, Row, Schema, SchemaId, bytes::within};
use crate::limits::{MAX_COLUMNS, MAX_KEY_BYTES};

/// A collection's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionId(pub u64);

impl fmt::Display for CollectionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What one record of a logical stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// A row changed.
    Row(LogicalEntry),
    /// Rows have another schema from here on.
    Schema(SchemaChange),
}

impl Entry {
    /// The collection that is changed.
    pub const fn collection(&self) -> CollectionId {
        match self {
            Self::Row(entry) => entry.collection,
            Self::Schema(change) => change.collection,
        }
    }
}

impl From<LogicalEntry> for Entry {
    fn from(entry: LogicalEntry) -> Self {
        Self::Row(entry)
    }
}

impl From<SchemaChange> for Entry {
    fn from(change: SchemaChange) -> Self {
        Self::Schema(change)
    }
}

/// Rows of a collection have this schema from here on. It stands in the log before the first entry
/// that uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaChange {
    /// The collection.
    pub collection: CollectionId,
    /// The schema of its rows.
    pub schema: Schema,
}

/// A change to the row under one key.
///
/// ```
/// use replication_log::entry::logical::{Before, Change, CollectionId, ColumnId, LogicalEntry};
/// use replication_log::entry::logical::{Row, SchemaId};
///
/// let cheaper = LogicalEntry {
///     schema: SchemaId(7),
///     version: 1,
///     collection: CollectionId(1),
///     key: b"milk".to_vec(),
///     old_key: None,
///     before: Before::Unknown,
///     change: Change::Update(Row::new().with(ColumnId(2), 99_i64)),
/// };
/// assert_eq!(cheaper.check(), Ok(()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalEntry {
    /// The row type.
    pub schema: SchemaId,
    /// The version of the schema that the row was written with.
    pub version: u32,
    /// The collection the row is in.
    pub collection: CollectionId,
    /// The key of the row.
    pub key: Vec<u8>,
    /// The key that the row had before, if this change gave it another one. No other row may have
    /// the new key.
    pub old_key: Option<Vec<u8>>,
    /// The row before this change, as far as the writer tells.
    pub before: Before,
    /// What happened.
    pub change: Change,
}

/// The row before a change, as far as the writer tells. See
/// [`ReplicaIdentity`](super::ReplicaIdentity).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Before {
    /// The writer does not tell.
    #[default]
    Unknown,
    /// There was no row under the key.
    Absent,
    /// Some of its columns.
    Partial(Row),
    /// All of its columns.
    Whole(Row),
}

/// What happens to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The row is this one now, whether or not there was one. It says something about every column.
    Upsert(Row),
    /// The row that is there changes in these columns; the others are unchanged.
    Update(Row),
    /// There is no row any more.
    Delete,
    /// The delta of a CRDT is merged into the state under the key.
    Delta {
        /// Which CRDT it is, as the application numbers them.
        tag: u32,
        /// The delta, which the log does not look into.
        bytes: Vec<u8>,
    },
}

impl Change {
    /// What kind of change it is.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Upsert(_) => Operation::Upsert,
            Self::Update(_) => Operation::Update,
            Self::Delete => Operation::Delete,
            Self::Delta { .. } => Operation::Delta,
        }
    }
}

/// The kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`Change::Upsert`].
    Upsert,
    /// [`Change::Update`].
    Update,
    /// [`Change::Delete`].
    Delete,
    /// [`Change::Delta`].
    Delta,
}

impl LogicalEntry {
    /// Whether the parts go together and keep to the limits. Encoding and decoding both check it.
    pub fn check(&self) -> Result<(), Malformed> {
        let old_key = self.old_key.as_deref();
        within(self.key.len().max(old_key.map_or(0, <[u8]>::len)), MAX_KEY_BYTES, "bytes of a key")?;
        if old_key == Some(&self.key) {
            return Err(Malformed::Shape("a row that moves gets another key"));
        }
        match (&self.change, &self.before) {
            (Change::Upsert(row) | Change::Update(row), Before::Partial(before) | Before::Whole(before)) => {
                within(row.len().max(before.len()), MAX_COLUMNS, "columns")?;
            }
            (Change::Upsert(row), Before::Absent) if old_key.is_none() => {
                within(row.len(), MAX_COLUMNS, "columns")?;
            }
            (Change::Upsert(row) | Change::Update(row), Before::Unknown) => {
                within(row.len(), MAX_COLUMNS, "columns")?;
            }
            (Change::Delete, Before::Partial(before) | Before::Whole(before)) => {
                within(before.len(), MAX_COLUMNS, "columns")?;
            }
            (Change::Delete | Change::Delta { .. }, Before::Unknown) => {}
            _ => return Err(Malformed::Shape("this change cannot have this row before it")),
        }
        if let (Change::Update(row), Before::Whole(before)) = (&self.change, &self.before)
            && row.cells().any(|(column, _)| *before.get(column) == Cell::Unchanged)
        {
            return Err(Malformed::Shape("an update changes columns that the whole row before it has"));
        }
        match &self.change {
            Change::Delete | Change::Delta { .. } if old_key.is_some() => {
                Err(Malformed::Shape("only a row that is written can move"))
            }
            _ => Ok(()),
        }
    }
}
