//! Rows of a writer's schema as rows of the local one.

use alloc::vec::Vec;

use super::{Cell, ColumnId, ColumnType, Row, Schema, SchemaId};

/// What to do with columns that the local schema neither has nor had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownColumns {
    /// Stop until the local schema knows them, so that nothing written to them is lost.
    #[default]
    Refuse,
    /// Leave them out. A local schema that gets them later finds them at their default.
    Ignore,
}

/// Why rows of a writer's schema are no rows of the local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// There is no local schema for the collection.
    #[error("there is no local schema")]
    NoLocalSchema,
    /// The local schema is one of another row type.
    #[error("the local row type is {local}, the writer's {writer}")]
    OtherSchema {
        /// The local row type.
        local: SchemaId,
        /// The writer's.
        writer: SchemaId,
    },
    /// The writer has a column that the local schema neither has nor had.
    #[error("the local schema does not know column {column}")]
    UnknownColumn {
        /// The column.
        column: ColumnId,
    },
    /// The local column does not hold all values of the writer's.
    #[error("column {column} is {writer} at the writer, which does not fit into {local}")]
    NotWider {
        /// The column.
        column: ColumnId,
        /// The writer's type.
        writer: ColumnType,
        /// The local type.
        local: ColumnType,
    },
    /// The writer's column may be null, the local one never is.
    #[error("column {column} may be null at the writer and not here")]
    NotNullable {
        /// The column.
        column: ColumnId,
    },
    /// The writer does not have a local column, and nothing says what it should hold.
    #[error("the writer does not have column {column}, which has no default here and is not nullable")]
    NoDefault {
        /// The column.
        column: ColumnId,
    },
}

/// How rows of one schema become rows of another one.
#[derive(Clone, Debug)]
pub(super) struct Translation {
    /// The writer's columns that are here as well, ascending, with their types here.
    kept: Vec<(ColumnId, ColumnType)>,
    /// The columns the writer does not have, with what they hold in new rows.
    initial: Row,
}

impl Translation {
    pub(super) fn between(
        writer: &Schema,
        local: &Schema,
        unknown: UnknownColumns,
    ) -> Result<Self, Mismatch> {
        if writer.id() != local.id() {
            return Err(Mismatch::OtherSchema { local: local.id(), writer: writer.id() });
        }
        let mut kept = Vec::new();
        for theirs in writer.columns() {
            let column = theirs.id;
            let Some(ours) = local.column(column) else {
                if local.retired().contains(&column) || unknown == UnknownColumns::Ignore {
                    continue;
                }
                return Err(Mismatch::UnknownColumn { column });
            };
            let (writer, local) = (theirs.column_type, ours.column_type);
            if !writer.widens_to(local) {
                return Err(Mismatch::NotWider { column, writer, local });
            }
            if theirs.nullable && !ours.nullable {
                return Err(Mismatch::NotNullable { column });
            }
            kept.push((column, local));
        }
        let mut initial = Row::new();
        for ours in local.columns().iter().filter(|ours| writer.column(ours.id).is_none()) {
            initial.set(ours.id, ours.initial().ok_or(Mismatch::NoDefault { column: ours.id })?);
        }
        Ok(Self { kept, initial })
    }

    /// What the writer's row says about local columns.
    pub(super) fn translated(&self, row: &Row) -> Row {
        let mut translated = Row::new();
        for (column, column_type) in &self.kept {
            let cell = match row.get(*column) {
                Cell::Value(value) => value.clone().widened(*column_type).map(Cell::Value),
                cell => Some(cell.clone()),
            };
            translated.set(*column, cell.unwrap_or_default());
        }
        translated
    }

    /// Whether the column is one that the writer does not have.
    pub(super) fn is_local_only(&self, column: ColumnId) -> bool {
        *self.initial.get(column) != Cell::Unchanged
    }

    /// A local row about which the writer has said nothing yet.
    pub(super) const fn initial(&self) -> &Row {
        &self.initial
    }
}
