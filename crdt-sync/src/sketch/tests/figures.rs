//! Figures that the documentation states, measured.

use alloc::vec::Vec;
use std::println;

use super::support::{Numbers, salt};
use crate::sketch::{Decoder, Encoder, Progress};

/// How many cells these differences take, by adding one cell at a time where it matters.
fn cells_taken(differences: usize, seed: u64) -> usize {
    let salt = salt(seed);
    let mut encoder = Encoder::new(&salt, Numbers(seed).symbols(differences));
    let mut decoder = Decoder::new(&salt, differences);
    let mut step = differences * 5 / 4;
    loop {
        let cells = encoder.produce(step.max(1)).unwrap();
        if decoder.push(cells).unwrap() == Progress::Decoded {
            return decoder.taken();
        }
        step = differences / 2_000;
    }
}

/// `cargo test -p crdt-sync --release sketch::tests::figures -- --ignored --nocapture` prints the table that
/// `needed.rs` has.
#[test]
#[ignore = "it measures, for a minute"]
#[expect(clippy::print_stdout, reason = "the figures are for reading")]
fn cells_by_differences() {
    for (differences, runs) in [
        (1, 10_000),
        (2, 10_000),
        (3, 10_000),
        (4, 10_000),
        (5, 10_000),
        (7, 10_000),
        (10, 10_000),
        (15, 10_000),
        (20, 10_000),
        (30, 10_000),
        (50, 10_000),
        (70, 5_000),
        (100, 5_000),
        (200, 2_000),
        (500, 1_000),
        (1_000, 1_000),
        (2_000, 500),
        (5_000, 300),
        (10_000, 300),
        (30_000, 100),
        (100_000, 100),
        (300_000, 100),
    ] {
        let mut taken: Vec<usize> = (0..runs).map(|seed| cells_taken(differences, seed)).collect();
        taken.sort_unstable();
        let at = |part: f64| taken[((taken.len() as f64 * part) as usize).min(taken.len() - 1)];
        let mean = taken.iter().sum::<usize>() as f64 / taken.len() as f64;
        println!(
            "({differences}, [{}, {}, {}]), // mean {mean:.1} = {:.3}, 99.9 {}",
            at(0.5),
            at(0.9),
            at(0.99),
            mean / differences as f64,
            at(0.999)
        );
    }
}
