//! Whatever is written where, and whatever the links do: in the end all hold what a naive model says.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};

use crdt_core::dotted::DotStore;
use crdt_core::{CausalContext, Dot};
use proptest::prelude::*;

use super::world::*;
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::replica::Action;

/// The naive model: every dot that was minted, and every dot that some write removed. What is left lives.
#[derive(Debug, Default)]
struct Model {
    /// By key, as the dots of one partition are those of another, too.
    minted: BTreeMap<(String, Dot), String>,
    removed: BTreeSet<(String, Dot)>,
    counted: BTreeMap<String, i128>,
}

#[derive(Clone, Debug)]
enum Step {
    Add { at: usize, key: u8, element: u8 },
    Remove { at: usize, key: u8, element: u8 },
    Count { at: usize, key: u8, up: bool },
    Carry { from: usize, to: usize, key: u8 },
    Run { millis: u64 },
    Restart { at: usize },
    Part { one: usize, other: usize },
}

fn arb_step() -> impl Strategy<Value = Step> {
    let node = || 0..3_usize;
    prop_oneof![
        6 => (node(), 0..6_u8, 0..4_u8).prop_map(|(at, key, element)| Step::Add { at, key, element }),
        4 => (node(), 0..6_u8, 0..4_u8).prop_map(|(at, key, element)| Step::Remove { at, key, element }),
        2 => (node(), 0..3_u8, any::<bool>()).prop_map(|(at, key, up)| Step::Count { at, key, up }),
        3 => (node(), node(), 0..6_u8).prop_map(|(from, to, key)| Step::Carry { from, to, key }),
        5 => (10..3_000_u64).prop_map(|millis| Step::Run { millis }),
        1 => node().prop_map(|at| Step::Restart { at }),
        1 => (node(), node()).prop_map(|(one, other)| Step::Part { one, other }),
    ]
}

fn key_of(key: u8) -> String {
    alloc::format!("key-{key}")
}

/// The dots under which an element lives at a node.
fn dots_at(world: &World, node: usize, key: &str, element: &str) -> BTreeSet<Dot> {
    let item = item(SETS, key);
    let replica = &world.nodes[node].replica;
    let partition = replica.partition(replica.partition_of(item.collection, &item.key));
    let mut dots = BTreeSet::new();
    if let Some(Cell::Set(elements)) = partition.cells.get(&item).map(|held| &held.cell) {
        let taken = elements.clone().take(&Bytes::from(element));
        taken.for_each_dot(&mut |dot| {
            dots.insert(dot);
        });
    }
    dots
}

impl Model {
    fn add(&mut self, world: &mut World, node: usize, key: &str, element: &str) {
        self.removed.extend(dots_at(world, node, key, element).into_iter().map(|dot| (key.to_string(), dot)));
        world.write(node, SETS, key, Action::Add(element.into()));
        let minted = dots_at(world, node, key, element);
        self.minted.extend(minted.into_iter().map(|dot| ((key.to_string(), dot), element.to_string())));
    }

    fn remove(&mut self, world: &mut World, node: usize, key: &str, element: &str) {
        self.removed.extend(dots_at(world, node, key, element).into_iter().map(|dot| (key.to_string(), dot)));
        world.write(node, SETS, key, Action::Remove(element.into()));
    }

    fn count(&mut self, world: &mut World, node: usize, key: &str, up: bool) {
        let action = if up { Action::Increment(1) } else { Action::Decrement(1) };
        world.write(node, COUNTERS, key, action);
        *self.counted.entry(key.to_string()).or_default() += if up { 1 } else { -1 };
    }

    fn check(&self, world: &World) {
        for node in 0..world.nodes.len() {
            for key in (0..6).map(key_of) {
                for element in (0..4).map(|n| alloc::format!("element-{n}")) {
                    let is_here = |(at, what): &(&(String, Dot), &String)| {
                        at.0 == key && **what == element && !self.removed.contains(*at)
                    };
                    let living = self.minted.iter().filter(is_here).map(|((_, dot), _)| *dot);
                    assert_eq!(
                        dots_at(world, node, &key, &element),
                        living.collect::<BTreeSet<_>>(),
                        "{element} in {key} at node {node}",
                    );
                }
                let item = item(COUNTERS, &key);
                let replica = &world.nodes[node].replica;
                let number = replica.partition_of(item.collection, &item.key);
                let held = replica.partition(number).cells.get(&item).map(|held| &held.cell);
                let counted = if let Some(Cell::Counter(counter)) = held { counter.value() } else { 0 };
                assert_eq!(counted, self.counted.get(&key).copied().unwrap_or(0), "{key} at node {node}");
            }
        }
        // Everything that anybody ever wrote was seen by all, and nothing else.
        for number in 0..world.nodes[0].config.partitions {
            let mut written = CausalContext::new();
            for node in &world.nodes {
                for (origin, head) in node.replica.partition(number).heads() {
                    written.insert_range(origin, 1..=head.sequence);
                }
            }
            for node in &world.nodes {
                assert_eq!(node.replica.partition(number).context, written);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn three_owners_end_with_what_was_written_and_not_removed(
        seed: u64,
        stormy: bool,
        steps in prop::collection::vec(arb_step(), 1..60),
    ) {
        let mut world = World::new(3, seed, |config| config.partitions = 2);
        if stormy {
            world.weather = STORM;
        }
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Add { at, key, element } => {
                    model.add(&mut world, at, &key_of(key), &alloc::format!("element-{element}"));
                }
                Step::Remove { at, key, element } => {
                    model.remove(&mut world, at, &key_of(key), &alloc::format!("element-{element}"));
                }
                Step::Count { at, key, up } => model.count(&mut world, at, &key_of(key), up),
                Step::Carry { from, to, key } => world.carry(from, to, &item(SETS, &key_of(key))),
                Step::Run { millis } => world.run(millis),
                Step::Restart { at } => world.restart(at),
                Step::Part { one, other } if one != other => {
                    world.disconnect(one, other);
                    world.run(500);
                    world.connect(one, other);
                }
                Step::Part { .. } => {}
            }
        }
        world.settle();
        model.check(&world);
        world.assert_logs_tell_the_truth();
    }
}
