//! Whole nodes and phones in any company, over wires that lose frames: in the end each holds its part of everything.

use alloc::collections::BTreeSet;

use crdt_core::Dot;
use proptest::prelude::{Just, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy;

use super::scopes::{disconnect, lists, project, with_scopes};
use super::*;

const NODES: u8 = 4;
const PROJECTS: [&str; 3] = ["a/", "b/", "ba/"];

#[derive(Clone, Debug)]
enum Step {
    Write {
        at: usize,
        project: usize,
        what: u8,
    },
    /// Two nodes are connected for a while; of the frames every so many-th is lost.
    Meet {
        one: usize,
        other: usize,
        loses: usize,
    },
    Restart {
        at: usize,
    },
}

fn arb_step() -> impl Strategy<Value = Step> {
    let node = 0..usize::from(NODES);
    prop_oneof![
        6 => (node.clone(), 0..3usize, 0u8..6).prop_map(|(at, project, what)| Step::Write { at, project, what }),
        3 => (node.clone(), node.clone(), 0..6usize).prop_map(|(one, other, loses)| Step::Meet { one, other, loses }),
        1 => node.prop_map(|at| Step::Restart { at }),
    ]
}

fn action(what: u8) -> (usize, Action) {
    match what {
        0 | 1 => (2, Action::Increment(1 + u64::from(what))),
        2 | 3 => (1, Action::Add(alloc::vec![what].into())),
        _ => (1, Action::Remove(alloc::vec![what - 2].into())),
    }
}

/// The dots under which a node shows an element of a list.
fn dots(cluster: &Cluster, node: usize, key: &str, element: u8) -> BTreeSet<Dot> {
    match cluster.peek(node, &item(1, key)) {
        Some(Cell::Set(elements)) => elements.dots_of(&[element][..]).iter().collect(),
        _ => BTreeSet::new(),
    }
}

fn meet(cluster: &mut Cluster, one: usize, other: usize, loses: usize, rounds: usize) {
    cluster.connect(one, other);
    for round in 0..rounds {
        let frames = cluster.frames.len();
        for at in 0..frames * 4 {
            let Some((link, bytes)) = cluster.frames.pop_front() else { break };
            let Some(&(node, link, _)) = cluster.links.get(&link) else { continue };
            if loses == 0 || (at + round) % (loses + 1) != 0 {
                cluster.handle(node, Input::Frame { link, bytes });
            }
        }
        cluster.micros += 300_000;
        for node in 0..usize::from(NODES) {
            cluster.handle(node, Input::Timer);
        }
    }
    cluster.deliver();
    disconnect(cluster, one, other);
    cluster.frames.clear();
}

proptest! {
    #[test]
    fn in_the_end_each_node_holds_its_part_of_everything(
        steps in prop::collection::vec(arb_step(), 1..30),
        scopes in prop::array::uniform2(prop::collection::vec(0..3usize, 0..3)),
        keeps in prop_oneof![Just(0usize), Just(300), Just(1 << 20)],
        // In the longer meetings what waits in vain is seen to do so.
        rounds in prop_oneof![Just(12usize), Just(24)],
        phones_first: bool,
    ) {
        let scopes = scopes.map(|projects| projects.iter().fold(Scope::nothing(), |scope, at| {
            let more = project(PROJECTS[*at]);
            let selectors = more.selectors().unwrap_or_default().iter();
            selectors.fold(scope, |scope, s| scope.only(s.collection, s.prefix.clone()))
        }));
        let scope_of = |node: usize| node.checked_sub(2).map_or_else(Scope::everything, |at| scopes[at].clone());
        let adjust = |config: &mut Config| config.limits.max_retained = keeps;
        let scoped: Vec<_> = (2u8..).zip(scopes.iter().cloned()).collect();
        let mut cluster = with_scopes(NODES, &scoped, adjust);
        // The naive model: what was counted under each key; and under which dots each element of a list was added, less
        // those that somebody saw and took away, by removing the element or by adding it again.
        let (mut counted, mut listed) = (BTreeMap::new(), BTreeMap::<_, (BTreeSet<_>, BTreeSet<_>)>::new());
        for step in steps {
            match step {
                Step::Write { at, project, what } => {
                    let (collection, action) = action(what);
                    let key = alloc::format!("{}key", PROJECTS[project]);
                    let element = if what < 4 { what } else { what - 2 };
                    let before = dots(&cluster, at, &key, element);
                    let within = scope_of(at).contains(collections()[collection].id(), key.as_bytes());
                    let reply = cluster.write(at, alloc::vec![write(collection, &key, action)]);
                    prop_assert_eq!(matches!(reply, Reply::Written(_)), within);
                    match what {
                        _ if !within => {}
                        0 | 1 => *counted.entry(key).or_insert(0) += i128::from(what) + 1,
                        _ => {
                            let after = dots(&cluster, at, &key, element);
                            let (added, gone) = listed.entry((key, element)).or_default();
                            gone.extend(before.difference(&after));
                            added.extend(after);
                        }
                    }
                }
                Step::Meet { one, other, loses } if one != other => meet(&mut cluster, one, other, loses, rounds),
                Step::Meet { .. } => {}
                Step::Restart { at } => {
                    cluster.next += 1;
                    let number = u8::try_from(at + 1).unwrap();
                    let mut config = config(number, cluster.next.to_le_bytes()[0]).with_scope(scope_of(at));
                    // No two runs share a seed.
                    config.seed[1] = 0xff;
                    adjust(&mut config);
                    cluster.engines[at] = Engine::open(config, cluster.logs[at].clone(), cluster.now()).unwrap();
                    cluster.drain(at);
                }
            }
            for (node, scope) in (2..).zip(&scopes) {
                for (item, _) in cluster.engines[node].replica.partition(0).cells.iter() {
                    prop_assert!(scope.contains(item.collection, &item.key));
                }
            }
        }
        let mut others: Vec<_> = (1..usize::from(NODES)).collect();
        if phones_first {
            others.reverse();
        }
        for _ in 0..2 {
            for &other in &others {
                cluster.connect(0, other);
                cluster.settle();
                cluster.settle();
                let in_sync = cluster.engines[0].status().peers.iter().all(|peer| peer.in_sync);
                prop_assert!(in_sync, "with {}", other);
                disconnect(&mut cluster, 0, other);
            }
        }
        let whole = &cluster.engines[0];
        prop_assert_eq!(&whole.status().partitions, &cluster.engines[1].status().partitions);
        for (key, sum) in counted {
            let Some(Cell::Counter(counter)) = whole.peek(&item(2, &key)) else { panic!("{key} is lost") };
            prop_assert_eq!(counter.value(), sum);
        }
        for ((key, element), (added, gone)) in listed {
            let left: BTreeSet<Dot> = added.difference(&gone).copied().collect();
            prop_assert_eq!(dots(&cluster, 0, &key, element), left, "{} of {}", element, key);
        }
        for (node, scope) in (2..).zip(&scopes) {
            for collection in [lists(), collections()[2].id()] {
                let held = cluster.engines[node].scan(collection, Bytes::default());
                let part = whole.scan(collection, Bytes::default()).filter(|(key, _)| scope.contains(collection, key));
                let (held, part): (Vec<_>, Vec<_>) = (held.collect(), part.collect());
                prop_assert_eq!(held, part, "at {}", node);
            }
        }
        let is_wrong = |event: &Event| matches!(event, Event::Violation { .. } | Event::ForkedReplica { .. });
        let refused = cluster.events.iter().any(|(_, event)| is_wrong(event));
        prop_assert!(!refused);
    }
}
