//! Whatever happens, in whatever order: one reply, never without enough distinct nodes, one question at a time.

use core::time::Duration;
use std::vec::Vec;

use proptest::prelude::*;
use quorum::Level;

use super::super::*;
use super::START;
use super::world::{Toy, World};
use crate::leaderless::coordinate::{Fallbacks, Repair};

const NODES: [char; 8] = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'z'];

#[derive(Debug, Clone, Copy)]
enum Happens {
    Answers(usize),
    Refuses(usize),
    Unreachable(usize),
    /// Nobody asked for this.
    Blurts(usize, u8),
    Waits(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0..8usize).prop_map(Happens::Answers),
        1 => (0..8usize).prop_map(Happens::Refuses),
        1 => (0..8usize).prop_map(Happens::Unreachable),
        1 => (0..8usize, 0..8u8).prop_map(|(node, value)| Happens::Blurts(node, value)),
        2 => (1..200_000u64).prop_map(Happens::Waits),
    ]
}

fn options() -> impl Strategy<Value = ReadOptions> {
    let level = prop_oneof![Just(Level::One), Just(Level::Quorum), Just(Level::All)];
    let repair = prop_oneof![Just(Repair::Never), Just(Repair::Afterwards), Just(Repair::Before)];
    (level, repair, 0..=2u32, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(level, repair, primaries, sloppy, digests, at_once)| ReadOptions {
            level,
            repair,
            primaries,
            fallbacks: if sloppy { Fallbacks::Sloppy } else { Fallbacks::Strict },
            digests,
            speculate: ReadOptions::ONE.speculate.filter(|_| !at_once),
            ..ReadOptions::ONE
        },
    )
}

fn sets() -> impl Strategy<Value = Vec<Vec<char>>> {
    proptest::collection::vec(proptest::sample::subsequence(&NODES[..6], 2..=4), 1..=2)
}

fn replicas(sets: &[Vec<char>], down: &[usize], coordinator: usize) -> Replicas<char> {
    let n = |set: &Vec<char>| u32::try_from(set.len()).unwrap();
    let one = Replicas::new(n(&sets[0]), sets[0].iter().copied());
    let joint = sets[1..].iter().fold(one, |all, set| all.jointly_with(n(set), set.iter().copied()));
    let joint = joint.with_fallbacks(NODES[..7].iter().copied());
    joint.believed_down(down.iter().map(|node| NODES[*node])).coordinated_by(NODES[coordinator])
}

/// Distinct nodes that count in each set, by hand.
fn is_met(sets: &[Vec<char>], options: ReadOptions, report: &Report<char>) -> bool {
    sets.iter().all(|set| {
        let required = options.level.resolve(u32::try_from(set.len()).unwrap()).unwrap() as usize;
        let primaries = report.primaries().iter().filter(|node| set.contains(node)).count();
        let fallbacks = report.fallbacks().iter().filter(|(_, owner)| set.contains(owner)).count();
        primaries + fallbacks >= required && primaries >= options.primaries as usize
    })
}

proptest! {
    #[test]
    fn whatever_happens_there_is_one_reply_and_it_covers_enough_distinct_nodes(
        sets in sets(),
        options in options(),
        down in proptest::collection::vec(0..8usize, 0..3),
        coordinator in 0..8usize,
        states in proptest::collection::vec((0..8u8, 0..8u8), 8),
        story in proptest::collection::vec(happens(), 0..50),
    ) {
        let state = |(live, removed): &(u8, u8)| Toy::with(*live).without(*removed);
        let states = NODES.iter().copied().zip(states.iter().map(state));
        let mut world = World::new(replicas(&sets, &down, coordinator), options, states);
        let mut now = START;
        for event in story.into_iter().chain([Happens::Waits(10_000_000)]) {
            let open = world.reply.is_none();
            match event {
                Happens::Answers(node) => world.answer(NODES[node]),
                Happens::Refuses(node) => world.refuse(NODES[node]),
                Happens::Unreachable(node) => {
                    world.open.remove(&NODES[node]);
                    world.op.unreachable(NODES[node], now);
                    world.drain();
                }
                Happens::Blurts(node, value) if !world.asked.iter().any(|(asked, ..)| *asked == NODES[node]) => {
                    world.op.whole(NODES[node], Toy::with(value), now);
                    world.op.digest(NODES[node], Toy::with(value).digest(), now);
                    world.op.repaired(NODES[node], now);
                    world.drain();
                }
                Happens::Blurts(..) => {}
                Happens::Waits(micros) => {
                    now = now + Duration::from_micros(micros);
                    world.tick(now);
                }
            }
            if let (true, Some(Ok(read))) = (open, &world.reply) {
                prop_assert!(is_met(&sets, options, &read.report));
                let fallbacks = read.report.fallbacks().iter().map(|(node, _)| *node);
                let mut counted: Vec<char> = read.report.primaries().iter().copied().chain(fallbacks).collect();
                let covered = counted.iter().map(|node| world.states[node]).fold(Toy::NOTHING, Toy::united);
                prop_assert_eq!(covered.live, read.data.live);
                counted.sort_unstable();
                counted.dedup();
                prop_assert_eq!(counted.len(), read.report.copies());
            }
        }
        prop_assert!(world.over);
        prop_assert!(options.repair != Repair::Never || world.repairs.is_empty());
    }
}
