//! Nodes, their logs and the links between them, all from one seed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use replication_log::Lsn;

use super::super::*;
use crate::collection::{Collection, Strategy};
use crate::engine::{Event, Outbox, Output};
use crate::merkle;
use crate::node::ClusterKey;
use crate::reconcile::bytes_of;
use crate::replica::{Action, Config, ItemKey, Staged, Write};
use crate::time::{Now, WallTime};
use crate::wire::{Message, StatesPart};

pub(super) const DOCUMENTS: usize = 0;
pub(super) const SETS: usize = 1;
pub(super) const COUNTERS: usize = 2;

pub(super) fn collections() -> [Collection; 3] {
    [
        Collection::documents("notes", Strategy::Keep),
        Collection::sets("lists"),
        Collection::counters("counts"),
    ]
}

pub(super) fn item(collection: usize, key: &str) -> ItemKey {
    ItemKey { collection: collections()[collection].id(), key: key.into() }
}

/// What the links do to messages, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// How late a message may be.
    pub(super) late_millis: u64,
}

pub(super) const STORM: Weather = Weather { lost: 15, doubled: 15, late_millis: 1_500 };

pub(super) struct Node {
    pub(super) config: Config,
    pub(super) replica: Replica,
    outbox: Outbox,
    pub(super) anti: AntiEntropy,
    pub(super) log: Vec<(Lsn, Vec<u8>)>,
    pub(super) events: Vec<Event>,
    pub(super) synced: Vec<Synced>,
}

/// A message on its way.
struct Sent {
    at: u64,
    link: LinkId,
    from: usize,
    to: usize,
    message: Message,
}

/// The nodes; node `n` has the id `n + 1`.
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    sent: Vec<Sent>,
    /// The links that are up, by their ends.
    links: BTreeMap<(usize, usize), LinkId>,
    next_link: u64,
    pub(super) weather: Weather,
    rng: ChaCha8Rng,
    pub(super) micros: u64,
    /// Every message that was sent, in short.
    pub(super) said: Vec<String>,
    /// When how many bytes of states left which node.
    pub(super) states: Vec<(u64, usize, usize)>,
    /// The trace of the session of each partition as it was seen last, at the opener.
    pub(super) traces: BTreeMap<u16, merkle::Trace>,
    /// Parts of states that never arrive.
    pub(super) swallow: fn(&StatesPart) -> bool,
}

pub(super) fn id_of(node: usize) -> NodeId {
    NodeId::from_u128(node as u128 + 1)
}

impl World {
    pub(super) fn new(nodes: usize, seed: u64, configure: impl Fn(&mut Config)) -> Self {
        let mut world = Self {
            nodes: Vec::new(),
            sent: Vec::new(),
            links: BTreeMap::new(),
            next_link: 1,
            weather: Weather::default(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            micros: 0,
            said: Vec::new(),
            states: Vec::new(),
            traces: BTreeMap::new(),
            swallow: |_| false,
        };
        for number in 0..nodes {
            let cluster = ClusterKey::from_bytes([9; 16]);
            let mut config =
                Config::new(id_of(number), cluster, world.fresh_seed()).with_collections(collections());
            config.leaf_bits = 4;
            config.timing.compare_every = Duration::from_secs(4);
            configure(&mut config);
            let node = world.start(config, Vec::new());
            world.nodes.push(node);
            world.with(number, |_, _| {});
        }
        for number in 0..nodes {
            world.layout(number, 1);
        }
        for one in 0..nodes {
            (0..one).for_each(|other| world.connect(one, other));
        }
        world
    }

    /// No two runs of a node share a seed.
    fn fresh_seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }

