//! What must never happen, one story each.

use alloc::vec::Vec;

use super::super::Synced;
use super::world::*;
use crate::engine::Event;
use crate::replica::Action;

fn many(from: u32, to: u32) -> Vec<(usize, alloc::string::String, Action)> {
    let write = |n: u32| (SETS, alloc::format!("key-{n}"), Action::Add("element".into()));
    (from..to).map(write).collect()
}

#[test]
fn a_removal_is_not_undone_by_a_stale_copy() {
    let mut world = World::new(2, 1, |_| {});
    world.write(0, SETS, "list", Action::Add("milk".into()));
    world.write(0, SETS, "list", Action::Add("bread".into()));
    world.settle();
    world.disconnect(0, 1);
    world.write(0, SETS, "list", Action::Remove("milk".into()));
    world.run(10_000);
    assert!(world.elements(1, "list").contains("milk"), "the other side could not hear of it");
    world.connect(0, 1);
    world.settle();
    for node in 0..2 {
        assert_eq!(world.elements(node, "list"), ["bread"].map(Into::into).into());
    }
}

#[test]
fn a_key_that_one_side_never_heard_of_is_not_a_key_it_forgot() {
    let mut world = World::new(2, 2, |_| {});
    world.write(0, DOCUMENTS, "here", Action::Put("a".into()));
    world.write(1, DOCUMENTS, "there", Action::Put("b".into()));
    world.settle();
    for node in &world.nodes {
        assert_eq!(node.replica.partition(0).cells.len(), 2);
    }
}

#[test]
fn writes_go_on_while_sessions_last() {
    let mut world = World::new(2, 3, |config| {
        config.limits.part_size = 256;
        config.timing.compare_every = core::time::Duration::from_secs(1);
    });
    world.weather.late_millis = 60;
    world.write_all(0, many(0, 300));
    let mut during = 0;
    for n in 0..400_u32 {
        let (node, key) = ((n % 2) as usize, alloc::format!("key-{}", n % 350));
        world.write(node, SETS, &key, Action::Add(alloc::format!("{n}").as_str().into()));
        world.write(node, SETS, &key, Action::Remove("element".into()));
        during += world.nodes[0].anti.sessions();
        world.run(20);
    }
    assert!(during > 20, "most of it is written in the middle of a session: {during}");
    world.settle();
    let written =
        |n: u32| world.elements(1, &alloc::format!("key-{}", n % 350)).contains(&alloc::format!("{n}"));
    assert!((0..400).all(written));
}

#[test]
fn a_peer_that_restarts_in_the_middle_is_compared_with_again() {
    let mut world = World::new(2, 4, |config| config.limits.part_size = 256);
    world.weather.late_millis = 100;
    world.write_all(0, many(0, 400));
    for (restarted, from) in [(1, 2_000), (0, 1_000)] {
        world.write_all(restarted, many(from, from + 300));
        while !world.nodes[0].anti.sessions.values().any(|talk| talk.session.report.states_sent > 50) {
            world.run(50);
        }
        world.restart(restarted);
    }
    world.settle();
    assert_eq!(world.nodes[1].replica.partition(0).cells.len(), 1_000);
}

#[test]
fn what_two_wrote_reaches_a_third_that_meets_only_one_of_them() {
    let mut world = World::new(3, 5, |_| {});
    world.disconnect(0, 2);
    for node in 0..3 {
        world.write(node, SETS, "list", Action::Add(alloc::format!("from {node}").as_str().into()));
    }
    world.settle();
    assert_eq!(world.elements(2, "list").len(), 3);
    assert_eq!(world.elements(0, "list").len(), 3);
}

#[test]
fn the_higher_of_two_nodes_asks_for_a_comparison_it_needs_soon() {
    let hour = core::time::Duration::from_secs(3_600);
    let mut world = World::new(2, 6, |config| config.timing.compare_every = hour);
    world.weather.lost = 50;
    world.write(1, SETS, "list", Action::Add("milk".into()));
    world.with(1, |anti, context| anti.mark(0, id_of(0), context.now.instant));
    world.run(20_000);
    assert!(world.elements(0, "list").contains("milk"));
}

#[test]
fn a_completed_session_names_the_layout_it_began_under() {
    let mut world = World::new(2, 7, |_| {});
    world.write(0, SETS, "list", Action::Add("milk".into()));
    world.settle();
    world.layout(1, 8);
    world.run(10_000);
    let at = |layout| Synced { partition: 0, peer: id_of(0), layout, complete: true };
    let synced = &world.nodes[1].synced;
    assert_eq!((synced.first(), synced.last()), (Some(&at(1)), Some(&at(8))));
}

#[test]
fn who_does_not_own_a_partition_together_with_a_node_is_told_nothing_of_it() {
    let mut world = World::new(2, 8, |_| {});
    world.write(1, SETS, "list", Action::Add("milk".into()));
    world.with(1, |anti, context| anti.set_pairs(2, [], context));
    world.run(20_000);
    assert_eq!(world.elements(0, "list"), [].into());
    assert!(
        world.said.iter().all(|said| said == "1 -> 2: Open" || said == "2 -> 1: Busy"),
        "{:?}",
        world.said
    );
}

/// The part with key 200 never arrives, and the peer is gone in the middle. Returns whether the key lives in the end.
fn lose_a_part(world: &mut World) -> bool {
    world.swallow = |part| part.items.iter().any(|item| &*item.key == b"key-200");
    world.write_all(0, many(0, 400));
    while !world.nodes[1].anti.sessions.values().any(|talk| talk.session.report.states_received > 20) {
        world.run(50);
    }
    world.run(500);
    world.disconnect(0, 1);
    assert_eq!(world.elements(1, "key-200"), [].into(), "it was lost");
    let aborted = |event: &Event| matches!(event, Event::SessionAborted { .. });
    assert!(world.nodes[1].events.iter().any(aborted));
    world.swallow = |_| false;
    world.connect(0, 1);
    world.settle();
    (0..2).all(|node| world.elements(node, "key-200").len() == 1)
}

#[test]
fn a_key_whose_part_was_lost_never_counts_as_removed() {
    let mut world = World::new(2, 9, |config| config.limits.part_size = 256);
    assert!(lose_a_part(&mut world));
    assert_eq!(world.nodes[0].replica.partition(0).cells.len(), 400);
}

#[cfg(feature = "_planted_bugs")]
#[test]
fn with_the_context_raised_by_an_incomplete_session_it_would() {
    let mut world = World::new(2, 9, |config| config.limits.part_size = 256);
    for node in &mut world.nodes {
        node.replica.plant(crate::PlantedBug::ContextRaisedIncomplete);
    }
    assert!(!lose_a_part(&mut world), "the key is removed from both, though nobody removed it");
}
