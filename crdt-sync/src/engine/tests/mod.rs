//! Clusters of engines in one thread: frames arrive at once and in order, the disk is never slow.

mod adversity;
mod agreement;
mod authority;
mod checkpoints;
mod conflicts;
mod fenced;
mod figures;
mod fork_words;
mod forked_sessions;
mod forks;
mod forks_random;
mod members;
mod rejoin;
mod scopes;
mod scopes_random;
mod scopes_removals;
mod sessions;
mod stability;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use conflict_store::VersionId;
use crdt_core::ReplicaId;
use replication_log::Lsn;

use super::*;
use crate::collection::{Collection, Strategy};
use crate::node::ClusterKey;
use crate::replica::{Action, Write};
use crate::scope::Scope;
use crate::time::WallTime;
use crate::wire::Farewell;

/// Engines, their logs and the wires between them.
struct Cluster {
    engines: Vec<Engine>,
    logs: Vec<Vec<(Lsn, Vec<u8>)>>,
    links: BTreeMap<LinkId, (usize, LinkId, usize)>,
    frames: VecDeque<(LinkId, Vec<u8>)>,
    replies: BTreeMap<u64, Reply>,
    events: Vec<(usize, Event)>,
    closed: Vec<Farewell>,
    micros: u64,
    next: u64,
    sent_bytes: usize,
}

fn collections() -> [Collection; 4] {
    [
        Collection::documents("notes", Strategy::Keep),
        Collection::sets("lists"),
        Collection::counters("counts"),
        Collection::registers("titles"),
    ]
}

fn config(node: u8, incarnation: u8) -> Config {
    let mut seed = [node; 32];
    seed[0] = incarnation;
    let cluster = ClusterKey::from_bytes([9; 16]);
    let mut config =
        Config::new(NodeId::from_u128(node.into()), cluster, seed).with_collections(collections());
    config.leaf_bits = 8;
    config
}

fn item(collection: usize, key: &str) -> ItemKey {
    ItemKey { collection: collections()[collection].id(), key: key.into() }
}

fn write(collection: usize, key: &str, action: Action) -> Write {
    Write { collection: collections()[collection].id(), key: key.into(), action }
}

