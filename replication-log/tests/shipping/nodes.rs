//! A leader and a follower with a disk each, and a wire between them.

use core::time::Duration;

use replication_log::{
    Batch, Epoch, Log, LogOptions, Lsn, OwnedRecord, Position, RecordKind,
    ship::{
        AnswerError, Receiver, ReceiverOptions, Sender, SenderEvent, SenderOptions, SnapshotOffer, Stage,
        Step, Want,
        wire::{Refusal, ToLeader},
    },
    snapshot::{SnapshotWriter, Snapshots},
    storage::{FaultStorage, MemoryStorage},
};

use crate::common;

/// A node that has a log, and may send it to others.
pub(crate) struct Leader {
    pub(crate) name: &'static str,
    pub(crate) epoch: Epoch,
    pub(crate) disk: FaultStorage,
    pub(crate) log: Log<FaultStorage>,
    pub(crate) commit: Lsn,
}

impl Leader {
    pub(crate) fn new(name: &'static str, epoch: u64) -> Self {
        Self::with_segments(name, epoch, common::options())
    }

    pub(crate) fn with_segments(name: &'static str, epoch: u64, options: LogOptions) -> Self {
        let disk = FaultStorage::new();
        let log = Log::open(disk.clone(), options).expect("new").0;
        Self { name, epoch: Epoch::new(epoch), disk, log, commit: Lsn::ZERO }
    }

    /// Leads under a later epoch from now on.
    pub(crate) fn promote(&mut self, epoch: u64) {
        self.epoch = Epoch::new(epoch);
        self.log.promise_epoch(self.epoch).expect("granted");
    }

    /// Writes a batch of one record, durably.
    pub(crate) fn write(&mut self, text: &str) -> Lsn {
        let lsn = self.write_unsynced(text);
        self.log.sync().expect("healthy");
        lsn
    }

    pub(crate) fn write_unsynced(&mut self, text: &str) -> Lsn {
        let batch = Batch::of(self.epoch, RecordKind(1), text.as_bytes()).expect("small");
        *self.log.append(&batch).expect("fits").end()
    }

    pub(crate) fn options(&self) -> SenderOptions {
        SenderOptions::new(self.name, self.epoch)
    }

    /// The newest snapshot, if there is one.
    pub(crate) fn offer(&self) -> Option<SnapshotOffer> {
        let snapshots = Snapshots::open(self.disk.clone()).expect("healthy");
        let reader = snapshots.read(snapshots.newest().expect("healthy")?).expect("whole");
        Some(SnapshotOffer { identity: reader.identity(), bytes: reader.state_bytes() })
    }

    /// The answer to a follower's first word.
    pub(crate) fn answer(&self, hello: &[u8]) -> Result<Sender, Refusal> {
        self.answer_with(self.options(), hello)
    }

    pub(crate) fn answer_with(&self, options: SenderOptions, hello: &[u8]) -> Result<Sender, Refusal> {
        let Ok(ToLeader::Hello(hello)) = ToLeader::decode(hello) else { panic!("no first word") };
        match Sender::answer(options, Duration::ZERO, &hello, &self.log, self.offer()) {
            Ok(mut sender) => {
                sender.progress(self.log.durable(), self.commit);
                Ok(sender)
            }
            Err(AnswerError::Refused(refusal)) => Err(refusal),
            Err(error) => panic!("{error}"),
        }
    }

    /// Feeds a sender with all it wants, and returns the frames that come of it.
    pub(crate) fn feed(&self, sender: &mut Sender, now: Duration) -> Vec<Vec<u8>> {
        sender.progress(self.log.durable(), self.commit);
        let mut frames = Vec::new();
        loop {
            match sender.wants() {
                Want::Nothing => {}
                Want::Batches { after } => self.feed_batches(sender, after, now),
                Want::Snapshot { identity, offset } => {
                    let state = self.state_of(identity.position.lsn);
                    let part = &state[usize::try_from(offset).expect("small")..];
                    sender.push_snapshot(now, offset, &part[..part.len().min(100)]).expect("next");
                }
            }
            let before = frames.len();
            frames.extend(core::iter::from_fn(|| sender.poll(now)));
            if frames.len() == before {
                return frames;
            }
        }
    }

    fn feed_batches(&self, sender: &mut Sender, after: Lsn, now: Duration) {
        let mut batches = self.log.read_batches_from(after.next().expect("a number")).expect("kept");
        while let Want::Batches { .. } = sender.wants() {
            let Some(batch) = batches.next_batch().expect("readable") else { return };
            sender.push(now, &batch).expect("next");
        }
    }

    fn state_of(&self, snapshot: Lsn) -> Vec<u8> {
        let snapshots = Snapshots::open(self.disk.clone()).expect("healthy");
        let mut reader = snapshots.read(snapshot).expect("whole");
        let mut state = Vec::new();
        while let Some(chunk) = reader.next_chunk().expect("whole") {
            state.extend_from_slice(chunk);
        }
        state
    }
}

/// A node whose log is a copy.
pub(crate) struct Follower {
    pub(crate) disk: FaultStorage,
    pub(crate) log: Log<FaultStorage>,
    pub(crate) receiver: Receiver,
    /// The state of the snapshot it began with.
    pub(crate) state: Vec<u8>,
    /// What its log had beyond its leader's.
    pub(crate) kept_aside: Vec<Vec<u8>>,
    incoming: Option<(Position, SnapshotWriter<MemoryStorage>)>,
    streams: u64,
}

