//! What a comparison costs, and how fast it may be.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::world::*;
use crate::engine::{Activity, Event};
use crate::merkle::{Item, ItemSource, KeyHash, Prefix, Step};
use crate::replica::Action;
use crate::scope::Scope;

#[test]
fn when_nothing_changed_two_messages_are_all() {
    let mut world = World::new(2, 2, |_| {});
    world.write(0, SETS, "list", Action::Add("milk".into()));
    world.settle();
    world.said.clear();
    world.run(30_000);
    assert!(world.said.len() >= 8, "about every four seconds, so six to ten times: {:?}", world.said);
    for two in world.said.chunks(2) {
        assert_eq!(two, ["1 -> 2: Open", "2 -> 1: Done"]);
    }
    assert!(world.nodes.iter().all(|node| node.synced.last().is_some_and(|synced| synced.complete)));
}

#[test]
fn the_same_root_with_another_context_is_not_nothing() {
    let mut world = World::new(2, 3, |_| {});
    world.settle();
    world.write(0, SETS, "list", Action::Add("milk".into()));
    world.write(0, SETS, "list", Action::Remove("milk".into()));
    let context = |world: &World, node: usize| world.nodes[node].replica.partition(0).context.clone();
    assert_ne!(context(&world, 0), context(&world, 1));
    world.settle();
    assert_eq!(context(&world, 0), context(&world, 1));
}

#[test]
fn states_leave_no_faster_than_they_may() {
    const PER_SECOND: u32 = 20_000;
    const PART: usize = 4_096;
    let mut world = World::new(2, 4, |config| {
        config.limits.compared_per_second = PER_SECOND;
        config.limits.part_size = PART;
        config.timing.resend_after = core::time::Duration::from_millis(500);
    });
    world.weather.lost = 5;
    let value = "x".repeat(1_000);
    let writes = (0..400).map(|n| (DOCUMENTS, alloc::format!("key-{n}"), Action::Put(value.as_str().into())));
    world.write_all(0, writes.collect());
    world.run(90_000);
    assert!(world.agrees(), "400 kB at 20 kB/s, and what was lost again");
    let aborted = |event: &Event| matches!(event, Event::SessionAborted { .. });
    assert!(!world.nodes.iter().any(|node| node.events.iter().any(aborted)), "who is held up says so");

    let sent: Vec<(u64, usize)> =
        world.states.iter().filter(|(_, node, _)| *node == 0).map(|(at, _, bytes)| (*at, *bytes)).collect();
    let total: usize = sent.iter().map(|(_, bytes)| bytes).sum();
    assert!(total > 400_000);
    for (at, (first, _)) in sent.iter().enumerate() {
        let mut bytes = 0;
        for (then, size) in &sent[at..] {
            bytes += size;
            let allowed = (then - first) * u64::from(PER_SECOND) / 1_000_000 + u64::from(PER_SECOND);
            let one_part = PART as u64 + 16;
            assert!(bytes as u64 <= allowed + one_part, "{bytes} bytes between {first} and {then}");
        }
    }
}

#[test]
fn one_partition_at_a_time_is_compared_with_a_peer_and_one_peer_at_a_time_over_a_partition() {
    let mut world = World::new(3, 5, |config| config.partitions = 4);
    world.weather = STORM;
    for n in 0..200_u32 {
        let node = (n % 3) as usize;
        world.write(
            node,
            SETS,
            &alloc::format!("key-{}", n % 40),
            Action::Add(n.to_string().as_str().into()),
        );
        world.run(100);
        for node in &world.nodes {
            let mut peers: Vec<_> = node.anti.sessions.values().map(|talk| talk.session.peer).collect();
            let sessions = peers.len();
            peers.sort_unstable();
            peers.dedup();
            assert_eq!(peers.len(), sessions);
            let mut under_way = Activity::default();
            node.anti.add_activity(None, &mut under_way);
            let Activity { opening, comparing, exchanging, concluding, .. } = under_way;
            assert_eq!(opening + comparing + exchanging + concluding, sessions);
        }
    }
    world.settle();
}

#[test]
fn a_drill_down_where_only_range_2_differs() {
    let mut world = World::new(2, 6, |config| {
        config.leaf_bits = 12;
        config.limits.merkle.max_sketch_cells = 0;
    });
    let writes = |from, to| {
        let write = |n: u32| (DOCUMENTS, alloc::format!("key-{n}"), Action::Put("same".into()));
        (from..to).map(write).collect::<Vec<_>>()
    };
    world.write_all(0, writes(0, 4_000));
    world.settle();
    world.traces.clear();

    // Two keys in the third sixteenth of all hashes change.
    let range_2 = Prefix::of(KeyHash::from_u128(2 << 124), 4);
    let cells = &mut world.nodes[0].replica.partition_mut(0).cells;
    cells.photograph(&Scope::everything());
    cells.develop();
    let mut handles = Vec::new();
    cells.for_each_in(range_2, &mut |item: Item| handles.push(item.handle));
    assert!(handles.len() > 100);
    let (changed, _) = cells.photographed_behind(&[handles[3], handles[90]]);
    cells.forget_photograph();
    for item in &changed {
        let key = core::str::from_utf8(&item.key).unwrap();
        world.write(0, DOCUMENTS, key, Action::Put("other".into()));
    }
    world.states.clear();
    world.settle();

    let trace = &world.traces[&0];
    let mut levels = 0;
    for round in trace.rounds() {
        if let Step::Digests { bits, differing, examples, .. } = &round.step
            && *differing > 0
        {
            levels += 1;
            assert!(*differing <= 2, "{trace}");
            let in_range_2 = |node: &Prefix| *bits >= 4 && range_2.contains(node.start());
            assert!(examples.iter().all(in_range_2), "{trace}");
        }
    }
    assert!(levels >= 1, "into range 2 and nowhere else:\n{trace}");
    let listed: u32 = trace
        .rounds()
        .iter()
        .map(|round| if let Step::Items { listed, .. } = round.step { listed } else { 0 })
        .sum();
    assert!(listed < 40, "of 4,000 keys:\n{trace}");
    let bytes: usize = world.states.iter().map(|(_, _, bytes)| bytes).sum();
    assert!(bytes < 4_000, "two documents from each side, not the partition: {bytes}");
    // -> hello, 4000 items
    // <- hello, 4000 items
    // <- 8 bits: 256 compared, 2 differ: 20 26
    //   -> 30 items listed in 2 parts
    //     <- 2 wanted
    assert!(trace.to_string().contains("256 compared, 2 differ: 2"), "{trace}");
}
