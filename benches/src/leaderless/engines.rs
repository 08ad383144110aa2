//! Engines in one thread without disks and sockets: for counting instructions.

use std::collections::VecDeque;

use crdt_sync::time::{Instant, Now, WallTime};
use crdt_sync::{
    ClusterKey, Config, Engine, Input, ItemKey, LinkId, Output, Replication, Reply, Request, RequestId, Write,
};
use replication_log::Lsn;

use super::{Operation, PARTITIONS, Wait, collection, id_of, ring, value};

const NODES: usize = 3;
const KEYS: u64 = 256;

/// Three engines whose disks are always done at once.
pub struct Engines {
    nodes: Vec<Engine>,
    /// To whom, from whom.
    frames: VecDeque<(usize, usize, Vec<u8>)>,
    replies: u64,
}

impl Engines {
    /// Three that see each other, with all keys everywhere.
    pub fn connected() -> Self {
        let engines = (0..NODES).map(|node| {
            let seed = [u8::try_from(node + 1).expect("few"); 32];
            let mut config = Config::new(id_of(node), ClusterKey::from_bytes([7; 16]), seed)
                .with_collections([collection()]);
            config.partitions = PARTITIONS;
            config.leaf_bits = 8;
            config.replication = Replication::Leaderless(ring(NODES).into());
            Engine::open(config, Vec::<(Lsn, Vec<u8>)>::new(), now()).expect("a new engine")
        });
        let mut all = Self { nodes: engines.collect(), frames: VecDeque::new(), replies: 0 };
        for node in 0..NODES {
            all.carry_out(node);
        }
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            all.handle(one, Input::LinkUp { link: link_to(other), dialed: true });
            all.handle(other, Input::LinkUp { link: link_to(one), dialed: false });
        }
        all.deliver();
        (0..KEYS).for_each(|number| all.operate(Operation::Write, Wait::All, number));
        all
    }

    /// The first of them coordinates one operation, and everything that follows from it happens.
    pub fn operate(&mut self, operation: Operation, wait: Wait, number: u64) {
        let item =
            ItemKey { collection: collection().id(), key: format!("{:016}", number % KEYS).as_str().into() };
        let request = match operation {
            Operation::Write => Request::QuorumWrite {
                write: Write { collection: item.collection, key: item.key, action: value(number) },
                options: wait.writes(),
                read_first: None,
            },
            Operation::Read => Request::QuorumRead { item, options: wait.reads() },
        };
        let before = self.replies;
        self.handle(0, Input::Request { id: RequestId(number), request });
        self.deliver();
        assert_eq!(self.replies, before + 1, "it is answered");
    }

    fn deliver(&mut self) {
        while let Some((to, from, bytes)) = self.frames.pop_front() {
            self.handle(to, Input::Frame { link: link_to(from), bytes });
        }
    }

    fn handle(&mut self, node: usize, input: Input) {
        if node == 0 {
            coordinator_handles(&mut self.nodes[node], input);
        } else {
            self.nodes[node].handle(now(), input);
        }
        self.carry_out(node);
    }

    fn carry_out(&mut self, node: usize) {
        let mut durable = None;
        loop {
            let polled = if node == 0 {
                coordinator_says(&mut self.nodes[node])
            } else {
                self.nodes[node].poll_output()
            };
            match polled {
                Some(Output::Append { first, records }) => {
                    durable = Some(Lsn::new(first.get() + records.len() as u64 - 1));
                }
                Some(Output::Send { link, frame }) => {
                    let to = usize::try_from(link.0).expect("few");
                    self.frames.push_back((to, node, frame));
                }
                Some(Output::Reply { reply, .. }) => {
                    assert!(matches!(reply, Reply::Quorum(_)), "{reply:?}");
                    self.replies += 1;
                }
                Some(_) => {}
                None => break,
            }
        }
        if let Some(lsn) = durable {
            self.handle(node, Input::Durable { lsn });
        }
    }
}

/// A function of its own, so that a profiler can tell the coordinator's work from the others'.
#[inline(never)]
fn coordinator_handles(engine: &mut Engine, input: Input) {
    engine.handle(now(), input);
}

/// The same.
#[inline(never)]
fn coordinator_says(engine: &mut Engine) -> Option<Output> {
    engine.poll_output()
}

fn link_to(node: usize) -> LinkId {
    LinkId(node as u64)
}

/// No time passes.
fn now() -> Now {
    Now { instant: Instant::from_micros(0), wall: WallTime::from_millis(1_700_000_000_000) }
}
