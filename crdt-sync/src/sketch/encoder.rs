//! Cells without an end.

use alloc::vec;
use alloc::vec::Vec;

use super::cell::Cell;
use super::error::SketchError;
use super::field::Fp;
use super::prefix::check_len;
use super::salt::{Place, Salt};
use super::symbol::{Symbol, SymbolId};

/// The cells of a fixed set, as many as are asked for, without starting over.
///
/// It keeps 24 bytes per symbol.
///
/// ```
/// use crdt_sync::sketch::{Encoder, Salt, Sketch};
///
/// # fn main() -> Result<(), crdt_sync::sketch::SketchError> {
/// let salt = Salt::new([7; 16]);
/// let symbols: Vec<_> = (0..100_u32).map(|key| salt.symbol(&key.to_le_bytes(), 1)).collect();
/// let mut encoder = Encoder::new(&salt, symbols.iter().copied());
/// let mut cells = encoder.produce(10)?;
/// cells.extend(encoder.produce(15)?);
/// assert_eq!(cells, Sketch::from_symbols(&salt, 25, symbols)?.cells());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Encoder {
    waiting: Vec<Waiting>,
    produced: usize,
}

/// A symbol and the first of its cells that was not produced yet.
#[derive(Clone, Debug)]
struct Waiting {
    id: SymbolId,
    weight: Fp,
    place: Place,
}

impl Encoder {
    /// An encoder for these symbols. One hash each.
    pub fn new(salt: &Salt, symbols: impl IntoIterator<Item = Symbol>) -> Self {
        let waiting = symbols
            .into_iter()
            .map(|symbol| Waiting {
                id: symbol.id,
                weight: symbol.weight.element(),
                place: salt.place(symbol.id),
            })
            .collect();
        Self { waiting, produced: 0 }
    }

    /// How many cells were produced.
    pub fn produced(&self) -> usize {
        self.produced
    }

    /// The next `count` cells. One comparison per symbol, and the cells that they go to.
    ///
    /// Fails beyond [`MAX_CELLS`](super::MAX_CELLS), with nothing produced.
    pub fn produce(&mut self, count: usize) -> Result<Vec<Cell>, SketchError> {
        let (from, to) = (self.produced, self.produced.saturating_add(count));
        check_len(to)?;
        let mut cells = vec![Cell::default(); count];
        for symbol in &mut self.waiting {
            if symbol.place.mapping.index() as usize >= to {
                continue;
            }
            let part = Cell::of(symbol.id, symbol.weight, &symbol.place);
            while let Some(cell) = cells.get_mut(symbol.place.mapping.index() as usize - from) {
                *cell = cell.plus(part);
                symbol.place.mapping.advance();
            }
        }
        self.produced = to;
        Ok(cells)
    }
}
