//! Clusters with one leader in one thread: engines, real logs in memory, and wires that deliver in order unless told
//! otherwise.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crdt_sync::single_leader::host::{Photographs, carry_out_with};
use crdt_sync::single_leader::{CommitReply, Grant, LeadReply, Leadership, SingleLeaderConfig};
use crdt_sync::time::{Instant, Now, WallTime};
use crdt_sync::{
    Action, Cell, CheckpointPiece, ClusterKey, Collection, Config, Engine, Event, FailoverTask, Input,
    ItemKey, LinkId, NodeId, Output, Replication, Reply, Request, RequestId, Write,
};
use replication_log::ship::AckPolicy;
use replication_log::ship::commit::CommitOptions;
use replication_log::snapshot::{SnapshotIdentity, Snapshots};
use replication_log::storage::MemoryStorage;
use replication_log::{BatchCopy, Epoch, Log, LogOptions, Position};

pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;
pub(crate) const C: usize = 2;

pub(crate) struct Node {
    pub(crate) engine: Engine,
    /// While it is up.
    pub(crate) log: Option<Log<MemoryStorage>>,
    pub(crate) storage: MemoryStorage,
    pub(crate) photographs: Photographs<MemoryStorage>,
    pub(crate) snapshots: Snapshots<MemoryStorage>,
    /// Where those are.
    pub(crate) shelf: MemoryStorage,
    /// Whether another snapshot should be made, though there may be nothing new to put into it.
    pub(crate) wants_snapshot: bool,
    pub(crate) config: SingleLeaderConfig,
    /// Whether its disk makes nothing durable for now.
    pub(crate) disk_stalls: bool,
    pub(crate) cut_off: Vec<BatchCopy>,
}

pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: BTreeMap<LinkId, (usize, LinkId, usize)>,
    pub(crate) frames: VecDeque<(LinkId, Vec<u8>)>,
    pub(crate) replies: BTreeMap<u64, Reply>,
    /// When it is too late for each.
    pub(crate) ends: BTreeMap<u64, Option<Instant>>,
    pub(crate) events: Vec<(usize, Event)>,
    /// What nodes want done so that they may take over.
    pub(crate) tasks: Vec<(usize, FailoverTask)>,
    pub(crate) micros: u64,
    pub(crate) next: u64,
}

pub(crate) fn id(node: usize) -> NodeId {
    NodeId::from_u128(node as u128 + 1)
}

/// The first epoch of a grant.
pub(crate) fn epoch_of(grant: u64) -> Epoch {
    Grant::new(grant).unwrap().epoch()
}

pub(crate) fn counters() -> Collection {
    Collection::counters("counts")
}

pub(crate) fn names() -> Collection {
    Collection::registers("names")
}

pub(crate) fn collections() -> [Collection; 2] {
    [counters(), names()]
}

pub(crate) fn item(key: &str) -> ItemKey {
    ItemKey { collection: counters().id(), key: key.into() }
}

pub(crate) fn add(key: &str, amount: u64) -> Vec<Write> {
    vec![Write { collection: counters().id(), key: key.into(), action: Action::Increment(amount) }]
}

pub(crate) fn settings(policy: &str) -> SingleLeaderConfig {
    let policy = policy.parse::<AckPolicy<String>>().unwrap();
    let policy = policy.with_names(|name| match name.as_str() {
        "b" => Some(id(B)),
        "c" => Some(id(C)),
        _ => None,
    });
    SingleLeaderConfig::new(id(A), [id(B), id(C)]).with_commits(CommitOptions::new(policy.unwrap()))
}

