//! How often decoding succeeds. Seeds are fixed, and margins wide.

use super::support::{Numbers, salt};
use crate::sketch::{Chance, Sketch, cells_for};

/// How many of these runs decode with this many cells.
fn successes(differences: usize, cells: usize, runs: u64) -> u64 {
    let decodes = |seed: &u64| {
        let symbols = Numbers(*seed + 1_000_000).symbols(differences);
        let sketch = Sketch::from_symbols(&salt(*seed + 1_000_000), cells, symbols.iter().copied()).unwrap();
        sketch.decode(differences) == Ok(symbols)
    };
    u64::try_from((0..runs).filter(decodes).count()).unwrap()
}

#[test]
fn the_advised_number_of_cells_decodes_as_often_as_it_says() {
    for (differences, runs) in [(1, 400), (2, 400), (6, 400), (12, 400), (40, 400), (150, 400), (1_500, 100)]
    {
        let rate = |chance| {
            let found = successes(differences, cells_for(differences as u64, chance), runs);
            found * 100 / runs
        };
        let rates = [Chance::Half, Chance::NineInTen, Chance::NinetyNineInHundred].map(rate);
        assert!(rates[0] >= 40, "{differences}: {rates:?}");
        assert!(rates[1] >= 84, "{differences}: {rates:?}");
        assert!(rates[2] >= 96, "{differences}: {rates:?}");
    }
}

#[test]
fn ten_thousand_differences_take_less_than_1_4_cells_each() {
    assert_eq!(successes(10_000, 14_000, 5), 5);
    assert_eq!(successes(10_000, 12_000, 5), 0);
}
