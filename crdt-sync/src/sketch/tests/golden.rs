//! Mappings, symbols and cells as an independent implementation of `docs/formats.md` makes them. A change
//! here is a change of the format and needs a new version number.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::sketch::{Mapping, Salt, Sketch, Symbol};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn numbers(symbol: Symbol) -> (u32, u32) {
    (symbol.id.get(), symbol.weight.get())
}

#[test]
fn mappings() {
    let cells = |seed| {
        let mut mapping = Mapping::new(seed);
        let indexes = core::iter::from_fn(|| {
            let index = mapping.index();
            mapping.advance();
            (index < 1 << 20).then_some(index)
        });
        indexes.collect::<Vec<u32>>()
    };
    assert_eq!(
        cells(1),
        [
            0, 1, 2, 3, 6, 11, 19, 44, 116, 122, 341, 972, 3_263, 8_777, 9_660, 13_568, 18_043, 130_552,
            197_555, 199_518, 371_528, 398_673
        ]
    );
    assert_eq!(
        cells(0x0123_4567_89ab_cdef),
        [
            0, 1, 2, 4, 6, 8, 20, 24, 34, 36, 126, 153, 155, 1_225, 2_837, 3_114, 3_242, 7_220, 8_569,
            13_648, 14_833, 15_115, 58_349, 81_321, 109_742, 240_143, 354_198, 440_048, 447_027, 545_649
        ]
    );
    assert_eq!(
        cells(u64::MAX),
        [
            0, 3, 29, 59, 80, 101, 128, 145, 158, 520, 558, 597, 626, 675, 1_619, 2_307, 3_501, 3_535, 4_711,
            33_678, 39_924, 110_084, 114_673, 184_761, 190_562, 228_247, 253_468
        ]
    );
}

#[test]
fn symbols_of_items_and_leaves() {
    let salt = Salt::new([7; 16]);
    assert_eq!(numbers(salt.symbol(b"milk", 3)), (2_708_277_752, 3_454_272_646));
    assert_eq!(numbers(salt.symbol(b"bread", 1)), (510_784_107, 366_887_721));
    assert_eq!(salt.leaf(12_345, 0xabcd, 3).map(numbers), Some((12_345, 2_998_901_647)));
    let last = salt.leaf((1 << 20) - 1, u128::MAX, u32::MAX);
    assert_eq!(last.map(numbers), Some((1_048_575, 1_850_191_263)));
}

#[test]
fn a_run_from_the_start() {
    let salt = Salt::new([7; 16]);
    let symbols = [salt.symbol(b"milk", 3), salt.symbol(b"bread", 1)].into_iter();
    let symbols = symbols.chain(salt.leaf(12_345, 0xabcd, 3));
    let bytes = Sketch::from_symbols(&salt, 8, symbols).unwrap().run(0, 8).to_bytes();
    assert_eq!(
        hex(&bytes),
        concat!(
            "000843e381965a6a91ae710c6ccb2943de158eba7cbf850deeb5b8de9dc8c1d5",
            "51797e9436282943de158eba7cbf850deeb50000000000000000000000002943",
            "de158eba7cbf850deeb52943de158eba7cbf850deeb58604e4cd99943f35f377",
            "35a3",
        )
    );
}

#[test]
fn a_run_from_further_on() {
    let salt = Salt::new([7; 16]);
    let leaves = (1..1_000).filter_map(|leaf| salt.leaf(leaf, u128::from(leaf) * u128::from(leaf), leaf));
    let bytes = Sketch::from_symbols(&salt, 131, leaves).unwrap().run(128, 131).to_bytes();
    assert_eq!(hex(&bytes), "800103fdcb795efd9305e1ae3192731eb1791c30dd534a9ea85f8fc869390ac1cea69915c8b1a6");
}