impl Cluster {
    pub(crate) fn new(configs: impl IntoIterator<Item = SingleLeaderConfig>) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            links: BTreeMap::new(),
            frames: VecDeque::new(),
            replies: BTreeMap::new(),
            ends: BTreeMap::new(),
            events: Vec::new(),
            tasks: Vec::new(),
            micros: 0,
            next: 0,
        };
        for config in configs {
            let at = cluster.nodes.len();
            let storage = MemoryStorage::new();
            let shelf = MemoryStorage::new();
            let snapshots = Snapshots::open(shelf.clone()).unwrap().chunk_bytes(256);
            let (engine, log) = cluster.open(at, &config, &storage, (&snapshots, None));
            cluster.nodes.push(Node {
                engine,
                log: Some(log),
                storage,
                photographs: Photographs::new(snapshots.clone()),
                snapshots,
                shelf,
                wants_snapshot: false,
                config,
                disk_stalls: false,
                cut_off: Vec::new(),
            });
            cluster.handle(at, Input::Timer);
        }
        cluster
    }

    /// Three nodes, all connected, of which the first leads.
    pub(crate) fn of_three(config: &SingleLeaderConfig) -> Self {
        let mut cluster = Self::new([config.clone(), config.clone(), config.clone()]);
        for (one, other) in [(A, B), (A, C), (B, C)] {
            cluster.connect(one, other);
        }
        cluster.settle();
        cluster
    }

    pub(crate) fn open(
        &mut self,
        at: usize,
        settings: &SingleLeaderConfig,
        storage: &MemoryStorage,
        (snapshots, installs): (&Snapshots<MemoryStorage>, Option<SnapshotIdentity>),
    ) -> (Engine, Log<MemoryStorage>) {
        self.next += 1;
        let mut seed = [u8::try_from(at).unwrap(); 32];
        seed[..8].copy_from_slice(&self.next.to_le_bytes());
        let mut config =
            Config::new(id(at), ClusterKey::from_bytes([9; 16]), seed).with_collections(collections());
        config.leaf_bits = 8;
        config.replication = Replication::SingleLeader(settings.clone().into());
        let id = installs.map_or(at as u64 + 1, |identity| identity.log_id);
        let starts_after = installs.map_or(Position::ORIGIN, |identity| identity.position);
        let options = LogOptions::new(id).segment_bytes(2048).preallocate_bytes(0).starts_after(starts_after);
        let (log, _) = Log::open(storage.clone(), options).unwrap();
        let records: Vec<_> = log.read_from(log.oldest()).unwrap().into_iter().map(Result::unwrap).collect();
        let records = records.into_iter().map(|record| (record.lsn, record.payload));
        let Some(newest) = snapshots.newest().unwrap() else {
            return (Engine::open(config, records, self.now()).unwrap(), log);
        };
        let mut reader = snapshots.read(newest).unwrap();
        reader.usable_with(&log).unwrap();
        let mut state = Vec::new();
        while let Some(chunk) = reader.next_chunk().unwrap() {
            state.push(chunk.to_vec());
        }
        (Engine::open_from(config, state, records, self.now()).unwrap(), log)
    }

    pub(crate) fn now(&self) -> Now {
        let wall = WallTime::from_millis(1_700_000_000_000 + self.micros / 1_000);
        Now { instant: Instant::from_micros(self.micros), wall }
    }

    pub(crate) fn in_time(&self, span: Duration) -> Instant {
        self.now().instant + span
    }

    pub(crate) fn handle(&mut self, node: usize, input: Input) {
        let now = self.now();
        self.nodes[node].engine.handle(now, input);
        self.drain(node);
    }

    pub(crate) fn drain(&mut self, at: usize) {
        let mut inputs = VecDeque::new();
        loop {
            let node = &mut self.nodes[at];
            while let Some(output) = node.engine.poll_output() {
                match output {
                    Output::Log(task) => {
                        let (log, photographs) = (node.log.as_mut().unwrap(), &mut node.photographs);
                        let carried = carry_out_with(log, Some(photographs), task).unwrap();
                        inputs.extend(carried.news.map(Input::Log));
                        node.cut_off.extend(carried.cut_off);
                        node.wants_snapshot |= carried.wants_snapshot;
                        if let Some(identity) = carried.installs {
                            return self.install(at, identity);
                        }
                        if carried.reopens {
                            self.nodes[at].log = None;
                            return self.open_anew(at, None);
                        }
                    }
                    Output::Send { link, frame } => self.frames.push_back((link, frame)),
                    Output::Reply { id, reply, not_after } => {
                        self.ends.insert(id.0, not_after);
                        self.replies.insert(id.0, reply);
                    }
                    Output::Close { link, .. } => {
                        if let Some((_, far, _)) = self.links.remove(&link) {
                            self.links.remove(&far);
                        }
                    }
                    Output::Event(event) => self.events.push((at, event)),
                    Output::SetTimer { .. } => {}
                    Output::Failover(task) => self.tasks.push((at, task)),
                    other => panic!("{other:?}"),
                }
            }
            let log = node.log.as_mut().unwrap();
            if !node.disk_stalls && log.durable() < log.last() {
                let lsn = log.sync().unwrap();
                inputs.push_back(Input::Durable { lsn });
            }
            let Some(input) = inputs.pop_front() else { return };
            let now = self.now();
            self.nodes[at].engine.handle(now, input);
        }
    }

    pub(crate) fn connect(&mut self, one: usize, other: usize) {
        let (near, far) = (LinkId(self.next), LinkId(self.next + 1));
        self.next += 2;
        self.links.insert(near, (other, far, one));
        self.links.insert(far, (one, near, other));
        self.handle(one, Input::LinkUp { link: near, dialed: true });
        self.handle(other, Input::LinkUp { link: far, dialed: false });
    }

    pub(crate) fn disconnect(&mut self, one: usize, other: usize) {
        let between = self.links.iter().find(|(_, end)| (end.2, end.0) == (one, other));
        let Some((near, far)) = between.map(|(near, end)| (*near, end.1)) else { return };
        for (node, link) in [(one, near), (other, far)] {
            self.links.remove(&link);
            self.handle(node, Input::LinkDown { link });
        }
    }

    pub(crate) fn deliver(&mut self) {
        while let Some((link, bytes)) = self.frames.pop_front() {
            if let Some(&(node, link, _)) = self.links.get(&link) {
                self.handle(node, Input::Frame { link, bytes });
            }
        }
    }

    /// Delivers what is on its way, but nothing to this node: that takes its time.
    pub(crate) fn deliver_to_all_but(&mut self, slow: usize) {
        let mut held = VecDeque::new();
        while let Some((link, bytes)) = self.frames.pop_front() {
            match self.links.get(&link) {
                Some(&(node, ..)) if node == slow => held.push_back((link, bytes)),
                Some(&(node, link, _)) => self.handle(node, Input::Frame { link, bytes }),
                None => {}
            }
        }
        self.frames = held;
    }

    /// Lets time pass in heartbeats, with everything delivered in between.
    pub(crate) fn pass(&mut self, span: Duration) {
        let until = self.micros + u64::try_from(span.as_micros()).unwrap();
        self.deliver();
        while self.micros < until {
            self.micros = until.min(self.micros + 250_000);
            for node in 0..self.nodes.len() {
                self.handle(node, Input::Timer);
            }
            self.deliver();
        }
    }

    pub(crate) fn settle(&mut self) {
        self.pass(Duration::from_secs(5));
    }

    /// Asks without waiting for the answer.
    pub(crate) fn ask(&mut self, node: usize, request: Request) -> u64 {
        self.next += 1;
        let id = RequestId(self.next);
        self.handle(node, Input::Request { id, request });
        id.0
    }

    pub(crate) fn answer(&mut self, asked: u64) -> Option<Reply> {
        self.replies.remove(&asked)
    }

    pub(crate) fn write(&mut self, node: usize, writes: Vec<Write>) -> CommitReply {
        let asked = self.ask(node, Request::Write(writes));
        self.deliver();
        match self.answer(asked).expect("everybody is there") {
            Reply::Commit(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn count(&self, node: usize, key: &str) -> i128 {
        match self.nodes[node].engine.peek(&item(key)) {
            Some(Cell::Counter(counter)) => counter.value(),
            _ => 0,
        }
    }

    pub(crate) fn leadership(&self, node: usize) -> Leadership {
        self.nodes[node].engine.status().leadership.unwrap()
    }

    /// A node has a snapshot of its leader's and begins behind it. Its connections stay.
    pub(crate) fn install(&mut self, at: usize, identity: SnapshotIdentity) {
        let promised = self.nodes[at].log.as_ref().unwrap().epoch();
        self.nodes[at].storage = MemoryStorage::new();
        self.open_anew(at, Some(identity));
        self.nodes[at].log.as_mut().unwrap().promise_epoch(promised).unwrap();
        self.handle(at, Input::Timer);
    }

    /// Another engine takes over a node's log and connections.
    fn open_anew(&mut self, at: usize, installs: Option<SnapshotIdentity>) {
        let (settings, snapshots) = (self.nodes[at].config.clone(), self.nodes[at].snapshots.clone());
        let storage = self.nodes[at].storage.clone();
        let (engine, log) = self.open(at, &settings, &storage, (&snapshots, installs));
        (self.nodes[at].engine, self.nodes[at].log) = (engine, Some(log));
        let links: Vec<(LinkId, usize, LinkId)> = self
            .links
            .iter()
            .filter(|(_, end)| end.2 == at)
            .map(|(link, end)| (*link, end.0, end.1))
            .collect();
        self.handle(at, Input::Timer);
        for (near, other, far) in links {
            self.links.remove(&near);
            self.links.remove(&far);
            self.handle(other, Input::LinkDown { link: far });
            self.connect(at, other);
        }
    }

    /// A node writes its state down and drops the log before it.
    pub(crate) fn photograph(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let (lsn, log) = (node.engine.begin_checkpoint(), node.log.as_mut().unwrap());
        let mut writer = node.snapshots.begin(log, lsn).unwrap();
        while let CheckpointPiece::Bytes(piece) = node.engine.next_piece(1 << 10).unwrap() {
            writer.write(&piece).unwrap();
        }
        writer.finish().unwrap();
        node.photographs.renewed(lsn);
        log.truncate_before(lsn.next().unwrap()).unwrap();
    }

    /// The power fails: what is not durable is gone, and the node opens its disk again.
    pub(crate) fn restart(&mut self, at: usize) {
        let gone: Vec<LinkId> =
            self.links.iter().filter(|(_, end)| end.2 == at).map(|(link, _)| *link).collect();
        for link in gone {
            let Some((other, far, _)) = self.links.remove(&link) else { continue };
            self.links.remove(&far);
            self.handle(other, Input::LinkDown { link: far });
        }
        self.nodes[at].log = None;
        let (settings, storage) = (self.nodes[at].config.clone(), self.nodes[at].storage.clone());
        let snapshots = self.nodes[at].snapshots.clone();
        let (engine, log) = self.open(at, &settings, &storage, (&snapshots, None));
        (self.nodes[at].engine, self.nodes[at].log) = (engine, Some(log));
        self.handle(at, Input::Timer);
    }

    pub(crate) fn logs_are_equal(&self) -> bool {
        let end = |node: &Node| node.log.as_ref().unwrap().last_position();
        self.nodes.iter().all(|node| end(node) == end(&self.nodes[0]))
    }

    /// Has a node lead.
    pub(crate) fn lead(&mut self, node: usize, grant: u64) -> LeadReply {
        let asked = self.ask(node, Request::Lead { grant: Grant::new(grant).unwrap(), until: None });
        self.deliver();
        self.lead_reply(asked).expect("it need not wait")
    }

    pub(crate) fn lead_reply(&mut self, asked: u64) -> Option<LeadReply> {
        match self.answer(asked)? {
            Reply::Lead(reply) => Some(reply),
            other => panic!("{other:?}"),
        }
    }

    /// The node can reach nobody, and nobody it.
    pub(crate) fn isolate(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            self.disconnect(node, other);
            self.disconnect(other, node);
        }
    }
}
