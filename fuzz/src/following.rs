//! A leader and its follower, and what a stranger puts between them.

use std::collections::VecDeque;

use crdt_sync::single_leader::host::carry_out;
use crdt_sync::single_leader::{Grant, SingleLeaderConfig};
use crdt_sync::time::{Instant, Now, WallTime};
use crdt_sync::wire::{self, LogEnd, Message, Ship, ShipStanding};
use crdt_sync::{
    Action, ClusterKey, Config, Engine, Input, LinkId, NodeId, Output, Replication, Request, RequestId, Write,
};
use replication_log::storage::MemoryStorage;
use replication_log::{Log, LogOptions, Lsn};

/// How many inputs may follow from one: far more than any does.
const MOST_INPUTS: usize = 10_000;

/// Two nodes that have a connection, with a log each.
struct Pair {
    engines: [Engine; 2],
    logs: [Log<MemoryStorage>; 2],
    /// Where a node's log failed it does nothing more.
    over: [bool; 2],
    /// What is on its way to each.
    frames: [VecDeque<Vec<u8>>; 2],
    micros: u64,
    grants: u64,
}

/// Words of strangers in place of those of a leader or a follower: any that decode, frames that are damaged, doubled or
/// never come, and leaders that change. Whatever they are, both nodes go on, and both logs are opened again.
pub fn what_a_follower_and_its_leader_are_told_leaves_logs_that_open(bytes: &[u8]) {
    let mut pair = Pair::connected();
    let mut rest = bytes;
    while let Some((&op, more)) = rest.split_first() {
        let (&length, more) = more.split_first().unwrap_or((&0, more));
        let (data, more) = more.split_at(usize::from(length).min(more.len()));
        rest = more;
        let to = usize::from(op & 1);
        match (op >> 1) % 9 {
            0 | 1 => pair.deliver(to, data),
            2 => pair.frame(to, data.to_vec()),
            3 => pair.say(to, Ship::ToFollower(sealed(data).into())),
            4 => pair.say(to, Ship::ToLeader(sealed(data).into())),
            5 => pair.say(to, standing(data)),
            6 => pair.ask(to, Request::Write(vec![write(data)])),
            7 => pair.lead(to),
            _ => pair.pass(),
        }
    }
    for node in 0..2 {
        let log = &pair.logs[node];
        let records = log.read_from(Lsn::FIRST).expect("readable").into_iter().map(|record| {
            let record = record.expect("readable");
            (record.lsn, record.payload)
        });
        let opened = Engine::open(config(node), records, pair.now());
        assert!(opened.is_ok(), "a node opens what it took: {:?}", opened.err());
    }
}

fn name(node: usize) -> NodeId {
    NodeId::from_u128(node as u128 + 1)
}

fn counts() -> crdt_sync::Collection {
    crdt_sync::Collection::counters("counts")
}

fn config(node: usize) -> Config {
    let seed = [u8::try_from(node).expect("two"); 32];
    let mut config =
        Config::new(name(node), ClusterKey::from_bytes([9; 16]), seed).with_collections([counts()]);
    config.leaf_bits = 4;
    config.replication = Replication::SingleLeader(SingleLeaderConfig::new(name(0), [name(1)]).into());
    config
}

fn write(key: &[u8]) -> Write {
    Write { collection: counts().id(), key: key.to_vec().into(), action: Action::Increment(1) }
}

/// Who leads, in the stranger's words.
fn standing(data: &[u8]) -> Ship {
    let mut words = data.chunks(8).map(|word| word.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    let mut next = || words.next().unwrap_or_default();
    let leader = Some((next(), name(usize::from(next() & 3 != 0))));
    let (applied, end) = (next(), LogEnd { epoch: next(), lsn: next() });
    Ship::Standing(ShipStanding { leader, applied, end, promised: next() })
}

/// Bytes with the checksum that a frame of the log's ends with.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    [bytes, &crate::tamper::crc32c(bytes).to_le_bytes()].concat()
}

