//! A cluster of five nodes in one thread: A to E, their disks and the wires between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crdt_sync::leaderless::coordinate::{Fallbacks, ReadOptions, WriteOptions};
use crdt_sync::leaderless::{LeaderlessConfig, QuorumReply, RingReply};
use crdt_sync::placement::{Change, Layout, Member, Phase, Shape};
use crdt_sync::time::{Instant, Now, WallTime};
use crdt_sync::wire::{self, Message};
use crdt_sync::{
    Action, Cell, ClusterKey, Collection, Config, Engine, Event, Input, ItemKey, Limits, LinkId, NodeId,
    Output, Replication, Reply, Request, RequestId, Strategy, Write,
};
use replication_log::Lsn;

pub(crate) struct Cluster {
    nodes: Vec<Node>,
    links: BTreeMap<LinkId, End>,
    frames: VecDeque<(LinkId, Vec<u8>)>,
    /// Pairs between which nothing passes.
    cuts: BTreeSet<(usize, usize)>,
    pub(crate) events: Vec<(usize, Event)>,
    replies: BTreeMap<u64, Reply>,
    /// How often each request was answered.
    answers: BTreeMap<u64, usize>,
    micros: u64,
    next: u64,
    /// Messages that were handed to a wire.
    pub(crate) messages: usize,
    /// The bytes of those.
    pub(crate) bytes: usize,
    /// What is lost of what one node says to another.
    losses: Option<Losses>,
    configure: fn(&mut Config),
}

type Losses = Box<dyn Fn(usize, usize, &Message) -> bool>;

struct Node {
    /// None while it is down.
    engine: Option<Engine>,
    log: Vec<(Lsn, Vec<u8>)>,
    /// How often its disk was synced.
    syncs: usize,
    starts: u8,
    founded: Layout,
}

/// Where a link leads.
#[derive(Clone, Copy)]
struct End {
    from: usize,
    to: usize,
    far: LinkId,
}

pub(crate) fn titles() -> Collection {
    Collection::registers("titles")
}

pub(crate) fn lists() -> Collection {
    Collection::sets("lists")
}

pub(crate) fn counts() -> Collection {
    Collection::counters("counts")
}

pub(crate) fn notes() -> Collection {
    Collection::documents("notes", Strategy::Keep)
}

pub(crate) fn id_of(node: usize) -> NodeId {
    NodeId::from_u128(node as u128 + 1)
}

impl Cluster {
    /// Nodes that all know and see each other, with three replicas of everything.
    pub(crate) fn of(nodes: usize) -> Self {
        Self::with(nodes, |_| {})
    }

    pub(crate) fn with(nodes: usize, configure: fn(&mut Config)) -> Self {
        let shape = Shape { partitions: 16, replicas: 3, write_quorum: 2 };
        let members = (0..nodes).map(|node| Member::new(id_of(node), format!("rack {node}"))).collect();
        let layout = Layout::found(members, shape).unwrap();
        let mut cluster = Self {
            nodes: Vec::new(),
            links: BTreeMap::new(),
            frames: VecDeque::new(),
            cuts: BTreeSet::new(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            answers: BTreeMap::new(),
            micros: 0,
            next: 0,
            messages: 0,
            bytes: 0,
            losses: None,
            configure,
        };
        (0..nodes).for_each(|_| cluster.add(layout.clone()));
        cluster
    }

    /// A node that nobody knows yet.
    pub(crate) fn add_newcomer(&mut self) -> usize {
        self.add(Layout::default());
        self.nodes.len() - 1
    }

    fn add(&mut self, founded: Layout) {
        self.nodes.push(Node { engine: None, log: Vec::new(), syncs: 0, starts: 0, founded });
        self.start(self.nodes.len() - 1);
    }

    /// Opens a node from what its disk holds, and connects it to all others.
    pub(crate) fn start(&mut self, node: usize) {
        let now = self.now();
        let at = &mut self.nodes[node];
        at.starts += 1;
        let mut seed = [u8::try_from(node + 1).unwrap(); 32];
        seed[0] = at.starts;
        let mut config = Config::new(id_of(node), ClusterKey::from_bytes([9; 16]), seed).with_collections([
            titles(),
            lists(),
            counts(),
            notes(),
        ]);
        config.partitions = 16;
        config.leaf_bits = 8;
        config.replication = Replication::Leaderless(LeaderlessConfig::new(at.founded.clone()).into());
        (self.configure)(&mut config);
        at.engine = Some(Engine::open(config, at.log.clone(), now).unwrap());
        self.drain(node);
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.connect(node, other);
        }
        self.deliver();
    }

