//! One cell of a sketch.

use super::field::Fp;
use super::salt::Place;
use super::symbol::{SymbolId, Weight};

/// Three sums over the symbols of a cell, each modulo 2^32 - 5: of weights, of weight times id, and of weight
/// times a keyed hash of the id. 12 bytes.
///
/// Cells add and subtract, so the difference of two sides' cells is a cell of the symbols whose weights differ. A
/// single such symbol shows itself: the second sum over the first is its id, and the third agrees.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cell {
    pub(super) weights: Fp,
    pub(super) ids: Fp,
    pub(super) checks: Fp,
}

impl Cell {
    /// The length of a cell in bytes.
    pub const LEN: usize = 12;

    /// The cell of the symbols of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            weights: self.weights.plus(other.weights),
            ids: self.ids.plus(other.ids),
            checks: self.checks.plus(other.checks),
        }
    }

    /// The cell of the symbols of this one, less those of the other.
    pub fn minus(self, other: Self) -> Self {
        Self {
            weights: self.weights.minus(other.weights),
            ids: self.ids.minus(other.ids),
            checks: self.checks.minus(other.checks),
        }
    }

    /// Whether it holds no symbol (or, at 2^-96, symbols that cancel).
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// What one symbol adds to each of its cells.
    pub(super) fn of(id: SymbolId, weight: Fp, place: &Place) -> Self {
        Self { weights: weight, ids: weight.times(id.element()), checks: weight.times(place.check) }
    }

    /// The weight of the only symbol in it, if it is one with this id and check.
    pub(super) fn only(self, place: &Place) -> Option<Weight> {
        let weight = Weight::from_element(self.weights)?;
        (self.weights.times(place.check) == self.checks).then_some(weight)
    }
}
