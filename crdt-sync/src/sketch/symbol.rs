//! What a sketch is a sketch of.

use super::field::Fp;

/// The number that names a symbol: a leaf of a tree, or a short hash of a key.
///
/// Different keys may share an id. Their weights then add up in one symbol, and what is decoded stands for all
/// keys with that id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SymbolId(Fp);

impl SymbolId {
    /// The id with this number. `None` for the five numbers from 2^32 - 5 on, which the field does not have.
    pub const fn new(id: u32) -> Option<Self> {
        match Fp::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// An id made of 32 bits of a hash.
    pub const fn from_hash(hash: u32) -> Self {
        Self(Fp::from_bits(hash))
    }

    /// The id as a number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    pub(super) const fn element(self) -> Fp {
        self.0
    }

    pub(super) const fn from_element(id: Fp) -> Self {
        Self(id)
    }
}

/// How a symbol counts, never zero: a short hash of what is stored under its id, or the difference of two such.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Weight(Fp);

impl Weight {
    /// The weight with this number, from 1 to 2^32 - 6.
    pub const fn new(weight: u32) -> Option<Self> {
        match Fp::new(weight) {
            Some(weight) => Self::from_element(weight),
            None => None,
        }
    }

    /// A weight made of 32 bits of a hash.
    pub const fn from_hash(hash: u32) -> Self {
        Self(Fp::nonzero_from_bits(hash))
    }

    /// The weight as a number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// What the other side holds under the id of this difference (this side less the other), given what this
    /// side holds; `None` is nothing on either side.
    ///
    /// ```
    /// use crdt_sync::sketch::Weight;
    ///
    /// let (ours, difference) = (Weight::from_hash(6), Weight::from_hash(4));
    /// assert_eq!(difference.other_side(Some(ours)), Weight::new(2)); // changed
    /// assert_eq!(ours.other_side(Some(ours)), None); // only on this side
    /// ```
    pub fn other_side(self, ours: Option<Self>) -> Option<Self> {
        Self::from_element(ours.map_or(Fp::ZERO, Self::element).minus(self.0))
    }

    pub(super) const fn element(self) -> Fp {
        self.0
    }

    pub(super) const fn from_element(weight: Fp) -> Option<Self> {
        if weight.is_zero() { None } else { Some(Self(weight)) }
    }
}

/// An id and its weight.
///
/// In a sketch of a set it says what is stored under the id. In the difference of two sketches it says that the
/// sides store different things: its weight is that of this side less that of the other, where nothing weighs
/// nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Symbol {
    /// What it is.
    pub id: SymbolId,
    /// How it counts.
    pub weight: Weight,
}