impl Cluster {
    fn new(nodes: u8) -> Self {
        let mut cluster = Self {
            engines: Vec::new(),
            logs: Vec::new(),
            links: BTreeMap::new(),
            frames: VecDeque::new(),
            replies: BTreeMap::new(),
            events: Vec::new(),
            closed: Vec::new(),
            micros: 0,
            next: 0,
            sent_bytes: 0,
        };
        for node in 0..nodes {
            cluster.logs.push(Vec::new());
            let engine =
                Engine::open(config(node + 1, 0), Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
            cluster.engines.push(engine);
            cluster.drain(node.into());
        }
        cluster
    }

    fn now(&self) -> Now {
        let wall = WallTime::from_millis(1_700_000_000_000 + self.micros / 1_000);
        Now { instant: Instant::from_micros(self.micros), wall }
    }

    fn handle(&mut self, node: usize, input: Input) {
        let now = self.now();
        self.engines[node].handle(now, input);
        self.drain(node);
    }

    fn drain(&mut self, node: usize) {
        let mut durable = None;
        while let Some(output) = self.engines[node].poll_output() {
            match output {
                Output::Append { first, records } => {
                    for (lsn, record) in (first.get()..).map(Lsn::new).zip(records) {
                        self.logs[node].push((lsn, record));
                        durable = Some(lsn);
                    }
                }
                Output::Send { link, frame } => {
                    self.sent_bytes += frame.len();
                    self.frames.push_back((link, frame));
                }
                Output::Reply { id, reply, .. } => {
                    self.replies.insert(id.0, reply);
                }
                Output::Close { link, reason } => {
                    self.closed.push(reason);
                    if let Some((other, far, _)) = self.links.remove(&link) {
                        self.links.remove(&far);
                        self.deliver_last_words(link, other, far);
                        self.handle(other, Input::LinkDown { link: far });
                    }
                }
                Output::Event(event) => self.events.push((node, event)),
                Output::SetTimer { .. } => {}
                Output::Log(_) | Output::Failover(_) => unreachable!("every node has its own log"),
            }
        }
        if let Some(lsn) = durable {
            self.handle(node, Input::Durable { lsn });
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        let (near, far) = (LinkId(self.next), LinkId(self.next + 1));
        self.next += 2;
        self.links.insert(near, (b, far, a));
        self.links.insert(far, (a, near, b));
        self.handle(a, Input::LinkUp { link: near, dialed: true });
        self.handle(b, Input::LinkUp { link: far, dialed: false });
    }

    fn deliver(&mut self) {
        while let Some((link, bytes)) = self.frames.pop_front() {
            if let Some(&(node, link, _)) = self.links.get(&link) {
                self.handle(node, Input::Frame { link, bytes });
            }
        }
    }

    /// What was sent on a link before it was closed arrives.
    fn deliver_last_words(&mut self, link: LinkId, other: usize, far: LinkId) {
        let (last, rest) = core::mem::take(&mut self.frames).into_iter().partition(|(on, _)| *on == link);
        self.frames = rest;
        let last: VecDeque<_> = last;
        for (_, bytes) in last {
            self.handle(other, Input::Frame { link: far, bytes });
        }
    }

    /// Lets half a second pass in heartbeats, with everything delivered in between.
    fn settle(&mut self) {
        self.deliver();
        for _ in 0..10 {
            self.micros += 300_000;
            for node in 0..self.engines.len() {
                self.handle(node, Input::Timer);
            }
            self.deliver();
        }
    }

    fn write(&mut self, node: usize, writes: Vec<Write>) -> Reply {
        self.next += 1;
        let id = RequestId(self.next);
        self.handle(node, Input::Request { id, request: Request::Write(writes) });
        self.replies.remove(&id.0).expect("the disk is never slow")
    }

    fn peek(&self, node: usize, item: &ItemKey) -> Option<&Cell> {
        self.engines[node].peek(item)
    }

    fn assert_agreement(&self) {
        let first = &self.engines[0].status().partitions;
        for engine in &self.engines[1..] {
            assert_eq!(&engine.status().partitions, first);
        }
        for collection in collections() {
            let cells = |engine: &Engine| -> Vec<_> {
                engine.scan(collection.id(), Bytes::default()).map(|(k, c)| (k.clone(), c.clone())).collect()
            };
            for engine in &self.engines[1..] {
                assert_eq!(cells(engine), cells(&self.engines[0]));
            }
        }
    }

    fn restart(&mut self, node: usize) {
        let gone: Vec<LinkId> =
            self.links.iter().filter(|(_, end)| end.2 == node).map(|(link, _)| *link).collect();
        for link in gone {
            let Some((other, far, _)) = self.links.remove(&link) else {
                continue;
            };
            self.links.remove(&far);
            self.handle(other, Input::LinkDown { link: far });
        }
        let records = self.logs[node].clone();
        let number = u8::try_from(node + 1).unwrap();
        // No two runs share a seed, or they would draw the same identities.
        self.next += 1;
        let config = config(number, self.next.to_le_bytes()[0]);
        self.engines[node] = Engine::open(config, records, self.now()).unwrap();
        self.drain(node);
    }

    fn finished_sessions(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::SessionFinished { .. })).count()
    }
}

fn insert_many(from: u32, to: u32, body: &str) -> Vec<Write> {
    (from..to).map(|n| write(0, &alloc::format!("key-{n:05}"), Action::Insert(body.into()))).collect()
}

fn version_of(reply: &Reply) -> VersionId {
    match reply {
        Reply::Written(written) => written.versions[0],
        other => panic!("not written: {other:?}"),
    }
}
