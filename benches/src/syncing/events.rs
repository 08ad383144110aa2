//! What one engine handles in one thread, without disk and sockets: run after run arrives, and each is appended.

use std::collections::VecDeque;

use crdt_sync::{Engine, Input, LinkId, Output, Request, RequestId};
use replication_log::Lsn;

use super::data::{Kind, Way};
use super::pair::{self, now};
use super::process::{Spent, Watch};

const LINK: LinkId = LinkId(1);

/// What an engine handled, and how long that took it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handled {
    /// Frames that arrived, and reports that what they made was durable.
    pub inputs: u64,
    /// Entries in the runs that arrived.
    pub entries: u64,
    /// All of it, its outputs included.
    pub spent: Spent,
}

/// An engine, and the frames it wants to send.
struct Side {
    engine: Engine,
    sent: VecDeque<Vec<u8>>,
    inputs: u64,
}

/// Lets an engine receive so many runs of so many entries each, to a key of its own for every entry.
///
/// A first receiver answers the sender while the frames are made. The same frames are then handled by another one that
/// begins as the first did, in one go and on a disk that is always done: two inputs and an answer for each run.
///
/// # Panics
///
/// When not all of it arrives.
pub fn receive(kind: Kind, entries: u64, runs: u64) -> Handled {
    let (mut sender, mut first) = (Side::new(1, kind), Side::new(2, kind));
    let mut arrived = Vec::new();
    sender.handle(0, Input::LinkUp { link: LINK, dialed: false });
    first.handle(0, Input::LinkUp { link: LINK, dialed: true });
    talk(0, &mut sender, &mut first, &mut arrived);
    for run in 0..runs {
        let writes = (run * entries..(run + 1) * entries).map(|number| kind.write(number)).collect();
        let request = Input::Request { id: RequestId(run), request: Request::Write(writes) };
        sender.handle(run, request);
        talk(run, &mut sender, &mut first, &mut arrived);
    }
    let mut second = Side::new(2, kind);
    let start = Watch::start();
    second.handle(0, Input::LinkUp { link: LINK, dialed: true });
    for (clock, bytes) in arrived {
        second.handle(clock, Input::Frame { link: LINK, bytes });
        second.sent.clear();
    }
    let spent = start.read();
    let roots = [&sender, &first, &second].map(|side| side.engine.status().partitions[0].root);
    assert_eq!((roots[0], roots[1]), (roots[1], roots[2]), "all of it arrived");
    assert_eq!(roots[0].count, entries * runs);
    Handled { inputs: second.inputs, entries: entries * runs, spent }
}

/// Until neither has anything to say.
fn talk(clock: u64, sender: &mut Side, receiver: &mut Side, arrived: &mut Vec<(u64, Vec<u8>)>) {
    loop {
        if let Some(bytes) = sender.sent.pop_front() {
            arrived.push((clock, bytes.clone()));
            receiver.handle(clock, Input::Frame { link: LINK, bytes });
        } else if let Some(bytes) = receiver.sent.pop_front() {
            sender.handle(clock, Input::Frame { link: LINK, bytes });
        } else {
            return;
        }
    }
}

impl Side {
    fn new(node: u8, kind: Kind) -> Self {
        Self { engine: pair::engine(Way::Runs, node, kind), sent: VecDeque::new(), inputs: 0 }
    }

    fn handle(&mut self, clock: u64, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            self.inputs += 1;
            self.engine.handle(now(clock), input);
            while let Some(output) = self.engine.poll_output() {
                match output {
                    Output::Append { first, records } => {
                        let lsn = Lsn::new(first.get() + records.len() as u64 - 1);
                        next = Some(Input::Durable { lsn });
                    }
                    Output::Send { frame, .. } => self.sent.push_back(frame),
                    _ => {}
                }
            }
        }
    }
}