    /// Takes a node away, with everything it had in memory.
    pub(crate) fn crash(&mut self, node: usize) {
        self.nodes[node].engine = None;
        self.disconnect(|end| end.from == node);
        self.deliver();
    }

    /// How many records are on the disk of a node.
    pub(crate) fn records(&self, node: usize) -> usize {
        self.nodes[node].log.len()
    }

    /// Takes a node away and brings it back with a disk on which only so many records are left.
    pub(crate) fn restore(&mut self, node: usize, records: usize) {
        self.crash(node);
        self.nodes[node].log.truncate(records);
        self.start(node);
    }

    /// Nothing passes between the two sides any more.
    pub(crate) fn cut(&mut self, one_side: &[usize], other_side: &[usize]) {
        for (one, other) in one_side.iter().flat_map(|one| other_side.iter().map(move |other| (*one, *other)))
        {
            self.cuts.insert((one.min(other), one.max(other)));
        }
        let cuts = self.cuts.clone();
        self.disconnect(|end| cuts.contains(&(end.from.min(end.to), end.from.max(end.to))));
        self.deliver();
    }

    /// Everybody sees everybody again.
    pub(crate) fn heal(&mut self) {
        self.mend();
        self.deliver();
    }

    /// The same, and nothing is delivered yet.
    pub(crate) fn mend(&mut self) {
        for (one, other) in std::mem::take(&mut self.cuts) {
            self.connect(one, other);
        }
    }

    pub(crate) fn is_up(&self, node: usize) -> bool {
        self.nodes[node].engine.is_some()
    }

    pub(crate) fn engine(&self, node: usize) -> &Engine {
        self.nodes[node].engine.as_ref().expect("the node is up")
    }

    pub(crate) fn syncs(&self) -> usize {
        self.nodes.iter().map(|node| node.syncs).sum()
    }

    /// A key of the collection, and the nodes in the order in which they are asked for it: the replicas A, B and C,
    /// then those that stand in for them.
    pub(crate) fn cast<const N: usize>(&self, collection: &Collection) -> (ItemKey, [usize; N]) {
        let item = ItemKey { collection: collection.id(), key: "key".into() };
        let order = self.order(0, &item);
        (item, order[..N].try_into().unwrap())
    }

    /// All nodes in the order in which they are asked for a key.
    pub(crate) fn order(&self, from: usize, item: &ItemKey) -> Vec<usize> {
        let list = self.engine(from).preference_list(item);
        list.iter().map(|node| (0..self.nodes.len()).find(|n| id_of(*n) == *node).unwrap()).collect()
    }

    pub(crate) fn write(
        &mut self,
        node: usize,
        item: &ItemKey,
        action: Action,
        options: WriteOptions,
    ) -> QuorumReply {
        let id = self.ask_to_write(node, item, action, options);
        self.reply_to(id)
    }

    /// Begins a write, and delivers nothing.
    pub(crate) fn ask_to_write(
        &mut self,
        node: usize,
        item: &ItemKey,
        action: Action,
        options: WriteOptions,
    ) -> u64 {
        let write = Write { collection: item.collection, key: item.key.clone(), action };
        self.request(node, Request::QuorumWrite { write, options, read_first: None })
    }

    pub(crate) fn read(&mut self, node: usize, item: &ItemKey, options: ReadOptions) -> QuorumReply {
        let id = self.ask_to_read(node, item, options);
        self.reply_to(id)
    }

    /// What a read at this level returns, which must succeed.
    pub(crate) fn cell(&mut self, node: usize, item: &ItemKey, options: ReadOptions) -> Option<Cell> {
        match self.read(node, item, options) {
            QuorumReply::Read { cell, .. } => cell,
            other => panic!("not read: {other:?}"),
        }
    }

    pub(crate) fn text(&mut self, node: usize, item: &ItemKey, options: ReadOptions) -> Option<String> {
        text_of(self.cell(node, item, options).as_ref())
    }

    /// Begins a write on top of what a read finds.
    pub(crate) fn ask_to_write_on_top(&mut self, node: usize, item: &ItemKey, action: Action) -> u64 {
        let write = Write { collection: item.collection, key: item.key.clone(), action };
        let (options, read_first) = (WriteOptions::QUORUM, Some(ReadOptions::QUORUM));
        self.request(node, Request::QuorumWrite { write, options, read_first })
    }