    fn start(&self, config: Config, log: Vec<(Lsn, Vec<u8>)>) -> Node {
        let replica = Replica::recover(config.clone(), log.clone(), self.now().wall).unwrap();
        let durable = log.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn);
        let anti = AntiEntropy::new(self.now().instant, &replica);
        let (outbox, events, synced) = (Outbox::new(durable), Vec::new(), Vec::new());
        Node { config, replica, outbox, anti, log, events, synced }
    }

    /// Every node owns every partition together with every other.
    pub(super) fn layout(&mut self, node: usize, version: u64) {
        let partitions = self.nodes[node].config.partitions;
        let others: Vec<NodeId> = (0..self.nodes.len()).filter(|n| *n != node).map(id_of).collect();
        let pairs = (0..partitions).flat_map(|p| others.iter().map(move |node| (p, *node)));
        let pairs: Vec<_> = pairs.collect();
        self.with(node, |anti, context| anti.set_pairs(version, pairs, context));
    }

    fn now(&self) -> Now {
        let wall = WallTime::from_millis(1_700_000_000_000 + self.micros / 1_000);
        Now { instant: Instant::from_micros(self.micros), wall }
    }

    pub(super) fn with<T>(
        &mut self,
        number: usize,
        f: impl FnOnce(&mut AntiEntropy, &mut Context<'_>) -> T,
    ) -> T {
        let now = self.now();
        let node = &mut self.nodes[number];
        let mut context = Context { now, replica: &mut node.replica, outbox: &mut node.outbox };
        let result = f(&mut node.anti, &mut context);
        while let Some(Staged { first, records, .. }) = node.replica.journal.take() {
            node.log.extend((first.get()..).map(Lsn::new).zip(records));
            node.outbox.release(node.replica.journal.last());
        }
        node.synced.extend(node.anti.take_synced());
        for (partition, talk) in &node.anti.sessions {
            if talk.session.initiator {
                self.traces.insert(*partition, talk.session.tree.session.trace().clone());
            }
        }
        let outputs: Vec<Output> = core::iter::from_fn(|| self.nodes[number].outbox.poll()).collect();
        for output in outputs {
            match output {
                Output::Send { link, frame } => self.send(number, link, &frame),
                Output::Event(event) => self.nodes[number].events.push(event),
                other => panic!("{other:?}"),
            }
        }
        result
    }

    fn send(&mut self, from: usize, link: LinkId, frame: &[u8]) {
        let known = self.links.iter().find(|(ends, known)| ends.0 == from && **known == link);
        let Some((&(_, to), _)) = known else { return };
        let message = wire::decode(frame, &self.nodes[from].config.limits).unwrap();
        let Message::Session(session) = &message else { panic!("{message:?}") };
        let step = alloc::format!("{:?}", session.step);
        let name = step.split([' ', '(']).next().unwrap_or_default();
        self.said.push(alloc::format!("{} -> {}: {name}", from + 1, to + 1));
        if let SessionStep::States(part) = &session.step {
            self.states.push((self.micros, from, bytes_of(part)));
            if (self.swallow)(part) {
                return;
            }
        }
        let copies = 1 + usize::from(self.rng.next_u64() % 100 < self.weather.doubled);
        for _ in 0..copies {
            if self.rng.next_u64() % 100 >= self.weather.lost {
                let late = self.rng.next_u64() % (self.weather.late_millis * 1_000 + 1);
                let at = self.micros + 1_000 + late;
                self.sent.push(Sent { at, link, from, to, message: message.clone() });
            }
        }
    }

    pub(super) fn connect(&mut self, one: usize, other: usize) {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        for (here, there) in [(one, other), (other, one)] {
            self.links.insert((here, there), link);
            self.with(here, |anti, context| anti.peer_up(id_of(there), link, context));
        }
    }

    pub(super) fn disconnect(&mut self, one: usize, other: usize) {
        for (here, there) in [(one, other), (other, one)] {
            if self.links.remove(&(here, there)).is_some() {
                self.with(here, |anti, context| anti.peer_down(id_of(there), context));
            }
        }
    }

    /// The node starts anew from so many records of its log, with no memory of sessions.
    pub(super) fn restart_from(&mut self, number: usize, records: usize) {
        let others: Vec<usize> = (0..self.nodes.len()).filter(|n| *n != number).collect();
        for other in &others {
            self.disconnect(number, *other);
        }
        let mut config = self.nodes[number].config.clone();
        config.seed = self.fresh_seed();
        let log = self.nodes[number].log[..records].to_vec();
        let (events, synced) = (self.nodes[number].events.clone(), self.nodes[number].synced.clone());
        self.nodes[number] = Node { events, synced, ..self.start(config, log) };
        self.layout(number, 1);
        for other in &others {
            self.connect(number, *other);
        }
    }

    pub(super) fn restart(&mut self, number: usize) {
        self.restart_from(number, self.nodes[number].log.len());
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, millis: u64) {
        let end = self.micros + millis * 1_000;
        while self.micros < end {
            self.micros += 10_000;
            while let Some(next) = self.next_sent() {
                let Sent { link, from, to, message, .. } = self.sent.swap_remove(next);
                if self.links.get(&(to, from)) != Some(&link) {
                    continue;
                }
                let Message::Session(session) = message else { continue };
                let heard = self.with(to, |anti, context| anti.message(id_of(from), session, context));
                heard.expect("an honest peer is never accused");
            }
            for number in 0..self.nodes.len() {
                if self.nodes[number].anti.next_timer() <= self.now().instant {
                    self.with(number, AntiEntropy::timer);
                }
            }
        }
    }

    /// The first message that has arrived by now.
    fn next_sent(&self) -> Option<usize> {
        let arrived = self.sent.iter().enumerate().filter(|(_, sent)| sent.at <= self.micros);
        arrived.min_by_key(|(_, sent)| sent.at).map(|(at, _)| at)
    }

    pub(super) fn write(&mut self, node: usize, collection: usize, key: &str, action: Action) {
        self.write_all(node, Vec::from([(collection, key.to_string(), action)]));
    }

    pub(super) fn write_all(&mut self, node: usize, writes: Vec<(usize, String, Action)>) {
        let write = |(collection, key, action): (usize, String, Action)| Write {
            collection: collections()[collection].id(),
            key: Vec::from(key).into(),
            action,
        };
        let writes: Vec<Write> = writes.into_iter().map(write).collect();
        let written = self.with(node, |_, context| context.replica.write(&writes, context.now.wall));
        written.expect("nothing is wrong with the writes of these tests");
    }

    /// One node joins the state of a key at another, as a mutation of it brings it: without anything else.
    pub(super) fn carry(&mut self, from: usize, to: usize, item: &ItemKey) {
        let replica = &self.nodes[from].replica;
        let number = replica.partition_of(item.collection, &item.key);
        let Some(held) = replica.partition(number).cells.get(item) else { return };
        let (dots, state) = (held.cell.dots(), held.cell.encode(&item.key));
        let standing = wire::Standing { context: dots, ..replica.partition(number).standing_by_dots() };
        let items = Vec::from([wire::ItemState { key: item.key.clone(), state, more: false, old: false }]);
        let part = StatesPart { index: 0, collection: item.collection, items, ahead: Vec::new() };
        self.with(to, |_, context| {
            crate::reconcile::apply(context, |replica, wall| {
                replica.join_by_dots(number, &part, &standing, wall)
            })
        })
        .unwrap();
    }

    /// Whether all nodes hold the same and have seen the same.
    pub(super) fn agrees(&self) -> bool {
        let shown = |node: &Node| -> Vec<_> {
            let partitions = node.replica.partitions.iter();
            partitions.map(|partition| (partition.cells.root(), partition.context.clone())).collect()
        };
        self.nodes.iter().all(|node| shown(node) == shown(&self.nodes[0]))
    }

    /// In calm weather everything is brought together.
    pub(super) fn settle(&mut self) {
        self.weather = Weather::default();
        for _ in 0..60 {
            self.run(2_000);
            if self.agrees() && self.nodes.iter().all(|node| node.anti.sessions() == 0) {
                return;
            }
        }
        panic!("the nodes do not agree after two minutes of calm");
    }

    /// The elements of a set, as a node shows them.
    pub(super) fn elements(&self, node: usize, key: &str) -> BTreeSet<String> {
        let item = item(SETS, key);
        let replica = &self.nodes[node].replica;
        let partition = replica.partition(replica.partition_of(item.collection, &item.key));
        let Some(crate::cell::Cell::Set(elements)) = partition.cells.get(&item).map(|held| &held.cell) else {
            return BTreeSet::new();
        };
        elements.iter().map(|element| String::from_utf8_lossy(element).into_owned()).collect()
    }

    /// Every node is what its log says.
    pub(super) fn assert_logs_tell_the_truth(&self) {
        for node in &self.nodes {
            let replayed = Replica::recover(node.config.clone(), node.log.clone(), self.now().wall).unwrap();
            for (now, then) in node.replica.partitions.iter().zip(&replayed.partitions) {
                assert_eq!(then.cells.root(), now.cells.root());
                assert_eq!(then.context, now.context);
                assert_eq!(then.heads(), now.heads());
            }
        }
    }
}
