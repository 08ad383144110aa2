//! Random forks on three or four nodes, beside a naive oracle: every acknowledged write counts exactly once.

use alloc::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::forks::{Forked, add, count};
use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Count { node: usize, key: usize },
    Add { node: usize, key: usize },
    Remove { node: usize, key: usize },
    Clone { from: usize, to: usize },
    Connect { one: usize, other: usize },
    Deliver { frames: usize },
    Restart { node: usize },
}

fn step(nodes: usize) -> impl Strategy<Value = Step> {
    let node = || 0..nodes;
    prop_oneof![
        4 => (node(), 0..2usize).prop_map(|(node, key)| Step::Count { node, key }),
        4 => (node(), 0..2usize).prop_map(|(node, key)| Step::Add { node, key }),
        1 => (node(), 0..2usize).prop_map(|(node, key)| Step::Remove { node, key }),
        2 => (node(), node()).prop_map(|(from, to)| Step::Clone { from, to }),
        2 => (node(), node()).prop_map(|(one, other)| Step::Connect { one, other }),
        3 => (1..40usize).prop_map(|frames| Step::Deliver { frames }),
        1 => node().prop_map(|node| Step::Restart { node }),
    ]
}

/// What must be there in the end: each amount is a power of its own place, each element is added once and named
/// after its add, so that both tell which writes took effect.
#[derive(Default)]
struct Oracle {
    /// Per node the writes that its log holds: a clone loses its own and gets those of the other.
    counts: BTreeMap<usize, u128>,
}

fn run(nodes: usize, steps: &[Step]) {
    let mut forked = Forked::new(u8::try_from(nodes).unwrap());
    let mut oracle = Oracle::default();
    let keys = ["one", "two"];
    let (mut next, mut written, mut removed) = (0, [BTreeMap::new(), BTreeMap::new()], Vec::new());
    let mut lost: Vec<usize> = Vec::new();
    for step in steps {
        // Two entries of the same bytes after the same past are one: no two writes may share a clock's reading.
        forked.0.micros += 1_000;
        match *step {
            Step::Count { node, key } => {
                forked.0.write(node, count(keys[key], 1));
                *oracle.counts.entry(key).or_default() += 1;
            }
            Step::Add { node, key } => {
                next += 1;
                let element = alloc::format!("{next}");
                forked.0.write(node, add(keys[key], &element));
                written[key].insert(Bytes::from(element.as_str()), node);
            }
            Step::Remove { node, key } => {
                if let Some(element) = forked.elements(node, keys[key]).first() {
                    let action = Action::Remove(element.clone());
                    forked.0.write(node, alloc::vec![write(1, keys[key], action)]);
                    removed.push((key, element.clone()));
                }
            }
            // Only a node that never wrote is replaced by a clone, so that no write is lost with it.
            Step::Clone { from, to } => {
                let wrote = forked.0.logs[to].len() > 2;
                if from != to && !wrote && !lost.contains(&to) {
                    let gone = forked.0.links.iter().filter(|(_, end)| end.2 == to).count();
                    if gone == 0 {
                        forked.clone_node(from, to);
                        lost.push(to);
                    }
                }
            }
            Step::Connect { one, other } => {
                if one != other {
                    forked.0.connect(one, other);
                }
            }
            Step::Deliver { frames } => {
                for _ in 0..frames {
                    let Some((link, bytes)) = forked.0.frames.pop_front() else { break };
                    if let Some(&(node, link, _)) = forked.0.links.get(&link) {
                        forked.0.handle(node, Input::Frame { link, bytes });
                    }
                }
            }
            Step::Restart { node } => forked.0.restart(node),
        }
    }
    for node in 0..nodes {
        forked.0.connect(node, (node + 1) % nodes);
    }
    forked.settle();
    forked.settle();
    forked.0.assert_agreement();
    assert_eq!(forked.told(|event| matches!(event, Event::Violation { .. })), 0);
    for node in 0..nodes {
        for (key, name) in keys.iter().enumerate() {
            let counted = u128::try_from(forked.counted(node, name)).unwrap();
            assert_eq!(counted, oracle.counts.get(&key).copied().unwrap_or_default(), "counter {name}");
            let held = forked.elements(node, name);
            for element in written[key].keys() {
                let was_removed = removed.contains(&(key, element.clone()));
                assert_eq!(held.contains(element), !was_removed, "element {element} of {name}");
            }
        }
    }
    forked.replayed_is_held();
}

proptest! {
    #[test]
    fn every_write_on_every_branch_counts_once(
        (nodes, steps) in (3..5usize).prop_flat_map(|n| (Just(n), prop::collection::vec(step(n), 1..40))),
    ) {
        run(nodes, &steps);
    }
}
