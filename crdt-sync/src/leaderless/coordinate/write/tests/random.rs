//! Whatever happens, in whatever order: one reply, nothing counted twice, hints exact.

use core::time::Duration;
use std::vec::Vec;

use proptest::prelude::*;
use quorum::Level;

use super::super::*;
use super::START;
use super::watch::Watched;

const NODES: u8 = 9;

#[derive(Debug, Clone, Copy)]
enum Happens {
    Acknowledged(u8),
    Refused(u8),
    Unreachable(u8),
    Waits(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0..NODES).prop_map(Happens::Acknowledged),
        1 => (0..NODES).prop_map(Happens::Refused),
        1 => (0..NODES).prop_map(Happens::Unreachable),
        2 => (1..1_500_000u64).prop_map(Happens::Waits),
    ]
}

fn options() -> impl Strategy<Value = WriteOptions> {
    let levels = prop_oneof![Just(Level::One), Just(Level::Quorum), Just(Level::All)];
    let fallbacks = prop_oneof![Just(Fallbacks::Strict), Just(Fallbacks::Sloppy)];
    (levels, 0..=2u32, fallbacks).prop_map(|(level, primaries, fallbacks)| WriteOptions {
        level,
        primaries,
        fallbacks,
        ..WriteOptions::ONE
    })
}

/// One set of primaries or two, some nodes down, somebody who coordinates.
#[derive(Debug, Clone)]
struct Places {
    sets: Vec<Vec<u8>>,
    down: Vec<u8>,
    coordinator: Option<u8>,
}

fn places() -> impl Strategy<Value = Places> {
    let set = || proptest::sample::subsequence((0..NODES - 1).collect::<Vec<_>>(), 2..=4);
    let down = proptest::collection::vec(0..NODES, 0..3);
    let coordinator = proptest::option::of(0..NODES);
    (proptest::collection::vec(set(), 1..=2), down, coordinator)
        .prop_map(|(sets, down, coordinator)| Places { sets, down, coordinator })
}

impl Places {
    fn replicas(&self) -> Replicas<u8> {
        let n = |set: &Vec<u8>| u32::try_from(set.len()).unwrap();
        let one = Replicas::new(n(&self.sets[0]), self.sets[0].iter().copied());
        let joint = self.sets[1..]
            .iter()
            .fold(one, |replicas, set| replicas.jointly_with(n(set), set.iter().copied()));
        let replicas = joint.with_fallbacks(0..NODES - 1).believed_down(self.down.iter().copied());
        match self.coordinator {
            Some(node) => replicas.coordinated_by(node),
            None => replicas,
        }
    }

    /// Whether the level is met by `nodes`, counted by hand.
    fn is_met(&self, options: WriteOptions, write: &Watched<u8>, nodes: &[u8]) -> bool {
        self.sets.iter().all(|set| {
            let (copies, primaries) = copies(set, write, nodes);
            let required = options.level.resolve(u32::try_from(set.len()).unwrap()).unwrap();
            copies >= required as usize && primaries >= options.primaries as usize
        })
    }
}

/// Distinct nodes and primaries of a set that would be copies if just `nodes` acknowledged.
fn copies(set: &[u8], write: &Watched<u8>, nodes: &[u8]) -> (usize, usize) {
    let mut asked = write.asked.clone();
    asked.sort_unstable();
    asked.dedup();
    let counts = |(node, in_place_of): &&(u8, Option<u8>)| {
        nodes.contains(node) && set.contains(&in_place_of.unwrap_or(*node))
    };
    let copies: Vec<_> = asked.iter().filter(counts).collect();
    (copies.len(), copies.iter().filter(|(_, in_place_of)| in_place_of.is_none()).count())
}

proptest! {
    #[test]
    fn whatever_happens_there_is_one_reply_and_every_hint_is_exact(
        places in places(),
        options in options(),
        story in proptest::collection::vec(happens(), 0..40),
    ) {
        let mut write = Watched::new(places.replicas(), options);
        let mut failed: Vec<u8> = places.down.clone();
        let mut now = START;
        for event in story.into_iter().chain([Happens::Waits(10_000_000)]) {
            let open = write.reply.is_none();
            match event {
                Happens::Acknowledged(node) => write.acknowledged(node),
                Happens::Refused(node) => {
                    failed.extend(write.was_asked(node).then_some(node));
                    write.refused(node);
                }
                Happens::Unreachable(node) => {
                    let is_lost = write.was_asked(node) || places.coordinator != Some(node);
                    failed.extend(is_lost.then_some(node));
                    write.unreachable(node);
                }
                Happens::Waits(micros) => { now = now + Duration::from_micros(micros); write.tick(now) }
            }
            match &write.reply {
                Some(Ok(report)) if open => {
                    prop_assert!(places.is_met(options, &write, &write.acknowledged));
                    let mut distinct = write.acknowledged.clone();
                    distinct.sort_unstable();
                    distinct.dedup();
                    prop_assert_eq!(report.copies(), distinct.len());
                }
                Some(Err(unmet)) if open && unmet.cause() == Cause::Impossible => {
                    // Even if everybody who was asked and has not failed acknowledged, it would not be enough.
                    let hope: Vec<u8> = (0..NODES)
                        .filter(|node| write.acknowledged.contains(node) || !failed.contains(node))
                        .collect();
                    prop_assert!(!places.is_met(options, &write, &hope));
                }
                _ => {}
            }
            if write.reply.is_none() {
                prop_assert!(!places.is_met(options, &write, &write.acknowledged));
            }
        }
        prop_assert!(write.over);
        let primaries = places.replicas().primaries();
        prop_assert_eq!(&write.hints, &write.without_a_copy(&primaries, places.coordinator));
    }
}
