//! Runs of cells: one encoding each, and nothing else is taken.

use alloc::vec;
use alloc::vec::Vec;

use proptest::collection::vec as vec_of;
use proptest::prelude::*;

use super::support::{Numbers, salt};
use crate::sketch::{Cell, CellRun, MAX_CELLS, RunError, Sketch};

fn sample() -> CellRun {
    Sketch::from_symbols(&salt(1), 140, Numbers(1).symbols(20)).unwrap().run(3, 140)
}

#[test]
fn a_run_comes_back_as_it_was() {
    let run = sample();
    assert_eq!((run.from, run.cells.len()), (3, 137));
    assert_eq!(run.to_bytes().len(), run.encoded_len());
    assert_eq!(CellRun::decode(&run.to_bytes()), Ok(run));
}

#[test]
fn a_run_is_cut_at_the_end_of_the_sketch() {
    let sketch = Sketch::new(&salt(1), 5).unwrap();
    assert_eq!(sketch.run(3, 9).cells.len(), 2);
    assert_eq!(sketch.run(9, 12), CellRun { from: 5, cells: vec![] });
}

#[test]
fn what_follows_a_run_is_handed_back() {
    let mut bytes = sample().to_bytes();
    bytes.extend_from_slice(b"rest");
    assert_eq!(CellRun::decode_first(&bytes), Ok((sample(), &b"rest"[..])));
    assert_eq!(CellRun::decode(&bytes), Err(RunError::TrailingBytes { count: 4 }));
}

#[test]
fn a_run_cut_anywhere_is_refused() {
    let bytes = sample().to_bytes();
    for len in 0..bytes.len() {
        assert_eq!(CellRun::decode(&bytes[..len]), Err(RunError::Truncated), "{len}");
    }
}

#[test]
fn a_claimed_length_costs_nothing() {
    // 2^32 - 1 cells, and none follows.
    let bytes = [0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(CellRun::decode(&bytes), Err(RunError::TooManyCells { from: 0, count: u32::MAX }));
    let last = CellRun { from: u32::try_from(MAX_CELLS).unwrap(), cells: vec![Cell::default()] };
    let refused = Err(RunError::TooManyCells { from: last.from, count: 1 });
    assert_eq!(CellRun::decode(&last.to_bytes()), refused);
}

#[test]
fn numbers_have_one_form() {
    for bytes in [&[0x80, 0][..], &[0, 0x80, 0], &[0xff, 0xff, 0xff, 0xff, 0x1f, 0], &[0x80; 6]] {
        assert_eq!(CellRun::decode(bytes), Err(RunError::NotCanonical), "{bytes:?}");
    }
}

#[test]
fn sums_have_one_form() {
    for place in 0..3 {
        for sum in [u32::MAX - 4, u32::MAX] {
            let mut bytes = vec![0, 1];
            bytes.resize(2 + Cell::LEN, 0);
            bytes[2 + 4 * place..6 + 4 * place].copy_from_slice(&sum.to_le_bytes());
            assert_eq!(CellRun::decode(&bytes), Err(RunError::Sum { sum }));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn whatever_is_taken_has_these_bytes(from: u8, count in 0_u8..4, rest in vec_of(any::<u8>(), 0..40)) {
        let bytes: Vec<u8> = [from, count].into_iter().chain(rest).collect();
        if let Ok((run, rest)) = CellRun::decode_first(&bytes) {
            prop_assert_eq!(run.to_bytes(), &bytes[..bytes.len() - rest.len()]);
        }
    }
}
