//! Cells that no set has.

use alloc::vec;
use alloc::vec::Vec;

use proptest::collection::vec as vec_of;
use proptest::prelude::*;

use super::support::{Numbers, salt, symbol};
use crate::sketch::{
    Cell, CellRun, DecodeError, Decoder, Encoder, LeafSketch, MAX_CELLS, Progress, Sketch, SketchError,
    Symbol,
};

/// A cell from its three sums.
fn cell(sums: [u32; 3]) -> Cell {
    let mut bytes = vec![0, 1];
    for sum in sums {
        bytes.extend_from_slice(&sum.to_le_bytes());
    }
    CellRun::decode(&bytes).unwrap().cells[0]
}

/// The cell that holds one symbol.
fn cell_of(seed: u64, symbol: Symbol) -> Cell {
    Sketch::from_symbols(&salt(seed), 1, [symbol]).unwrap().cells()[0]
}

/// The first cell after `after` that a symbol goes to, and the first that it does not go to.
fn cells_of(seed: u64, symbol: Symbol, after: usize) -> (usize, usize) {
    let sketch = Sketch::from_symbols(&salt(seed), 10_000, [symbol]).unwrap();
    let find = |zero| (after + 1..10_000).find(|at| sketch.cells()[*at].is_zero() == zero).unwrap();
    (find(false), find(true))
}

#[test]
fn a_symbol_in_a_cell_that_is_not_its_own_is_not_believed() {
    let symbol = symbol(77, 5);
    let (_, foreign) = cells_of(1, symbol, 0);
    let mut cells = vec![Cell::default(); foreign + 1];
    cells[foreign] = cell_of(1, symbol);
    let decoded = Sketch::from_cells(&salt(1), cells).unwrap().decode(10);
    assert_eq!(decoded, Err(DecodeError::NotDecoded { found: vec![] }));
}

#[test]
fn a_symbol_with_another_check_is_not_believed() {
    let genuine = cell_of(1, symbol(77, 5));
    let forged = genuine.plus(cell([0, 0, 1]));
    let decoded = Sketch::from_cells(&salt(1), vec![forged]).unwrap().decode(10);
    assert_eq!(decoded, Err(DecodeError::NotDecoded { found: vec![] }));
    assert_eq!(Sketch::from_cells(&salt(1), vec![genuine]).unwrap().decode(10), Ok(vec![symbol(77, 5)]));
}

#[test]
fn a_cell_of_no_weight_is_never_pure() {
    let decoded = Sketch::from_cells(&salt(1), vec![cell([0, 1, 1])]).unwrap().decode(10);
    assert_eq!(decoded, Err(DecodeError::NotDecoded { found: vec![] }));
}

/// Peeling `a` out of cell 0 leaves `b` there, which is found in another cell and leaves `-b` behind, and so
/// on.
#[test]
fn a_cyclic_peel_ends() {
    let (a, b) = (symbol(1, 10), symbol(2, 20));
    let (of_b, _) = cells_of(1, b, 0);
    let mut cells = vec![Cell::default(); of_b + 1];
    cells[0] = cell_of(1, a);
    cells[of_b] = cell_of(1, b);
    let decoded = Sketch::from_cells(&salt(1), cells).unwrap().decode(1_000);
    assert!(decoded.is_err(), "{decoded:?}");
}

/// The same symbol alone in two of its cells, with another weight in each: no set has that.
#[test]
fn a_symbol_found_twice_is_a_contradiction() {
    let (once, again) = (symbol(1, 10), symbol(1, 20));
    let (next, _) = cells_of(1, once, 0);
    let mut cells = vec![Cell::default(); next + 1];
    cells[0] = cell_of(1, once);
    cells[next] = cell_of(1, again);
    let decoded = Sketch::from_cells(&salt(1), cells).unwrap().decode(1_000);
    assert_eq!(decoded, Err(DecodeError::Contradiction));
}

#[test]
fn a_failure_is_final() {
    let mut decoder = Decoder::new(&salt(1), 3);
    let mut encoder = Encoder::new(&salt(1), Numbers(1).symbols(10));
    let too_many = Err(DecodeError::TooManySymbols { limit: 3 });
    assert_eq!(decoder.push(encoder.produce(60).unwrap()), too_many);
    assert_eq!(decoder.found(), 3);
    assert_eq!(decoder.push([]), too_many);
    assert_eq!(decoder.progress(), Progress::NeedsMore);
    assert_eq!(decoder.finish(), Err(DecodeError::TooManySymbols { limit: 3 }));
}

