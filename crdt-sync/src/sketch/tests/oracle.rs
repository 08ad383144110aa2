//! Sketches beside the naive difference of sets.

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::support::{Set, difference, salt, symbols};
use crate::sketch::{CellRun, Decoder, Encoder, Progress, Sketch};

/// Sets with many ids in common, of which some weigh the same.
fn sets() -> impl Strategy<Value = (Set, Set)> {
    let set = || btree_map(0_u32..60, 1_u32..4, 0..40);
    (set(), set())
}

fn wide_sets() -> impl Strategy<Value = (Set, Set)> {
    let part = || btree_map(0_u32..u32::MAX - 4, 1_u32..u32::MAX - 4, 0..30);
    (part(), part(), part()).prop_map(|(common, here, there)| {
        (common.clone().into_iter().chain(here).collect(), common.into_iter().chain(there).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn what_is_decoded_is_the_difference((here, there) in prop_oneof![sets(), wide_sets()], seed: u64) {
        let salt = salt(seed);
        let ours = Sketch::from_symbols(&salt, 300, symbols(&here)).unwrap();
        let theirs = Sketch::from_symbols(&salt, 300, symbols(&there)).unwrap();
        prop_assert_eq!(ours.subtract(&theirs).unwrap().decode(200), Ok(difference(&here, &there)));
    }

    #[test]
    fn a_stream_ends_with_the_difference((here, there) in prop_oneof![sets(), wide_sets()], seed: u64, step in 1_usize..40) {
        let salt = salt(seed);
        let mut ours = Encoder::new(&salt, symbols(&here));
        let mut theirs = Encoder::new(&salt, symbols(&there));
        let mut decoder = Decoder::new(&salt, 200);
        loop {
            let from = u32::try_from(theirs.produced()).unwrap();
            let sent = CellRun { from, cells: theirs.produce(step).unwrap() };
            let sent = CellRun::decode(&sent.to_bytes()).unwrap();
            let cells = ours.produce(step).unwrap().into_iter().zip(sent.cells);
            if decoder.push(cells.map(|(ours, theirs)| ours.minus(theirs))).unwrap() == Progress::Decoded {
                break;
            }
        }
        prop_assert_eq!(decoder.finish(), Ok(difference(&here, &there)));
    }
}
