//! Rows: what is told about the columns of a key.

use alloc::vec::Vec;
use core::fmt;

use super::Value;

/// A column's identity. It stays when the column is renamed, and is never used again once the
/// column is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u32);

impl fmt::Display for ColumnId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a row says about one column.
///
/// Unchanged is not null: a follower keeps what it has under a column that is unchanged, and
/// forgets it under one that is null.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    /// Nothing is said: the column keeps the value it has.
    #[default]
    Unchanged,
    /// The column is null.
    Null,
    /// The column has this value.
    Value(Value),
}

impl<T: Into<Value>> From<T> for Cell {
    fn from(value: T) -> Self {
        Self::Value(value.into())
    }
}

static UNCHANGED: Cell = Cell::Unchanged;

/// What is told about the columns of a row, in the order of their ids. A column that is left out is
/// [`Unchanged`](Cell::Unchanged).
///
/// ```
/// use replication_log::entry::logical::{Cell, ColumnId, Row};
///
/// let (name, price) = (ColumnId(1), ColumnId(2));
/// let mut milk = Row::new().with(name, "milk").with(price, 120_i64);
/// milk.overlay(&Row::new().with(price, Cell::Null));
/// assert_eq!((milk.get(name), milk.get(price)), (&Cell::from("milk"), &Cell::Null));
/// assert_eq!(milk.get(ColumnId(3)), &Cell::Unchanged);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Ascending by column, none of them unchanged.
    cells: Vec<(ColumnId, Cell)>,
}

impl Row {
    /// A row that says nothing about any column.
    pub const fn new() -> Self {
        Self { cells: Vec::new() }
    }

    /// The row, saying `cell` about `column`.
    pub fn with(mut self, column: ColumnId, cell: impl Into<Cell>) -> Self {
        self.set(column, cell.into());
        self
    }

    /// Says `cell` about `column`. O(columns), and O(log columns) at the end.
    pub fn set(&mut self, column: ColumnId, cell: Cell) {
        match (self.find(column), cell) {
            (Ok(at), Cell::Unchanged) => drop(self.cells.remove(at)),
            (Err(_), Cell::Unchanged) => {}
            (Ok(at), cell) => self.cells[at].1 = cell,
            (Err(at), cell) => self.cells.insert(at, (column, cell)),
        }
    }

    /// What is said about `column`. O(log columns).
    pub fn get(&self, column: ColumnId) -> &Cell {
        self.find(column).map_or(&UNCHANGED, |at| &self.cells[at].1)
    }

    /// The columns about which something is said, ascending.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = (ColumnId, &Cell)> {
        self.cells.iter().map(|(column, cell)| (*column, cell))
    }

    /// About how many columns something is said.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether nothing is said about any column.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Takes over what `changes` says and keeps the rest.
    pub fn overlay(&mut self, changes: &Self) {
        for (column, cell) in &changes.cells {
            self.set(*column, cell.clone());
        }
    }

    /// The row cut down to the columns that `keep` chooses.
    pub fn project(&self, keep: impl Fn(ColumnId) -> bool) -> Self {
        Self { cells: self.cells.iter().filter(|(column, _)| keep(*column)).cloned().collect() }
    }

    fn find(&self, column: ColumnId) -> Result<usize, usize> {
        self.cells.binary_search_by_key(&column, |(column, _)| *column)
    }
}
