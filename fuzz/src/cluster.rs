//! Engines in one thread: the disk is never slow, and frames arrive in order unless a peer lies.

use std::collections::{BTreeMap, VecDeque};

use crdt_sync::time::{Instant, Now, WallTime};
use crdt_sync::{
    Action, Authorization, Authorize, CheckpointPiece, ClusterKey, Collection, CollectionId, Config, Engine,
    Event, Input, ItemKey, LinkId, NodeId, Op, Output, Reply, Request, RequestId, Strategy, Write,
};
use replication_log::Lsn;

use crate::tamper::Tampering;

/// A running cluster.
pub(crate) struct Cluster<'a> {
    engines: Vec<Engine>,
    logs: Vec<Vec<(Lsn, Vec<u8>)>>,
    wires: BTreeMap<LinkId, Wire>,
    in_flight: VecDeque<(LinkId, Vec<u8>)>,
    last_reply: Option<Reply>,
    /// Links on which an engine found fault with what its peer said.
    pub(crate) faults: Vec<LinkId>,
    tampering: Tampering<'a>,
    micros: u64,
    next_link: u64,
}

/// A peer may write and pass on anything, but nobody is retired on its word: that would rightly end everything.
struct Wary;

impl Authorize for Wary {
    fn authorize(&self, _: NodeId, _: CollectionId, _: Op<'_>) -> bool {
        true
    }

    fn believes_retired(&self, _: NodeId, _: NodeId) -> bool {
        false
    }
}

/// Where a frame goes that is sent on a link.
struct Wire {
    from: usize,
    to: usize,
    arrives_on: LinkId,
    /// How many frames a lying sender has sent on it; `None` for an honest one.
    lies: Option<usize>,
}

pub(crate) fn collections() -> [Collection; 4] {
    [
        Collection::documents("notes", Strategy::Keep),
        Collection::sets("lists"),
        Collection::counters("counts"),
        Collection::registers("titles"),
    ]
}

pub(crate) fn write(collection: usize, key: &str, action: Action) -> Write {
    Write { collection: collections()[collection].id(), key: key.into(), action }
}