impl Follower {
    pub(crate) fn new(name: &str) -> Self {
        Self::of(ReceiverOptions::new(name), FaultStorage::new())
    }

    /// The follower whose log is on this disk.
    pub(crate) fn of(options: ReceiverOptions, disk: FaultStorage) -> Self {
        Self::with_segments(options, disk, common::options())
    }

    pub(crate) fn with_segments(options: ReceiverOptions, disk: FaultStorage, segments: LogOptions) -> Self {
        let log = Log::open(disk.clone(), segments).expect("intact").0;
        let receiver = Receiver::new(options, log.epoch(), log.last_position());
        let (state, kept_aside) = Default::default();
        Self { disk, log, receiver, state, kept_aside, incoming: None, streams: 0 }
    }

    pub(crate) fn hello(&mut self) -> Vec<u8> {
        self.streams += 1;
        self.log.sync().expect("healthy");
        self.receiver.hello(self.streams, self.log.epoch_ends(64).expect("readable"))
    }

    /// Takes a frame, does what it asks for, durably, and returns what there is to say about it. An error means
    /// that the frame was not taken.
    pub(crate) fn take(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        match self.receiver.handle(frame) {
            Ok(Step::Begin(begin)) => {
                if self.log.epoch() < begin.promise {
                    self.log.promise_epoch(begin.promise).expect("later than all before");
                }
                if let Some(common) = begin.cut {
                    let from = common.lsn.next().expect("a number");
                    let tail = self.log.read_from(from).expect("kept").into_iter();
                    self.kept_aside.extend(tail.map(|record| record.expect("readable").payload));
                    self.log.truncate_after(common.lsn, Lsn::ZERO).expect("a boundary of both");
                    assert_eq!(self.log.last_position(), common);
                }
                if let Some(offer) = begin.snapshot {
                    let snapshots = Snapshots::open(MemoryStorage::new()).expect("new").chunk_bytes(64);
                    let writer = snapshots.receive_at_leisure(offer.identity).expect("memory");
                    self.incoming = Some((offer.identity.position, writer));
                    if offer.bytes == 0 {
                        self.receiver.begun();
                        self.install();
                    }
                }
                self.receiver.begun();
            }
            Ok(Step::Append { reign, batches }) => {
                for batch in batches {
                    self.log.append_copy(reign, &batch).expect("the receiver has checked it");
                    assert_eq!(self.log.last_position(), batch.end());
                }
                self.sync();
            }
            Ok(Step::Snapshot { part, is_last }) => {
                self.state.extend_from_slice(part);
                self.incoming.as_mut().expect("begun").1.write(part).expect("memory");
                if is_last {
                    self.install();
                }
            }
            Ok(Step::Refused(refusal)) => panic!("refused: {refusal}"),
            _ => self.apply(),
        }
        core::iter::from_fn(|| self.receiver.poll()).collect()
    }

    pub(crate) fn sync(&mut self) {
        let durable = self.log.sync().expect("healthy");
        self.receiver.mark(Stage::Flushed, durable);
        self.apply();
    }

    /// What is committed and durable is applied.
    fn apply(&mut self) {
        let applied = self.receiver.committed().min(self.log.durable());
        self.receiver.mark(Stage::Applied, applied);
        self.receiver.keep(applied);
    }

    /// The snapshot is whole: the log begins behind it.
    fn install(&mut self) {
        let (position, writer) = self.incoming.take().expect("begun");
        writer.finish().expect("memory");
        self.disk = FaultStorage::new();
        let options: LogOptions = common::options().starts_after(position);
        let epoch = self.log.epoch();
        self.log = Log::open(self.disk.clone(), options).expect("new").0;
        self.log.promise_epoch(epoch).expect("not later than before");
        self.receiver.installed();
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        texts(&self.log)
    }
}

pub(crate) fn texts(log: &Log<FaultStorage>) -> Vec<String> {
    let text = |record: OwnedRecord| String::from_utf8(record.payload).expect("text");
    common::records(log).into_iter().map(text).collect()
}

/// Connects the two, or tells why the leader refuses.
pub(crate) fn connect(leader: &Leader, follower: &mut Follower) -> Result<Sender, Refusal> {
    let hello = follower.hello();
    leader.answer(&hello)
}

/// Carries frames both ways until nobody has anything to say, and returns what the sender learned.
pub(crate) fn settle(leader: &Leader, sender: &mut Sender, follower: &mut Follower) -> Vec<SenderEvent> {
    let (now, mut events) = (Duration::ZERO, Vec::new());
    loop {
        let frames = leader.feed(sender, now);
        if frames.is_empty() {
            return events;
        }
        for frame in frames {
            for answer in follower.take(&frame) {
                match sender.handle(now, &answer).expect("sound") {
                    SenderEvent::Nothing => {}
                    event => events.push(event),
                }
            }
        }
    }
}

/// Connects the two and lets the follower catch up.
pub(crate) fn follow(leader: &Leader, follower: &mut Follower) -> Sender {
    let mut sender = connect(leader, follower).expect("followed");
    settle(leader, &mut sender, follower);
    assert_eq!(follower.log.last_position(), leader.log.last_position());
    sender
}
