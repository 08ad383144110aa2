//! Schemas: which columns the rows of a collection have, and how that may change.

use alloc::{collections::BTreeSet, string::String, vec::Vec};
use core::fmt;

use super::{Cell, ColumnId, ColumnType, Row, Value};
use crate::limits::{MAX_COLUMN_NAME_BYTES, MAX_COLUMNS};

/// A row type's identity, through all of its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId(pub u64);

impl fmt::Display for SchemaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a writer tells about a row as it was before a change. The name is `PostgreSQL`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ReplicaIdentity {
    /// The key only: cheap, and not enough for predicates over rows that change.
    Key,
    /// The whole row.
    Full,
}

impl fmt::Display for ReplicaIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Key => "ReplicaIdentity::Key",
            Self::Full => "ReplicaIdentity::Full",
        })
    }
}

/// One column of a schema.
///
/// ```
/// use replication_log::entry::logical::{Column, ColumnId, ColumnType};
///
/// let price = Column::new(ColumnId(2), "price", ColumnType::I64).with_default(0_i64);
/// assert!(!price.nullable);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What the column is known by, whatever its name is.
    pub id: ColumnId,
    /// Its present name.
    pub name: String,
    /// What it holds.
    pub column_type: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
    /// What it holds in rows that say nothing about it.
    pub default: Option<Value>,
}

impl Column {
    /// A column without a default that is never null.
    pub fn new(id: ColumnId, name: &str, column_type: ColumnType) -> Self {
        Self { id, name: name.into(), column_type, nullable: false, default: None }
    }

    /// The column, which may be null.
    pub fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// The column, which holds `value` in rows that say nothing about it.
    pub fn with_default(self, value: impl Into<Value>) -> Self {
        Self { default: Some(value.into()), ..self }
    }

    /// What the column holds in rows that say nothing about it: its default, or null, or nothing
    /// that would be right.
    pub(crate) fn initial(&self) -> Option<Cell> {
        match &self.default {
            Some(value) => Some(Cell::Value(value.clone())),
            None => self.nullable.then_some(Cell::Null),
        }
    }
}

/// One version of a row type: its columns in the order of their ids.
///
/// ```
/// use replication_log::entry::logical::{Column, ColumnId, ColumnType, EvolutionError};
/// use replication_log::entry::logical::{ReplicaIdentity, Schema, SchemaId};
///
/// let name = Column::new(ColumnId(1), "name", ColumnType::Text);
/// let first = Schema::new(SchemaId(7), 1, ReplicaIdentity::Full, vec![name.clone()])?;
///
/// let price = Column::new(ColumnId(2), "price", ColumnType::I64);
/// let refused = first.evolve(vec![name.clone(), price.clone()]);
/// assert_eq!(refused, Err(EvolutionError::AddedWithoutDefault { column: ColumnId(2) }));
/// let second = first.evolve(vec![name, price.with_default(0_i64)]).expect("legal");
/// assert_eq!(second.version(), 2);
/// # Ok::<(), replication_log::entry::logical::SchemaError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    id: SchemaId,
    version: u32,
    identity: ReplicaIdentity,
    columns: Vec<Column>,
    retired: BTreeSet<ColumnId>,
}

impl Schema {
    /// The first schema of a row type, at any version. O(n log n) in its columns.
    pub fn new(
        id: SchemaId,
        version: u32,
        identity: ReplicaIdentity,
        columns: Vec<Column>,
    ) -> Result<Self, SchemaError> {
        Self::with_retired(id, version, identity, columns, BTreeSet::new())
    }

    /// A schema whose earlier versions had the columns `retired`, which it has no more.
    pub fn with_retired(
        id: SchemaId,
        version: u32,
        identity: ReplicaIdentity,
        mut columns: Vec<Column>,
        retired: BTreeSet<ColumnId>,
    ) -> Result<Self, SchemaError> {
        if columns.len().max(retired.len()) > MAX_COLUMNS {
            return Err(SchemaError::TooManyColumns { limit: MAX_COLUMNS });
        }
        columns.sort_by_key(|column| column.id);
        let mut names = BTreeSet::new();
        let mut ids = retired.clone();
        for column in &columns {
            let id = column.id;
            if column.name.len() > MAX_COLUMN_NAME_BYTES {
                return Err(SchemaError::NameTooLong { column: id, limit: MAX_COLUMN_NAME_BYTES });
            }
            if !ids.insert(id) {
                return Err(SchemaError::SameId { column: id });
            }
            if !names.insert(column.name.as_str()) {
                return Err(SchemaError::SameName { column: id });
            }
            if column.default.as_ref().is_some_and(|value| value.column_type() != column.column_type) {
                return Err(SchemaError::DefaultType { column: id });
            }
        }
        Ok(Self { id, version, identity, columns, retired })
    }

