//! A ring that changes while everybody writes and reads: no acknowledged write is missed by a quorum read that begins
//! later, whatever is lost, late, repeated, out of order, crashed or dead.
//!
//! The world is a few nodes with a `Placement` each, a network that is a bag of messages, and partitions that are sets
//! of writes. Each seed is one history. Much of what the protocol rests on is taken away in turn by planted mistakes,
//! and each of them has to be caught: so the tests can fail.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod node;
mod world;

use proptest::prelude::*;
use world::{Mistake, World};

const STEPS: usize = 2_500;

#[test]
fn no_acknowledged_write_is_missed() {
    let mut all = world::Counts::default();
    for seed in 0..100 {
        let mut world = World::new(seed, Mistake::None);
        let seen = world.run(STEPS).and_then(|()| world.settle());
        assert_eq!(seen, Ok(()), "seed {seed}");
        all.add(&world.counts);
    }
    // The histories are not empty ones.
    assert!(all.writes > 2_000 && all.reads > 2_000, "{all:?}");
    assert!(all.finished > 150 && all.given_up > 10 && all.lost > 10, "{all:?}");
    assert!(all.zombies > 10 && all.dropped > 20 && all.refused > 100, "{all:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn nor_in_any_other_history(seed in any::<u64>(), steps in 0usize..4_000) {
        let mut world = World::new(seed, Mistake::None);
        prop_assert_eq!(world.run(steps).and_then(|()| world.settle()), Ok(()));
    }
}

/// The first seed that shows the mistake.
fn caught(mistake: Mistake) -> Option<u64> {
    (0..800).find(|seed| {
        let mut world = World::new(*seed, mistake);
        world.run(STEPS).and_then(|()| world.read_all()).is_err()
    })
}

#[test]
fn reads_that_move_before_the_copies_are_made_are_caught() {
    assert!(caught(Mistake::ReadsNewEarly).is_some());
}

#[test]
fn a_phase_that_begins_without_acknowledgements_is_caught() {
    assert!(caught(Mistake::ForgesAcknowledgements).is_some());
}

#[test]
fn data_that_is_dropped_too_early_is_caught() {
    assert!(caught(Mistake::DropsEarly).is_some());
}

#[test]
fn copies_from_too_few_are_caught() {
    assert!(caught(Mistake::CopiesTooLittle).is_some());
}

#[test]
fn writes_to_one_of_two_sets_are_caught() {
    assert!(caught(Mistake::WritesOneSet).is_some());
}
