//! Set reconciliation by sketch: two sides find what they hold differently from about 16 bytes per difference, in one
//! message, whatever they have in common.
//!
//! A [`Sketch`] is the beginning of an endless sequence of [`Cell`]s. One side sends its cells, the other subtracts
//! its own; a [`Decoder`] reads the differences from what remains, and asks for further cells if these are too few.
//! An [`Estimate`] says beforehand how many it will take.
//!
//! Cells are weighted: a [`Symbol`] has an id, which follows from the key, and a weight, which follows from the
//! version; so a changed key is one difference, not two, and a cell is 12 bytes.
//!
//! What it is not: a proof. A difference of equal weights, 2^-32 for each, is not seen, so the sides' 128-bit roots
//! must be compared as well, before and after.
//!
//! | module | content |
//! |---|---|
//! | `symbol`, `salt` | [`Symbol`], [`Salt`]: what is sketched, the keyed hashes |
//! | `field` | arithmetic modulo 2^32 - 5 |
//! | `mapping` | [`Mapping`], the cells of a symbol |
//! | `cell`, `run` | [`Cell`], and [`CellRun`], its bytes, laid down in `docs/formats.md` |
//! | `prefix`, `encoder` | [`Sketch`], kept up as a set changes; [`Encoder`], further cells of a fixed set |
//! | `leaves` | [`LeafSketch`], the sketch of a tree's leaves |
//! | `decoder` | [`Decoder`], by peeling |
//! | `estimate`, `needed` | [`Estimate`], [`cells_for`] |
//! | `limits`, `error` | [`MAX_CELLS`]; [`SketchError`], [`DecodeError`], [`RunError`] |
//!
//! The module is `no_std` and knows neither trees nor sync sessions.

mod cell;
mod decoder;
mod encoder;
mod error;
mod estimate;
mod field;
mod leaves;
mod limits;
mod mapping;
mod needed;
mod prefix;
mod run;
mod salt;
mod symbol;

#[cfg(test)]
mod tests;

pub use cell::Cell;
pub use decoder::{Decoder, Progress};
pub use encoder::Encoder;
pub use error::{DecodeError, RunError, SketchError};
pub use estimate::Estimate;
pub use leaves::LeafSketch;
pub use limits::MAX_CELLS;
pub use mapping::Mapping;
pub use needed::{Chance, cells_for};
pub use prefix::Sketch;
pub use run::CellRun;
pub use salt::Salt;
pub use symbol::{Symbol, SymbolId, Weight};