#[test]
fn nothing_grows_past_the_largest_sketch() {
    let refused = SketchError::TooManyCells { cells: MAX_CELLS + 1 };
    assert_eq!(Sketch::new(&salt(1), MAX_CELLS + 1), Err(refused));
    assert_eq!(Sketch::from_cells(&salt(1), vec![Cell::default(); MAX_CELLS + 1]), Err(refused));
    let mut sketch = Sketch::new(&salt(1), 3).unwrap();
    assert_eq!(sketch.extend_to(MAX_CELLS + 1, []), Err(refused));
    assert_eq!(sketch.cells().len(), 3);
    assert_eq!(LeafSketch::new(&salt(1), 1, MAX_CELLS + 1).err(), Some(refused));
    let mut encoder = Encoder::new(&salt(1), [symbol(1, 1)]);
    assert_eq!(encoder.produce(MAX_CELLS + 1), Err(refused));
    assert_eq!(encoder.produced(), 0);

    let mut decoder = Decoder::new(&salt(1), 10);
    let endless = core::iter::repeat(Cell::default());
    assert_eq!(decoder.push(endless), Err(DecodeError::TooManyCells { cells: MAX_CELLS + 1 }));
    assert_eq!(decoder.taken(), 0);
    assert_eq!(decoder.push([Cell::default()]), Ok(Progress::Decoded));
}

#[test]
fn leaves_beyond_the_tree_are_refused() {
    let mut leaves = LeafSketch::new(&salt(1), 16, 10).unwrap();
    assert_eq!(leaves.set(16, 1, 1), Err(SketchError::NoSuchLeaf { leaf: 16, leaves: 16 }));
    assert!(leaves.sketch().cells().iter().all(|cell| cell.is_zero()));
    assert!(matches!(LeafSketch::new(&salt(1), u32::MAX, 10), Err(SketchError::NoSuchLeaf { .. })));
}

#[test]
fn a_leaf_beyond_the_tree_is_not_found() {
    let leaves = LeafSketch::new(&salt(1), 16, 10).unwrap();
    for (leaf, found) in [(15, Progress::Decoded), (16, Progress::NeedsMore)] {
        let cells = Sketch::from_symbols(&salt(1), 10, [symbol(leaf, 5)]).unwrap();
        assert_eq!(leaves.decoder(10).push(cells.cells().iter().copied()), Ok(found), "{leaf}");
    }
}

#[test]
fn random_cells_tell_nothing() {
    let mut numbers = Numbers(5);
    let cells: Vec<Cell> =
        (0..20_000).map(|_| cell(core::array::from_fn(|_| numbers.hash() % (u32::MAX - 4)))).collect();
    let decoded = Sketch::from_cells(&salt(1), cells).unwrap().decode(1_000);
    assert_eq!(decoded, Err(DecodeError::NotDecoded { found: vec![] }));
}

/// Every cell alone is genuine: it holds one symbol that goes there, another one in each cell.
#[test]
fn cells_that_all_look_pure_are_bounded_by_their_number() {
    const CELLS: usize = 1_000;
    let (salt, mut numbers) = (salt(1), Numbers(5));
    let cells: Vec<Cell> = (0..CELLS)
        .map(|at| {
            let goes_here = |symbol: &Symbol| {
                let mut mapping = salt.place(symbol.id).mapping;
                while (mapping.index() as usize) < at {
                    mapping.advance();
                }
                mapping.index() as usize == at
            };
            let symbol = (0..1_000_000).map(|_| numbers.symbols(1)[0]).find(goes_here).unwrap();
            cell_of(1, symbol)
        })
        .collect();
    let mut decoder = Decoder::new(&salt, usize::MAX);
    let refused = decoder.push(cells);
    assert!(decoder.found() <= CELLS);
    assert!(refused.is_err() || decoder.finish().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    /// Genuine cells with some changed: what is found is bounded, and explains the cells if it is said to be all.
    #[test]
    fn damaged_cells_end(
        seed: u64,
        differences in 1_usize..60,
        damage in vec_of((0_usize..90, prop_oneof![any::<[u16; 3]>(), Just([0, 0, 1])]), 1..5),
        split in 0_usize..90,
    ) {
        let mut encoder = Encoder::new(&salt(seed), Numbers(seed).symbols(differences));
        let mut cells = encoder.produce(90).unwrap();
        for (at, sums) in damage {
            cells[at] = cells[at].plus(cell(sums.map(u32::from)));
        }
        let mut decoder = Decoder::new(&salt(seed), 1_000);
        for part in [&cells[..split], &cells[split..]] {
            let _ = decoder.push(part.iter().copied());
        }
        prop_assert!(decoder.found() <= 90);
        if let Ok(found) = decoder.finish() {
            prop_assert!(found.is_sorted_by(|a, b| a.id < b.id));
            prop_assert_eq!(Encoder::new(&salt(seed), found).produce(90), Ok(cells));
        }
    }

    /// Genuine cells of genuine symbols in the wrong places.
    #[test]
    fn shuffled_cells_end(seed: u64, swaps in vec_of((0_usize..40, 0_usize..40), 1..40)) {
        let mut cells = Encoder::new(&salt(seed), Numbers(seed).symbols(12)).produce(40).unwrap();
        for (a, b) in swaps {
            cells.swap(a, b);
        }
        let sketch = Sketch::from_cells(&salt(seed), cells.clone()).unwrap();
        if let Ok(found) = sketch.decode(1_000) {
            prop_assert_eq!(Encoder::new(&salt(seed), found).produce(40), Ok(cells));
        }
    }
}
