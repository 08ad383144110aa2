//! What a newcomer should know, a test each.

use alloc::vec;

use super::support::{Numbers, Set, salt, symbol, symbols};
use crate::sketch::{DecodeError, Decoder, Encoder, LeafSketch, Progress, Salt, Sketch, Weight};

fn sketch(salt: &Salt, len: usize, set: &Set) -> Sketch {
    Sketch::from_symbols(salt, len, symbols(set)).unwrap()
}

#[test]
fn equal_sets_differ_by_nothing() {
    let set: Set = (0..100).map(|id| (id, id + 1)).collect();
    let ours = sketch(&salt(1), 10, &set);
    assert_eq!(ours.subtract(&ours).unwrap().decode(0), Ok(vec![]));
}

#[test]
fn a_changed_key_is_one_difference() {
    let here: Set = (0..100).map(|id| (id, 500)).collect();
    let mut there = here.clone();
    there.insert(42, 100);
    let difference = sketch(&salt(1), 1, &here).subtract(&sketch(&salt(1), 1, &there)).unwrap();
    assert_eq!(difference.decode(1), Ok(vec![symbol(42, 400)]));
}

#[test]
fn a_side_knows_from_its_own_weight_what_the_other_has() {
    let ours = Weight::new(500);
    assert_eq!(Weight::new(400).unwrap().other_side(ours), Weight::new(100)); // another version
    assert_eq!(Weight::new(500).unwrap().other_side(ours), None); // nothing
    let minus_7 = Weight::new(u32::MAX - 4 - 7).unwrap();
    assert_eq!(minus_7.other_side(None), Weight::new(7)); // what this side lacks
}

#[test]
fn id_0_is_an_id_like_others() {
    let sketch = Sketch::from_symbols(&salt(1), 5, [symbol(0, 9)]).unwrap();
    assert_eq!(sketch.decode(1), Ok(vec![symbol(0, 9)]));
}

/// It happens to one changed key in 2^32, and the 128-bit roots of the sides still differ.
#[test]
fn a_change_between_equal_weights_is_not_seen() {
    let [here, there] = [Set::from([(1, 7)]), Set::from([(1, 7)])];
    let difference = sketch(&salt(1), 5, &here).subtract(&sketch(&salt(1), 5, &there)).unwrap();
    assert_eq!(difference.decode(1), Ok(vec![]));
}

#[test]
fn too_few_cells_tell_some_differences_and_that_there_are_more() {
    let symbols = Numbers(3).symbols(50);
    let few = Sketch::from_symbols(&salt(3), 62, symbols.iter().copied()).unwrap();
    let Err(DecodeError::NotDecoded { found }) = few.decode(100) else {
        panic!("62 cells are not enough for these");
    };
    assert!(found.len() < 50);
    assert!(found.iter().all(|symbol| symbols.contains(symbol)));
}

#[test]
fn further_cells_go_on_where_the_first_ended() {
    let symbols = Numbers(3).symbols(50);
    let mut encoder = Encoder::new(&salt(3), symbols.iter().copied());
    let mut decoder = Decoder::new(&salt(3), 100);
    assert_eq!(decoder.push(encoder.produce(62).unwrap()), Ok(Progress::NeedsMore));
    assert_eq!(decoder.push(encoder.produce(62).unwrap()), Ok(Progress::Decoded));
    assert_eq!(decoder.taken(), 124);
    assert_eq!(decoder.finish(), Ok(symbols));
}

#[test]
fn no_cells_tell_nothing() {
    assert_eq!(Sketch::new(&salt(1), 0).unwrap().decode(1), Err(DecodeError::NotDecoded { found: vec![] }));
}

#[test]
fn an_empty_leaf_weighs_nothing() {
    let mut leaves = LeafSketch::new(&salt(1), 16, 8).unwrap();
    let empty = leaves.sketch().clone();
    leaves.set(3, 99, 1).unwrap();
    assert_eq!(leaves.weight(3), salt(1).leaf(3, 99, 1).map(|symbol| symbol.weight));
    assert_ne!(*leaves.sketch(), empty);
    leaves.set(3, 0, 0).unwrap();
    assert_eq!(leaves.weight(3), None);
    assert_eq!(*leaves.sketch(), empty);
}

#[test]
fn equal_sums_of_another_count_or_leaf_weigh_something_else() {
    let weight = |leaf, sum, count| salt(1).leaf(leaf, sum, count).map(|symbol| symbol.weight);
    assert_ne!(weight(3, 99, 1), weight(3, 99, 2));
    assert_ne!(weight(3, 99, 1), weight(4, 99, 1));
    assert_ne!(weight(3, 99, 1), salt(2).leaf(3, 99, 1).map(|symbol| symbol.weight));
}