    /// Has an administrator change the ring at a node. It must begin; nothing else is delivered yet.
    pub(crate) fn change_ring(&mut self, node: usize, change: Change) {
        let id = self.request(node, Request::ChangeRing(change));
        let reply = self.replies.remove(&id);
        assert!(matches!(reply, Some(Reply::Ring(RingReply::Begun { .. }))), "{reply:?}");
    }

    /// Whether all of these nodes know that a version of the ring is the last one, with nothing under way.
    pub(crate) fn is_stable(&self, nodes: &[usize], version: u64) -> bool {
        nodes.iter().all(|node| {
            let progress = self.engine(*node).ring_progress().expect("there is a ring");
            progress.phase == Phase::Stable && progress.version == version
        })
    }

    /// How often a node said something.
    pub(crate) fn count_events(&self, is_it: impl Fn(usize, &Event) -> bool) -> usize {
        self.events.iter().filter(|(node, event)| is_it(*node, event)).count()
    }

    /// What a node itself holds.
    pub(crate) fn held(&self, node: usize, item: &ItemKey) -> Option<String> {
        text_of(self.engine(node).peek(item))
    }

    pub(crate) fn request(&mut self, node: usize, request: Request) -> u64 {
        self.next += 1;
        let id = self.next;
        self.handle(node, Input::Request { id: RequestId(id), request });
        id
    }

    /// Lets everything happen until a request is answered, up to a minute.
    pub(crate) fn reply_to(&mut self, id: u64) -> QuorumReply {
        match self.any_reply_to(id) {
            Reply::Quorum(reply) => reply,
            other => panic!("another kind of answer: {other:?}"),
        }
    }

    pub(crate) fn any_reply_to(&mut self, id: u64) -> Reply {
        self.deliver();
        for _ in 0..600 {
            if let Some(reply) = self.replies.remove(&id) {
                return reply;
            }
            self.pass(Duration::from_millis(100));
        }
        panic!("no answer within a minute")
    }