fn config(node: usize) -> Config {
    let number = u8::try_from(node + 1).expect("there are few nodes");
    let cluster = ClusterKey::from_bytes([9; 16]);
    let mut config = Config::new(NodeId::from_u128(number.into()), cluster, [number; 32]);
    config.collections.extend(collections());
    config.authorization = Authorization::by(Wary);
    config.leaf_bits = 4;
    config.timing.catch_up_entries = 8;
    config.limits.part_size = 128;
    config
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(nodes: usize, tampering: Tampering<'a>) -> Self {
        let mut cluster = Self {
            engines: Vec::new(),
            logs: vec![Vec::new(); nodes],
            wires: BTreeMap::new(),
            in_flight: VecDeque::new(),
            last_reply: None,
            faults: Vec::new(),
            tampering,
            micros: 0,
            next_link: 0,
        };
        for node in 0..nodes {
            let engine = Engine::open(config(node), no_records(), cluster.now()).expect("an empty log opens");
            cluster.engines.push(engine);
            cluster.carry_out(node);
        }
        cluster
    }

    /// Connects two nodes; what `liar` says is tampered with. Returns the links, as `a` and as `b` number them.
    pub(crate) fn connect(&mut self, a: usize, b: usize, liar: Option<usize>) -> [LinkId; 2] {
        let links = [LinkId(self.next_link), LinkId(self.next_link + 1)];
        self.next_link += 2;
        for (link, arrives_on, from, to) in [(links[0], links[1], a, b), (links[1], links[0], b, a)] {
            let lies = (liar == Some(from)).then_some(0);
            self.wires.insert(link, Wire { from, to, arrives_on, lies });
        }
        let [link, far] = links;
        self.handle(a, Input::LinkUp { link, dialed: true });
        self.handle(b, Input::LinkUp { link: far, dialed: false });
        links
    }

    /// Cuts a connection, as both ends notice.
    pub(crate) fn disconnect(&mut self, links: [LinkId; 2]) {
        for link in links {
            if let Some(wire) = self.wires.remove(&link) {
                self.handle(wire.from, Input::LinkDown { link });
            }
        }
    }

    /// Lets time pass in heartbeats, with everything delivered in between.
    pub(crate) fn settle(&mut self, heartbeats: u32) {
        self.deliver();
        for _ in 0..heartbeats {
            self.micros += 300_000;
            for node in 0..self.engines.len() {
                self.handle(node, Input::Timer);
            }
            self.deliver();
        }
    }

    pub(crate) fn write(&mut self, node: usize, writes: Vec<Write>) -> Option<Reply> {
        self.last_reply = None;
        let request = Request::Write(writes);
        self.handle(node, Input::Request { id: RequestId(0), request });
        self.last_reply.take()
    }

    pub(crate) fn engine(&self, node: usize) -> &Engine {
        &self.engines[node]
    }

    /// Whether a node holds anything under a key.
    pub(crate) fn holds(&self, node: usize, collection: usize, key: &str) -> bool {
        let collection = collections()[collection].id();
        let item = ItemKey { collection, key: key.into() };
        self.engines[node].peek(&item).is_some()
    }

    /// The node as it would be after a restart.
    pub(crate) fn restarted(&self, node: usize) -> Engine {
        let records = self.logs[node].iter().map(|(lsn, record)| (*lsn, record));
        Engine::open(config(node), records, self.now()).expect("a node can read what it wrote")
    }

    /// A node opened from a checkpoint alone, if that is one.
    pub(crate) fn opened_from(&self, node: usize, checkpoint: &[u8]) -> Option<Engine> {
        Engine::open_from(config(node), [checkpoint], no_records(), self.now()).ok()
    }

    fn now(&self) -> Now {
        Now {
            instant: Instant::from_micros(self.micros),
            wall: WallTime::from_millis(1_700_000_000_000 + self.micros / 1_000),
        }
    }

    fn handle(&mut self, node: usize, input: Input) {
        let now = self.now();
        self.engines[node].handle(now, input);
        self.carry_out(node);
    }

    fn carry_out(&mut self, node: usize) {
        let mut durable = None;
        while let Some(output) = self.engines[node].poll_output() {
            match output {
                Output::Append { first, records } => {
                    for (lsn, record) in (first.get()..).map(Lsn::new).zip(records) {
                        self.logs[node].push((lsn, record));
                        durable = Some(lsn);
                    }
                }
                Output::Send { link, frame } => self.in_flight.push_back((link, frame)),
                Output::Reply { reply, .. } => self.last_reply = Some(reply),
                Output::Close { link, .. } => {
                    if let Some(wire) = self.wires.remove(&link) {
                        self.wires.remove(&wire.arrives_on);
                        let link = wire.arrives_on;
                        self.handle(wire.to, Input::LinkDown { link });
                    }
                }
                Output::Event(Event::Violation { link, .. }) => self.faults.push(link),
                _ => {}
            }
        }
        if let Some(lsn) = durable {
            self.handle(node, Input::Durable { lsn });
        }
    }

    fn deliver(&mut self) {
        while let Some((link, mut bytes)) = self.in_flight.pop_front() {
            let Some(wire) = self.wires.get_mut(&link) else {
                continue;
            };
            if let Some(number) = &mut wire.lies {
                self.tampering.apply(*number, &mut bytes);
                *number += 1;
            }
            let (node, link) = (wire.to, wire.arrives_on);
            self.handle(node, Input::Frame { link, bytes });
        }
    }
}

/// A checkpoint of an engine whose log is durable.
pub(crate) fn checkpoint(engine: &mut Engine) -> Vec<u8> {
    engine.begin_checkpoint();
    let mut checkpoint = Vec::new();
    while let Ok(CheckpointPiece::Bytes(piece)) = engine.next_piece(1 << 10) {
        checkpoint.extend(piece);
    }
    checkpoint
}

fn no_records() -> [(Lsn, Vec<u8>); 0] {
    []
}
