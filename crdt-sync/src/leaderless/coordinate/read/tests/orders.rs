//! All orders of answers, for few nodes: what a read reaches depends on who answers alone, and what it returns covers
//! everybody who counts.

use std::collections::BTreeMap;
use std::vec::Vec;

use quorum::Level;

use super::super::*;
use super::world::{Toy, World};
use super::{START, V1, V2};
use crate::leaderless::coordinate::Repair;

const PRIMARIES: [char; 3] = ['a', 'b', 'c'];

/// Lets answers and repairs arrive in every order, and returns how many orders there are.
fn explore(world: &World, options: ReadOptions) -> usize {
    let mut orders = 0;
    for node in world.busy() {
        let mut next = world.clone();
        next.answer(node);
        if world.reply.is_none() && next.reply.is_some() {
            returns_what_it_must(&next, options);
        }
        orders += explore(&next, options);
    }
    if orders == 0 {
        ends_as_it_must(world, options);
        orders = 1;
    }
    orders
}

fn returns_what_it_must(world: &World, options: ReadOptions) {
    let Some(Ok(read)) = &world.reply else { return };
    let covered = read.report.primaries().iter().map(|node| world.states[node]);
    assert_eq!(covered.fold(Toy::NOTHING, Toy::united).live, read.data.live, "{world:?}");
    if options.repair == Repair::Before {
        let has_it =
            |node: &&char| world.states.get(*node).is_some_and(|state| read.data.lacking(state).is_none());
        assert!(PRIMARIES.iter().filter(has_it).count() >= 2, "{world:?}");
    }
}

fn ends_as_it_must(world: &World, options: ReadOptions) {
    let mut world = world.clone();
    world.tick(START + options.timeout);
    assert!(world.over);
    let needed = if options.repair == Repair::Before { 2 } else { 0 }.max(options.level.resolve(3).unwrap());
    let reached = world.reply.as_ref().unwrap().is_ok();
    assert_eq!(reached, world.states.len() >= needed as usize, "{options:?} {world:?}");
    // Whoever was heard shows the same in the end.
    let heard: Vec<Toy> =
        world.asked.iter().filter_map(|(node, ..)| world.states.get(node)).copied().collect();
    let all_equal = heard.windows(2).all(|pair| pair[0].live == pair[1].live);
    assert!(all_equal || options.repair == Repair::Never, "{options:?} {world:?}");
    assert!(options.repair != Repair::Never || world.repairs.is_empty());
}

/// Every node refuses, has nothing, has one of two values, or saw the first removed.
fn every_world() -> Vec<BTreeMap<char, Toy>> {
    let states = [
        None,
        Some(Toy::NOTHING),
        Some(Toy::with(V1)),
        Some(Toy::with(V2)),
        Some(Toy::with(V1 | V2).without(V1)),
    ];
    let node = |place: usize, choice: usize| states[choice].map(|state| (PRIMARIES[place], state));
    let world = |choice: usize| [node(0, choice % 5), node(1, choice / 5 % 5), node(2, choice / 25)];
    (0..125).map(|choice| world(choice).into_iter().flatten().collect()).collect()
}

fn explore_all(repair: Repair) -> usize {
    let mut orders = 0;
    for level in [Level::One, Level::Quorum, Level::All] {
        for (digests, speculate) in [
            (true, None),
            (false, None),
            (true, ReadOptions::ONE.speculate),
            (false, ReadOptions::ONE.speculate),
        ] {
            let options = ReadOptions { level, speculate, repair, digests, ..ReadOptions::QUORUM };
            for states in every_world() {
                orders += explore(&World::new(Replicas::new(3, PRIMARIES), options, states), options);
            }
        }
    }
    orders
}

#[test]
fn in_every_order_a_read_that_repairs_afterwards_returns_what_covers_its_quorum() {
    let orders = explore_all(Repair::Afterwards);
    assert!(orders > 10_000, "{orders}");
}

#[test]
fn in_every_order_a_read_that_repairs_before_leaves_its_answer_on_a_majority() {
    let orders = explore_all(Repair::Before);
    assert!(orders > 10_000, "{orders}");
}

#[test]
fn in_every_order_a_read_that_never_repairs_writes_nothing() {
    let orders = explore_all(Repair::Never);
    assert!(orders > 5_000, "{orders}");
}
