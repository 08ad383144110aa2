//! The two ends of a shipped log, and what a stranger puts on the wire between them.

use core::time::Duration;

use replication_log::ship::wire::{ToFollower, ToLeader};
use replication_log::ship::{Receiver, ReceiverOptions, Sender, SenderOptions, Stage, Step, Want};
use replication_log::storage::MemoryStorage;
use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, RecordKind};

const EPOCH: Epoch = Epoch::new(2);
const NOW: Duration = Duration::ZERO;

/// Two logs, their two ends, and the frames between them that have not arrived.
struct Line {
    original: Log<MemoryStorage>,
    copy: Log<MemoryStorage>,
    sender: Sender,
    receiver: Receiver,
    down: Vec<Vec<u8>>,
    up: Vec<Vec<u8>>,
}

/// Frames that are foreign, damaged, doubled or out of order: each is a message with one encoding or an error, what is
/// appended follows what was there, and the sender believes nobody to have what was never sent.
pub fn what_comes_on_the_wire_is_a_batch_that_follows_or_nothing(bytes: &[u8]) {
    let mut line = Line::connected();
    let mut rest = bytes;
    while let Some((&op, more)) = rest.split_first() {
        let (&length, more) = more.split_first().unwrap_or((&0, more));
        let (data, more) = more.split_at(usize::from(length).min(more.len()));
        rest = more;
        match op % 6 {
            0 => line.to_follower(&sealed(data)),
            1 => line.to_leader(&sealed(data)),
            2 => line.next(data, true),
            3 => line.next(data, false),
            4 => line.write(data),
            _ => line.feed(),
        }
        line.check();
    }
}

impl Line {
    fn connected() -> Self {
        let log =
            |id| Log::open(MemoryStorage::new(), LogOptions::new(id).preallocate_bytes(0)).expect("new").0;
        let (mut original, mut copy) = (log(1), log(2));
        original.append(&Batch::of(Epoch::new(1), RecordKind(1), b"before").expect("small")).expect("fits");
        original.promise_epoch(EPOCH).expect("granted");
        let mut receiver = Receiver::new(ReceiverOptions::new("b"), copy.epoch(), copy.last_position());
        let hello = receiver.hello(7, copy.epoch_ends(8).expect("readable"));
        let Ok(ToLeader::Hello(hello)) = ToLeader::decode(&hello) else { panic!("a first word") };
        let options = SenderOptions::new("a", EPOCH);
        let mut sender = Sender::answer(options, NOW, &hello, &original, None).expect("followed");
        let welcome = sender.poll(NOW).expect("an answer");
        let Ok(Step::Begin(begin)) = receiver.handle(&welcome) else { panic!("the beginning") };
        copy.promise_epoch(begin.promise).expect("later");
        receiver.begun();
        let up = core::iter::from_fn(|| receiver.poll()).collect();
        Self { original, copy, sender, receiver, down: Vec::new(), up }
    }

    fn to_follower(&mut self, frame: &[u8]) {
        let _ = ToFollower::decode(frame);
        if let Ok(Step::Append { reign, batches }) = self.receiver.handle(frame) {
            for batch in batches {
                assert!(batch.follows(self.copy.last_position()), "what is appended follows what is there");
                self.copy.append_copy(reign, &batch).expect("checked");
            }
            let durable = self.copy.sync().expect("memory");
            self.receiver.mark(Stage::Flushed, durable);
        }
        self.up.extend(core::iter::from_fn(|| self.receiver.poll()));
    }

    fn to_leader(&mut self, frame: &[u8]) {
        if let Ok(message) = ToLeader::decode(frame) {
            assert_eq!(message.encode(), frame, "one encoding");
        }
        let _ = self.sender.handle(NOW, frame);
    }

    /// The oldest frame on its way arrives, with some of its bytes changed.
    fn next(&mut self, changes: &[u8], down: bool) {
        let way = if down { &mut self.down } else { &mut self.up };
        if way.is_empty() {
            return;
        }
        let mut frame = way.remove(0);
        for change in changes.chunks_exact(2) {
            let at = usize::from(change[0]) % frame.len();
            frame[at] ^= change[1];
        }
        if down { self.to_follower(&frame) } else { self.to_leader(&frame) }
    }

    fn write(&mut self, payload: &[u8]) {
        self.original.append(&Batch::of(EPOCH, RecordKind(1), payload).expect("small")).expect("fits");
        self.original.sync().expect("memory");
    }

    fn feed(&mut self) {
        self.sender.progress(self.original.durable(), Lsn::ZERO);
        if let Want::Batches { after } = self.sender.wants() {
            let mut batches = self.original.read_batches_from(after.next().expect("a number")).expect("kept");
            while let Some(batch) = batches.next_batch().expect("readable") {
                if self.sender.push(NOW, &batch).is_err() {
                    break;
                }
            }
        }
        self.down.extend(core::iter::from_fn(|| self.sender.poll(NOW)));
    }

    fn check(&self) {
        assert_eq!(self.copy.last_position(), self.receiver.end());
        assert!(
            self.sender.marks().at(Stage::Received) <= self.original.last(),
            "nobody has what was never sent"
        );
    }
}

/// Bytes with the checksum that a frame ends with.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    [bytes, &crate::tamper::crc32c(bytes).to_le_bytes()].concat()
}