    /// The next version, with these columns. What is no longer among them is retired.
    pub fn evolve(&self, columns: Vec<Column>) -> Result<Self, EvolutionError> {
        let kept: BTreeSet<_> = columns.iter().map(|column| column.id).collect();
        if let Some(&column) = self.retired.intersection(&kept).next() {
            return Err(EvolutionError::IdReused { column });
        }
        let gone = self.columns.iter().map(|column| column.id).filter(|id| !kept.contains(id));
        let retired = self.retired.iter().copied().chain(gone).collect();
        let version = self.version.checked_add(1).ok_or(EvolutionError::VersionsExhausted)?;
        let next = Self::with_retired(self.id, version, self.identity, columns, retired)?;
        self.check_successor(&next)?;
        Ok(next)
    }

    /// Whether rows of this schema can become rows of `next`, which is a later version: columns
    /// were added with a default or nullable, removed for good, renamed, or widened.
    pub fn check_successor(&self, next: &Self) -> Result<(), EvolutionError> {
        if next.id != self.id {
            return Err(EvolutionError::OtherSchema { have: self.id, got: next.id });
        }
        if next.version <= self.version {
            return Err(EvolutionError::NotLater { have: self.version, got: next.version });
        }
        if let Some(&column) = self.retired.difference(&next.retired).next() {
            return Err(EvolutionError::IdReused { column });
        }
        self.columns.iter().try_for_each(|old| match next.column(old.id) {
            None if next.retired.contains(&old.id) => Ok(()),
            None => Err(EvolutionError::NotRetired { column: old.id }),
            Some(new) if !old.column_type.widens_to(new.column_type) => {
                Err(EvolutionError::NotWider { column: old.id, from: old.column_type, to: new.column_type })
            }
            Some(new) if old.nullable && !new.nullable => Err(EvolutionError::NotNullable { column: old.id }),
            Some(_) => Ok(()),
        })?;
        let added = next.columns.iter().filter(|column| self.column(column.id).is_none());
        added.into_iter().try_for_each(|column| match column.initial() {
            Some(_) => Ok(()),
            None => Err(EvolutionError::AddedWithoutDefault { column: column.id }),
        })
    }

    /// Whether `row` is one of this schema: every cell fits its column, and if the row is `whole`
    /// no column is left out. O(columns log columns).
    pub fn check_row(&self, row: &Row, whole: bool) -> Result<(), RowError> {
        for (id, cell) in row.cells() {
            let column = self.column(id).ok_or(RowError::NoSuchColumn { column: id })?;
            match cell {
                Cell::Null if !column.nullable => return Err(RowError::NotNullable { column: id }),
                Cell::Value(value) if value.column_type() != column.column_type => {
                    let (expected, got) = (column.column_type, value.column_type());
                    return Err(RowError::WrongType { column: id, expected, got });
                }
                _ => {}
            }
        }
        let missing = self.columns.iter().find(|column| whole && row.get(column.id) == &Cell::Unchanged);
        missing.map_or(Ok(()), |column| Err(RowError::Incomplete { column: column.id }))
    }

    /// A row of an earlier version as one of this version: columns that were removed are gone,
    /// widened ones widened, and added ones at their default. For targets that bring their rows up
    /// to date. O(columns log columns).
    pub fn fitted(&self, row: &Row) -> Row {
        let mut fitted = Row::new();
        for column in &self.columns {
            let cell = match row.get(column.id) {
                Cell::Unchanged => column.initial(),
                Cell::Null => Some(Cell::Null),
                Cell::Value(value) => value.clone().widened(column.column_type).map(Cell::Value),
            };
            fitted.set(column.id, cell.unwrap_or_default());
        }
        fitted
    }

