//! What can go wrong with sketches.

use alloc::vec::Vec;

use super::limits::MAX_CELLS;
use super::symbol::Symbol;

/// Why sketches could not be made, extended or compared. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SketchError {
    /// The caller, or the peer whose cells the caller took, asked for too many cells.
    #[error("a sketch of {cells} cells is too large, at most {MAX_CELLS} are allowed")]
    TooManyCells {
        /// How many it would have been.
        cells: usize,
    },
    /// The two sketches have different numbers of cells: cut the longer one.
    #[error("a sketch of {ours} cells cannot be compared with one of {theirs}")]
    SizeMismatch {
        /// The cells of this sketch.
        ours: usize,
        /// The cells of the other.
        theirs: usize,
    },
    /// The two sketches were made under different salts.
    #[error("the sketches have different salts")]
    SaltMismatch,
    /// The caller named a leaf beyond the end of the tree.
    #[error("leaf {leaf} does not exist in a tree of {leaves} leaves")]
    NoSuchLeaf {
        /// The leaf.
        leaf: u32,
        /// How many there are.
        leaves: u32,
    },
}

/// Why differences could not be read from cells. Both sides' data is untouched; what else there is to compare by
/// is still there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are more differences than these cells can tell. Nobody's fault: further cells, or another way of
    /// comparing, will do.
    #[error("the cells do not tell all differences, {} were found", found.len())]
    NotDecoded {
        /// The differences that were found, by id. All of them are genuine, if the cells are.
        found: Vec<Symbol>,
    },
    /// More differences than the caller wanted to hear of.
    #[error("there are more than {limit} differences")]
    TooManySymbols {
        /// The caller's bound.
        limit: usize,
    },
    /// The cells are not those of any set: the peer, or the way to it, is at fault (or, at less than 2^-32 per
    /// cell, chance). Further cells will not help.
    #[error("the cells contradict each other")]
    Contradiction,
    /// More cells than a sketch can have.
    #[error("{cells} cells are too many, at most {MAX_CELLS} are allowed; none of the new ones was taken")]
    TooManyCells {
        /// How many it would have been.
        cells: usize,
    },
}

/// Why bytes are not a run of cells. The sender, or the way from it, is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The bytes end before the cells do.
    #[error("the run ends before its content does")]
    Truncated,
    /// The bytes go on after the cells.
    #[error("{count} bytes follow the run")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A number is not in its shortest form.
    #[error("the run holds a number that is not in its shortest form")]
    NotCanonical,
    /// A sum that is no element of the field.
    #[error("the sum {sum} is not below 2^32 - 5")]
    Sum {
        /// The sum.
        sum: u32,
    },
    /// The run reaches past the end of the largest sketch.
    #[error("{count} cells from cell {from} on reach beyond cell {MAX_CELLS}")]
    TooManyCells {
        /// The first cell.
        from: u32,
        /// How many.
        count: u32,
    },
}