impl Pair {
    fn connected() -> Self {
        let now = Now { instant: Instant::from_micros(0), wall: WallTime::from_millis(1_700_000_000_000) };
        let open = |node: usize| Engine::open(config(node), [(Lsn::FIRST, [0; 0]); 0], now).expect("empty");
        let log =
            |id| Log::open(MemoryStorage::new(), LogOptions::new(id).preallocate_bytes(0)).expect("new").0;
        let mut pair = Self {
            engines: [open(0), open(1)],
            logs: [log(1), log(2)],
            over: [false; 2],
            frames: [VecDeque::new(), VecDeque::new()],
            micros: 0,
            grants: 1,
        };
        for node in 0..2 {
            pair.handle(node, Input::Timer);
            pair.handle(node, Input::LinkUp { link: LinkId(0), dialed: node == 0 });
        }
        pair.settle();
        pair.pass();
        pair
    }

    fn now(&self) -> Now {
        let wall = WallTime::from_millis(1_700_000_000_000 + self.micros / 1_000);
        Now { instant: Instant::from_micros(self.micros), wall }
    }

    /// The oldest frame on its way to a node arrives, with some of its bytes changed.
    fn deliver(&mut self, to: usize, changes: &[u8]) {
        let Some(mut frame) = self.frames[to].pop_front() else { return };
        for change in changes.chunks_exact(2) {
            // No frame is empty.
            let at = usize::from(change[0]) % frame.len();
            frame[at] ^= change[1];
        }
        self.frame(to, frame);
    }

    fn settle(&mut self) {
        for _ in 0..MOST_INPUTS {
            let Some(to) = (0..2).find(|node| !self.frames[*node].is_empty()) else { return };
            self.deliver(to, &[]);
        }
        panic!("two nodes talk without end");
    }

    fn pass(&mut self) {
        self.micros += 300_000;
        self.handle(0, Input::Timer);
        self.handle(1, Input::Timer);
        self.settle();
    }

    fn say(&mut self, to: usize, word: Ship) {
        self.frame(to, wire::encode(&Message::Ship(word)));
    }

    fn frame(&mut self, to: usize, bytes: Vec<u8>) {
        self.handle(to, Input::Frame { link: LinkId(0), bytes });
    }

    fn ask(&mut self, node: usize, request: Request) {
        self.handle(node, Input::Request { id: RequestId(0), request });
    }

    fn lead(&mut self, node: usize) {
        self.grants += 1;
        if let Some(grant) = Grant::new(self.grants) {
            self.ask(node, Request::Lead { grant, until: None });
        }
    }

    /// Gives a node an input, and does what it asks for. Whoever hangs up is called again.
    fn handle(&mut self, node: usize, input: Input) {
        let mut inputs = VecDeque::from([input]);
        for _ in 0..MOST_INPUTS {
            let Some(input) = inputs.pop_front().filter(|_| !self.over[node]) else { return };
            let now = self.now();
            self.engines[node].handle(now, input);
            while let Some(output) = self.engines[node].poll_output() {
                match output {
                    Output::Send { frame, .. } => self.frames[1 - node].push_back(frame),
                    Output::Close { .. } => {
                        self.frames = [VecDeque::new(), VecDeque::new()];
                        inputs.push_back(Input::LinkUp { link: LinkId(0), dialed: node == 0 });
                    }
                    Output::Log(task) => match carry_out(&mut self.logs[node], task) {
                        Ok(carried) => {
                            self.over[node] |= carried.reopens;
                            inputs.extend(carried.news.map(Input::Log));
                        }
                        Err(_) => {
                            self.over[node] = true;
                            let now = self.now();
                            self.engines[node].handle(now, Input::LogFailed);
                        }
                    },
                    _ => {}
                }
            }
            let log = &mut self.logs[node];
            if log.durable() < log.last() && !self.over[node] {
                inputs.push_back(Input::Durable { lsn: log.sync().expect("memory") });
            }
        }
        panic!("a node talks to its log without end");
    }
}