    /// The schema cut down to the columns that `keep` chooses, as a stream with a column list shows
    /// it.
    pub fn project(&self, keep: impl Fn(ColumnId) -> bool) -> Self {
        Self {
            columns: self.columns.iter().filter(|column| keep(column.id)).cloned().collect(),
            retired: self.retired.iter().copied().filter(|id| keep(*id)).collect(),
            ..*self
        }
    }

    /// The row type's identity.
    pub const fn id(&self) -> SchemaId {
        self.id
    }

    /// Which of its versions this is.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// What the writer tells about rows as they were before a change.
    pub const fn identity(&self) -> ReplicaIdentity {
        self.identity
    }

    /// The columns, ascending by id.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The columns that earlier versions had.
    pub const fn retired(&self) -> &BTreeSet<ColumnId> {
        &self.retired
    }

    /// The column with this id. O(log columns).
    pub fn column(&self, id: ColumnId) -> Option<&Column> {
        let at = self.columns.binary_search_by_key(&id, |column| column.id).ok()?;
        self.columns.get(at)
    }
}

/// Why columns are no schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// There are more than [`MAX_COLUMNS`].
    #[error("a schema has at most {limit} columns, and as many retired ones")]
    TooManyColumns {
        /// The bound.
        limit: usize,
    },
    /// A name is longer than [`MAX_COLUMN_NAME_BYTES`].
    #[error("the name of column {column} is longer than {limit} bytes")]
    NameTooLong {
        /// The column.
        column: ColumnId,
        /// The bound.
        limit: usize,
    },
    /// Two columns have this id, or a retired one had it.
    #[error("another column has or had the id {column}")]
    SameId {
        /// The id.
        column: ColumnId,
    },
    /// The column has the name of another one.
    #[error("column {column} has the name of another column")]
    SameName {
        /// The later of the two.
        column: ColumnId,
    },
    /// The default is of another type than the column.
    #[error("the default of column {column} is not of its type")]
    DefaultType {
        /// The column.
        column: ColumnId,
    },
}

/// Why a schema cannot follow another one. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvolutionError {
    /// The columns are no schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// It is a version of another row type. A collection that is made anew gets a new id.
    #[error("schema {got} is no version of schema {have}")]
    OtherSchema {
        /// The row type there is.
        have: SchemaId,
        /// The row type that was to follow.
        got: SchemaId,
    },
    /// It is not a later version.
    #[error("version {got} does not come after version {have}, or differs from what it was before")]
    NotLater {
        /// The version there is.
        have: u32,
        /// The version that was to follow.
        got: u32,
    },
    /// There is no later version number.
    #[error("the row type has no version numbers left")]
    VersionsExhausted,
    /// A column was added about which the rows that are there say nothing.
    #[error("column {column} was added without a default and is not nullable")]
    AddedWithoutDefault {
        /// The column.
        column: ColumnId,
    },
    /// A column has an id that was retired before.
    #[error("the id {column} belonged to a column that was removed")]
    IdReused {
        /// The id.
        column: ColumnId,
    },
    /// A column is gone and not among the retired ones.
    #[error("column {column} is gone without being retired")]
    NotRetired {
        /// The column.
        column: ColumnId,
    },
    /// A column's values are not all values of its new type.
    #[error("column {column} cannot go from {from} to {to}")]
    NotWider {
        /// The column.
        column: ColumnId,
        /// Its type until now.
        from: ColumnType,
        /// Its type from now on.
        to: ColumnType,
    },
    /// A column that may hold nulls was to stop.
    #[error("column {column} may hold nulls already")]
    NotNullable {
        /// The column.
        column: ColumnId,
    },
}

/// Why a row is none of its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The schema has no such column.
    #[error("the schema has no column {column}")]
    NoSuchColumn {
        /// The column.
        column: ColumnId,
    },
    /// The value is of another type than its column.
    #[error("column {column} holds {expected}, not {got}")]
    WrongType {
        /// The column.
        column: ColumnId,
        /// The column's type.
        expected: ColumnType,
        /// The value's type.
        got: ColumnType,
    },
    /// A column is null that must not be.
    #[error("column {column} is never null")]
    NotNullable {
        /// The column.
        column: ColumnId,
    },
    /// A whole row leaves a column out.
    #[error("the row is to be whole and leaves out column {column}")]
    Incomplete {
        /// The column.
        column: ColumnId,
    },
}
