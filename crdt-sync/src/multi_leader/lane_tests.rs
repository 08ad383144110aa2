//! What a lane concludes of two sides, beside the plainest way to say it.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use crdt_core::{CausalContext, Dot, ReplicaId};
use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

use super::lane::*;
use crate::entry::{Chain, Position};
use crate::history::Histories;
use crate::time::Instant;
use crate::wire::{Frontier, OriginStatus};

const WHOLE: Meeting = Meeting { whole: true, with_whole: true };

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_u128(u128::from(number) + 1)
}

fn position(sequence: u64) -> Position {
    Position { sequence, chain: Chain::START }
}

fn frontier(origins: Vec<OriginStatus>) -> Frontier {
    Frontier {
        partition: 0,
        rewind: false,
        open: false,
        ask: false,
        writer: id(0),
        origins,
        refused: Vec::new(),
        root: None,
        forks: [0; 16],
    }
}

/// One side looks the other up, and the other way round.
fn naive(theirs: &[OriginStatus], ours: &Histories, forked: &BTreeSet<ReplicaId>) -> Gap {
    let mut gap = Gap::default();
    for status in theirs.iter().filter(|status| !forked.contains(&status.origin)) {
        let here = ours.head(status.origin).sequence;
        let missing = if status.whole { status.head.sequence.saturating_sub(here) } else { 0 };
        gap.missing_here += missing;
        gap.unservable |= missing > 0 && here < status.floor;
        gap.met |= here > 0 && status.head.sequence > 0;
    }
    for (origin, history) in ours.iter().filter(|(origin, _)| !forked.contains(origin)) {
        let there = theirs.iter().find(|status| status.origin == origin);
        let there = there.map_or(0, |status| status.head.sequence);
        let missing = history.head().sequence.saturating_sub(there);
        gap.missing_there += missing;
        gap.unservable |= missing > 0 && there < history.served_from().sequence;
    }
    gap
}

proptest! {
    #[test]
    fn one_walk_over_both_sides_finds_what_looking_up_finds(
        theirs in btree_map(0..12u8, (0..6u64, 0..6u64, any::<bool>()), 0..8),
        ours in btree_map(0..12u8, 1..9u64, 0..8),
        forked in btree_set(0..12u8, 0..3),
    ) {
        let theirs: Vec<OriginStatus> = theirs
            .into_iter()
            .map(|(origin, (floor, above, whole))| {
                OriginStatus { origin: id(origin), floor, head: position(floor + above), whole }
            })
            .collect();
        let mut histories = Histories::default();
        for (origin, head) in ours {
            histories.raise(id(origin), position(head));
        }
        let mut lane = Lane::new(Instant::from_micros(0), WHOLE);
        prop_assert_eq!(lane.gap(&histories), None, "the peer did not speak yet");
        lane.forked = forked.into_iter().map(id).collect();
        lane.learn(&frontier(theirs.clone()), Instant::from_micros(1));
        prop_assert_eq!(lane.gap(&histories), Some(naive(&theirs, &histories, &lane.forked)));
    }
}

/// An entry rests on a dot that does not come: the peer serves it in vain, until a session is the only way.
#[test]
fn what_waits_too_long_for_its_past_needs_a_session() {
    let (origin, patience) = (id(7), Duration::from_secs(2));
    let at = |seconds: u64| Instant::from_micros(seconds * 1_000_000);
    let missing = Dot::new(id(9), 4).expect("not zero");
    let histories = Histories::default();
    let mut lane = Lane::new(at(0), WHOLE);
    let status = OriginStatus { origin, floor: 0, head: position(3), whole: true };
    lane.learn(&frontier(alloc::vec![status]), at(0));
    lane.await_dot(origin, missing, at(1), 1);
    let unservable = |lane: &Lane| lane.gap(&histories).expect("the peer spoke").unservable;

    lane.tire(at(2), patience);
    assert!(!unservable(&lane), "it may still come");
    // The same entry comes again and again; the time runs from the first.
    lane.await_dot(origin, missing, at(2), 1);
    lane.tire(at(3), patience);
    assert!(unservable(&lane));

    // It waits for another dot by now.
    let other = Dot::new(id(9), 5).expect("not zero");
    lane.early.clear();
    lane.await_dot(origin, other, at(3), 1);
    lane.tire(at(4), patience);
    assert!(!unservable(&lane));
    let seen: CausalContext = [other].into_iter().collect();
    assert!(lane.wake_early(&seen) && !lane.wake_early(&seen));
    lane.tire(at(9), patience);
    assert!(!unservable(&lane), "it is there");
}