    /// Time passes, with everything delivered in between.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.micros + u64::try_from(span.as_micros()).unwrap();
        while self.micros < end {
            self.micros = (self.micros + 50_000).min(end);
            for node in 0..self.nodes.len() {
                self.handle(node, Input::Timer);
            }
            self.deliver();
        }
    }

    pub(crate) fn deliver(&mut self) {
        while let Some((link, bytes)) = self.frames.pop_front() {
            if let Some(End { to, far, .. }) = self.links.get(&link).copied() {
                self.handle(to, Input::Frame { link: far, bytes });
            }
        }
    }

    /// Lets everything happen, frame by frame, until something is so. Says whether it came to that within the span.
    pub(crate) fn run_until(&mut self, span: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let end = self.micros + u64::try_from(span.as_micros()).unwrap();
        loop {
            while let Some((link, bytes)) = self.frames.pop_front() {
                if let Some(End { to, far, .. }) = self.links.get(&link).copied() {
                    self.handle(to, Input::Frame { link: far, bytes });
                }
                if is_so(self) {
                    return true;
                }
            }
            if self.micros >= end {
                return false;
            }
            self.micros += 50_000;
            (0..self.nodes.len()).for_each(|node| self.handle(node, Input::Timer));
        }
    }

    /// The answer as soon as it is there, with everything that follows from it, and from other things, still to come.
    pub(crate) fn early_reply_to(&mut self, id: u64) -> QuorumReply {
        assert!(self.run_until(Duration::from_secs(60), |cluster| cluster.replies.contains_key(&id)));
        match self.replies.remove(&id) {
            Some(Reply::Quorum(reply)) => reply,
            other => panic!("another kind of answer: {other:?}"),
        }
    }

    /// Begins a read, and delivers nothing.
    pub(crate) fn ask_to_read(&mut self, node: usize, item: &ItemKey, options: ReadOptions) -> u64 {
        self.request(node, Request::QuorumRead { item: item.clone(), options })
    }

    /// Has a node hear a message as if another one had said it.
    pub(crate) fn say(&mut self, from: usize, to: usize, message: &Message) {
        let mut ends = self.links.values();
        let link = ends.find(|end| (end.from, end.to) == (from, to)).expect("the two are connected").far;
        self.handle(to, Input::Frame { link, bytes: wire::encode(message) });
        self.deliver();
    }

    /// The time after a span from now.
    pub(crate) fn after(&self, span: Duration) -> Instant {
        self.now().instant + span
    }

    /// From now on these messages are lost, given who says them to whom.
    pub(crate) fn lose(&mut self, losses: impl Fn(usize, usize, &Message) -> bool + 'static) {
        self.losses = Some(Box::new(losses));
    }

    /// From now on none is.
    pub(crate) fn lose_nothing(&mut self) {
        self.losses = None;
    }

    fn is_lost(&self, link: LinkId, frame: &[u8]) -> bool {
        let (Some(losses), Some(End { from, to, .. })) = (&self.losses, self.links.get(&link)) else {
            return false;
        };
        losses(*from, *to, &wire::decode(frame, &Limits::default()).expect("nodes say what can be read"))
    }

    /// Everything that is under way is lost.
    pub(crate) fn lose_frames(&mut self) {
        self.frames.clear();
    }

    /// The wires double every frame that is under way.
    pub(crate) fn deliver_twice(&mut self) {
        self.frames = self.frames.iter().flat_map(|frame| [frame.clone(), frame.clone()]).collect();
        self.deliver();
    }

    pub(crate) fn answers_to(&self, id: u64) -> usize {
        self.answers.get(&id).copied().unwrap_or(0)
    }

    fn now(&self) -> Now {
        let wall = WallTime::from_millis(1_700_000_000_000 + self.micros / 1_000);
        Now { instant: Instant::from_micros(self.micros), wall }
    }

    fn handle(&mut self, node: usize, input: Input) {
        let now = self.now();
        let Some(engine) = &mut self.nodes[node].engine else { return };
        engine.handle(now, input);
        self.drain(node);
    }

    fn drain(&mut self, node: usize) {
        let mut durable = None;
        while let Some(output) = self.nodes[node].engine.as_mut().and_then(Engine::poll_output) {
            match output {
                Output::Append { first, records } => {
                    self.nodes[node].log.extend((first.get()..).map(Lsn::new).zip(records));
                    durable = self.nodes[node].log.last().map(|(lsn, _)| *lsn);
                }
                Output::Send { link, frame } => {
                    self.messages += 1;
                    self.bytes += frame.len();
                    if !self.is_lost(link, &frame) {
                        self.frames.push_back((link, frame));
                    }
                }
                Output::Reply { id, reply, .. } => {
                    *self.answers.entry(id.0).or_default() += 1;
                    self.replies.insert(id.0, reply);
                }
                Output::Close { link, .. } => self.disconnect_link(link),
                Output::Event(event) => self.events.push((node, event)),
                _ => {}
            }
        }
        if let Some(lsn) = durable {
            self.nodes[node].syncs += 1;
            self.handle(node, Input::Durable { lsn });
        }
    }

    fn connect(&mut self, one: usize, other: usize) {
        let are_cut = self.cuts.contains(&(one.min(other), one.max(other)));
        if are_cut || !self.is_up(one) || !self.is_up(other) {
            return;
        }
        let (near, far) = (LinkId(self.next), LinkId(self.next + 1));
        self.next += 2;
        self.links.insert(near, End { from: one, to: other, far });
        self.links.insert(far, End { from: other, to: one, far: near });
        self.handle(one, Input::LinkUp { link: near, dialed: true });
        self.handle(other, Input::LinkUp { link: far, dialed: false });
    }

    fn disconnect(&mut self, ends: impl Fn(&End) -> bool) {
        let gone: Vec<LinkId> =
            self.links.iter().filter(|(_, end)| ends(end)).map(|(link, _)| *link).collect();
        for link in gone {
            self.disconnect_link(link);
        }
    }

    fn disconnect_link(&mut self, link: LinkId) {
        let Some(End { from, to, far }) = self.links.remove(&link) else { return };
        self.links.remove(&far);
        self.handle(from, Input::LinkDown { link });
        self.handle(to, Input::LinkDown { link: far });
    }
}

pub(crate) fn set(text: &str) -> Action {
    Action::Set(Some(text.into()))
}

pub(crate) fn text_of(cell: Option<&Cell>) -> Option<String> {
    match cell? {
        Cell::Register(register) => Some(String::from_utf8_lossy(register.get()?).into_owned()),
        other => panic!("not a title: {other:?}"),
    }
}

/// A write or a read that fallbacks may take part in.
pub(crate) fn sloppy(options: WriteOptions) -> WriteOptions {
    WriteOptions { fallbacks: Fallbacks::Sloppy, ..options }
}

pub(crate) fn sloppy_read(options: ReadOptions) -> ReadOptions {
    ReadOptions { fallbacks: Fallbacks::Sloppy, ..options }
}
