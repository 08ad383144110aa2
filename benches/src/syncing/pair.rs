//! Two engines in one process, without disks and sockets: what crosses between them, and how long each works for it.

#![allow(clippy::disallowed_methods, reason = "what crossed is handed to another process in a file")]

use std::collections::VecDeque;
use std::path::Path;

use crdt_sync::time::{Now, WallTime};
use crdt_sync::{Engine, Input, LinkId, Output, Request, RequestId};
use replication_log::Lsn;

use super::data::{Kind, Way};
use super::process::{Spent, Watch};

/// Writes in one command.
pub const AT_ONCE: u64 = 10_000;

const LINK: LinkId = LinkId(1);

/// What the empty one of two engines received until both agreed, and what it and the other did for it.
pub struct Crossing {
    /// The frames that arrived, in order.
    pub frames: Vec<Vec<u8>>,
    /// The batches of records that it appended.
    pub batches: Vec<Vec<Vec<u8>>>,
    /// How long the one that had everything worked.
    pub giving: Spent,
    /// How long the empty one worked.
    pub taking: Spent,
}

/// An engine on a disk that is always done.
struct Side {
    engine: Engine,
    sent: VecDeque<Vec<u8>>,
    batches: Vec<Vec<Vec<u8>>>,
    worked: Spent,
}

/// The records that commands of so many writes are appended as.
pub fn records_of(engine: &mut Engine, id: u64, writes: Vec<crdt_sync::Write>) -> Vec<Vec<u8>> {
    engine.handle(now(id), Input::Request { id: RequestId(id), request: Request::Write(writes) });
    let mut appended = Vec::new();
    let mut last = Lsn::ZERO;
    while let Some(output) = engine.poll_output() {
        if let Output::Append { first, records } = output {
            last = Lsn::new(first.get() + records.len() as u64 - 1);
            appended.extend(records);
        }
    }
    engine.handle(now(id), Input::Durable { lsn: last });
    while engine.poll_output().is_some() {}
    appended
}

/// A new engine.
///
/// # Panics
///
/// When there is none with such a configuration.
pub fn engine(way: Way, node: u8, kind: Kind) -> Engine {
    let empty = Vec::<(Lsn, Vec<u8>)>::new();
    let mut engine = Engine::open(way.config(node, kind), empty, now(0)).expect("a new engine");
    while let Some(output) = engine.poll_output() {
        if let Output::Append { first, records } = output {
            let lsn = Lsn::new(first.get() + records.len() as u64 - 1);
            engine.handle(now(0), Input::Durable { lsn });
        }
    }
    engine
}

/// Lets an engine with so many keys and an empty one come to agree.
///
/// # Panics
///
/// When they do not.
pub fn cross(kind: Kind, way: Way, keys: u64) -> Crossing {
    let mut giver = Side::new(way, 1, kind);
    for first in (0..keys).step_by(usize::try_from(AT_ONCE).unwrap_or(usize::MAX)) {
        let writes = (first..keys.min(first + AT_ONCE)).map(|number| kind.write(number)).collect();
        records_of(&mut giver.engine, first, writes);
    }
    let mut taker = Side::new(way, 2, kind);
    let mut clock = keys;
    giver.take(clock, Input::LinkUp { link: LINK, dialed: false });
    taker.take(clock, Input::LinkUp { link: LINK, dialed: true });
    let mut frames = Vec::new();
    let mut quiet = 0;
    while quiet < 100 {
        if let Some(frame) = giver.sent.pop_front() {
            frames.push(frame.clone());
            taker.take(clock, Input::Frame { link: LINK, bytes: frame });
        } else if let Some(frame) = taker.sent.pop_front() {
            giver.take(clock, Input::Frame { link: LINK, bytes: frame });
        } else if [&giver, &taker].iter().all(|side| side.engine.status().peers.iter().all(|p| p.in_sync)) {
            break;
        } else {
            quiet += 1;
            clock += 250;
            giver.take(clock, Input::Timer);
            taker.take(clock, Input::Timer);
        }
    }
    let roots = [&giver, &taker].map(|side| side.engine.status().partitions[0].root);
    assert_eq!((roots[0], roots[0].count), (roots[1], keys), "the two agree");
    Crossing { frames, batches: taker.batches, giving: giver.worked, taking: taker.worked }
}

impl Crossing {
    /// Writes the frames and the batches to a file.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub fn write(&self, path: &Path) {
        let mut bytes = Vec::new();
        for list in core::iter::once(&self.frames).chain(&self.batches) {
            bytes.extend_from_slice(&list.len().to_le_bytes());
            for item in list {
                bytes.extend_from_slice(&item.len().to_le_bytes());
                bytes.extend_from_slice(item);
            }
        }
        std::fs::write(path, bytes).expect("written");
    }

    /// Reads what was written. How long it took is not in there.
    ///
    /// # Panics
    ///
    /// When it is nothing that was written.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("a file");
        let mut rest = &bytes[..];
        let frames = next_list(&mut rest);
        let mut batches = Vec::new();
        while !rest.is_empty() {
            batches.push(next_list(&mut rest));
        }
        Self { frames, batches, giving: Spent::default(), taking: Spent::default() }
    }
}

fn next_list(rest: &mut &[u8]) -> Vec<Vec<u8>> {
    (0..next_number(rest)).map(|_| next_bytes(rest)).collect()
}

fn next_bytes(rest: &mut &[u8]) -> Vec<u8> {
    let length = next_number(rest);
    rest.split_off(..length).expect("as many bytes as it says").to_vec()
}

fn next_number(rest: &mut &[u8]) -> usize {
    let number = rest.split_off(..size_of::<usize>()).expect("a number");
    usize::from_le_bytes(number.try_into().expect("as many bytes as a number has"))
}

impl Side {
    fn new(way: Way, node: u8, kind: Kind) -> Self {
        Self {
            engine: engine(way, node, kind),
            sent: VecDeque::new(),
            batches: Vec::new(),
            worked: Spent::default(),
        }
    }

    fn take(&mut self, clock: u64, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let start = Watch::start();
            self.engine.handle(now(clock), input);
            let outputs: Vec<Output> = std::iter::from_fn(|| self.engine.poll_output()).collect();
            self.worked = self.worked + start.read();
            for output in outputs {
                match output {
                    Output::Append { first, records } => {
                        let lsn = Lsn::new(first.get() + records.len() as u64 - 1);
                        next = Some(Input::Durable { lsn });
                        self.batches.push(records);
                    }
                    Output::Send { frame, .. } => self.sent.push_back(frame),
                    _ => {}
                }
            }
        }
    }
}

/// So many milliseconds after the beginning.
pub(super) fn now(milliseconds: u64) -> Now {
    Now {
        instant: crdt_sync::time::Instant::from_micros(milliseconds * 1_000),
        wall: WallTime::from_millis(1_700_000_000_000 + milliseconds),
    }
}
