//! The sketch of a tree's leaves.

use alloc::vec;
use alloc::vec::Vec;

use super::error::SketchError;
use super::prefix::Sketch;
use super::salt::Salt;
use super::symbol::{Symbol, SymbolId, Weight};

/// A sketch over the leaves of a Merkle tree, or over its nodes at some depth: the symbol of a leaf is its index, and
/// its weight a keyed hash of the leaf's sum and count.
///
/// It is brought up to date when the tree is refreshed, by one [`LeafSketch::set`] per leaf written since: so a
/// write pays nothing, and a leaf written often pays once. It remembers the weight of each leaf, 4 bytes.
///
/// Peers can compare such sketches if their salts agree, for which the salt is drawn from the cluster's key, and
/// if their leaves do. Two contents of a leaf that weigh the same, 2^-32 for each differing leaf, hide the difference
/// until the leaf changes: the roots still differ, so compare these before believing that there is none.
///
/// ```
/// use crdt_sync::sketch::{LeafSketch, Salt};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let salt = Salt::new([7; 16]); // from the cluster's key
/// let mut here = LeafSketch::new(&salt, 1 << 16, 64)?;
/// let mut there = LeafSketch::new(&salt, 1 << 16, 64)?;
/// here.set(12_345, 0xabcd, 3)?; // leaf, sum, count
/// there.set(12_345, 0xabcd, 3)?;
/// there.set(777, 0x1234, 1)?;
///
/// let differing = here.sketch().subtract(there.sketch())?.decode(40)?;
/// assert_eq!(differing[0].id.get(), 777);
/// assert_eq!(differing.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct LeafSketch {
    salt: Salt,
    sketch: Sketch,
    /// 0 for an empty leaf.
    weights: Vec<u32>,
}

impl LeafSketch {
    /// The sketch of `leaves` empty leaves with this many cells.
    ///
    /// Fails above [`MAX_CELLS`](super::MAX_CELLS) cells, and where a leaf would have no id.
    pub fn new(salt: &Salt, leaves: u32, cells: usize) -> Result<Self, SketchError> {
        let last = leaves.saturating_sub(1);
        SymbolId::new(last).ok_or(SketchError::NoSuchLeaf { leaf: last, leaves })?;
        let sketch = Sketch::new(salt, cells)?;
        Ok(Self { salt: salt.clone(), sketch, weights: vec![0; leaves as usize] })
    }

    /// Says what a leaf holds now. One hash, and if that is new, another one and O(log cells).
    pub fn set(&mut self, leaf: u32, sum: u128, count: u32) -> Result<(), SketchError> {
        let leaves = self.leaves();
        let unknown = SketchError::NoSuchLeaf { leaf, leaves };
        let id = SymbolId::new(leaf).ok_or(unknown)?;
        let weight = self.weights.get_mut(leaf as usize).ok_or(unknown)?;
        let (old, new) = (Weight::new(*weight), self.salt.leaf_weight(id, sum, count));
        *weight = new.map_or(0, Weight::get);
        self.sketch.replace(id, old, new);
        Ok(())
    }

    /// The cells.
    pub fn sketch(&self) -> &Sketch {
        &self.sketch
    }

    /// How many leaves there are.
    pub fn leaves(&self) -> u32 {
        u32::try_from(self.weights.len()).unwrap_or(u32::MAX)
    }

    /// What a leaf weighs, `None` if it is empty.
    pub fn weight(&self, leaf: u32) -> Option<Weight> {
        Weight::new(*self.weights.get(leaf as usize)?)
    }

    /// All leaves that are not empty, for an [`Encoder`](super::Encoder) or a sketch of another length.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> {
        (0..).zip(&self.weights).filter_map(|(leaf, weight)| {
            Some(Symbol { id: SymbolId::new(leaf)?, weight: Weight::new(*weight)? })
        })
    }

    /// Lengthens the sketch to `cells` cells. O(leaves x log cells).
    pub fn extend_to(&mut self, cells: usize) -> Result<(), SketchError> {
        let Self { sketch, weights, .. } = self;
        let symbols = (0..).zip(&*weights).filter_map(|(leaf, weight)| {
            Some(Symbol { id: SymbolId::new(leaf)?, weight: Weight::new(*weight)? })
        });
        sketch.extend_to(cells, symbols)
    }
}
