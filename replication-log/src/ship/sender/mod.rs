//! The end that has the log: what one follower is sent, and when.

mod event;
mod options;
mod outgoing;
mod window;

use alloc::{collections::VecDeque, string::String, vec::Vec};
use core::time::Duration;

pub use event::{AnswerError, SendError, SenderEvent, SnapshotOffer, Want};
pub use options::SenderOptions;

use outgoing::Outgoing;
use window::Window;

use super::{
    History, Marks, Stage, common_position,
    history::place_at,
    wire::{
        Alive, Hello, PROTOCOL_VERSIONS, Refusal, Report, SnapshotPart, SnapshotReport, Start, Stream,
        ToLeader, Welcome,
    },
};
use crate::{LoggedBatch, Lsn, Position, entry::logical::FORMAT_VERSIONS};

/// What a log ships to one follower: decides, and does no IO.
///
/// It is made from a follower's [`Hello`] and lives as long as the connection. Its host carries frames both ways, and
/// feeds it with what it [`wants`](Sender::wants) from the log. It never asks for anything that is not durable, and
/// for a logical stream for nothing that is not committed.
///
/// ```
/// use core::time::Duration;
/// use replication_log::{
///     Batch, Epoch, Log, LogOptions, Lsn, Position, RecordKind, storage::MemoryStorage,
///     ship::{Receiver, ReceiverOptions, Sender, SenderOptions, SenderEvent, Step, Want, wire::ToLeader},
/// };
///
/// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// log.append(&Batch::of(Epoch::new(1), RecordKind(1), b"milk")?)?;
/// log.sync()?;
/// let (mut copy, _) = Log::open(MemoryStorage::new(), LogOptions::new(0xcafe))?;
/// let mut receiver = Receiver::new(ReceiverOptions::new("b"), copy.epoch(), copy.last_position());
///
/// // The follower says what it has, and is told where to begin.
/// let now = Duration::ZERO;
/// let hello = receiver.hello(0x1234, copy.epoch_ends(8)?);
/// let ToLeader::Hello(hello) = ToLeader::decode(&hello)? else { panic!("said first") };
/// let mut sender = Sender::answer(SenderOptions::new("a", Epoch::new(1)), now, &hello, &log, None)?;
/// sender.progress(log.durable(), Lsn::ZERO);
/// let welcome = sender.poll(now).expect("an answer");
/// let Step::Begin(begin) = receiver.handle(&welcome)? else { panic!("the beginning") };
/// copy.promise_epoch(begin.promise)?;
/// receiver.begun();
///
/// // It reports, is sent what it lacks, and appends it.
/// sender.handle(now, &receiver.poll().expect("a report"))?;
/// let Want::Batches { after } = sender.wants() else { panic!("the log has one batch more") };
/// let mut batches = log.read_batches_from(after.next().expect("a number"))?;
/// sender.push(now, &batches.next_batch()?.expect("durable"))?;
/// let frame = sender.poll(now).expect("batches");
/// let Step::Append { reign, batches } = receiver.handle(&frame)? else { panic!("something to append") };
/// for batch in &batches {
///     copy.append_copy(reign, batch)?;
/// }
/// assert_eq!(copy.checksum(), log.checksum());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sender {
    options: SenderOptions,
    /// The follower's name.
    name: String,
    stream: u64,
    state: State,
    outgoing: Outgoing,
    window: Window,
    /// The last record that was put into a frame.
    sent: Lsn,
    /// The last record that ever was: what is sent again may have arrived after all.
    furthest: Lsn,
    /// What the follower says of itself, in this conversation.
    marks: Marks,
    /// The last durable record here, and the last committed one.
    end: Lsn,
    commit: Lsn,
    /// The commit mark that the follower was told last.
    told: Lsn,
    /// When something was sent last, and when something arrived or was sent anew.
    spoke: Duration,
    moved: Duration,
    frames: VecDeque<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The follower was told where to begin, and has not said yet that it has.
    Welcomed,
    /// It is sent a snapshot.
    Snapshot(Transfer),
    /// It is sent what the log goes on with.
    Streaming,
    /// One of the two has refused to go on.
    Over,
}

/// A snapshot on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transfer {
    offer: SnapshotOffer,
    /// How many bytes were put into frames, and how many of them have arrived.
    sent: u64,
    arrived: u64,
    /// Whether the follower has said that it is ready for it.
    ready: bool,
}

impl Sender {
    /// Answers a follower's first word: where its stream begins, behind what both have or behind `snapshot`.
    ///
    /// The log should be read up to its durable end. O(epochs of the log) and one look into the log.
    pub fn answer(
        options: SenderOptions,
        now: Duration,
        hello: &Hello,
        log: &(impl History + ?Sized),
        snapshot: Option<SnapshotOffer>,
    ) -> Result<Self, AnswerError> {
        let version = PROTOCOL_VERSIONS.common(hello.versions);
        let version = version.map_err(|_| Refusal::ProtocolVersion { versions: PROTOCOL_VERSIONS })?;
        if hello.epoch > options.epoch {
            return Err(Refusal::Fenced { have: hello.epoch, got: options.epoch }.into());
        }
        let start = match &hello.wants {
            Stream::Copy { pages, ends } => {
                if let (Some(theirs), Some(ours)) = (pages, &options.pages)
                    && theirs != ours
                {
                    return Err(Refusal::PageFormat { pages: *ours }.into());
                }
                behind_common(ends, log)?
            }
            Stream::Logical { formats, after, .. } => {
                let refusal = Refusal::EntryFormat { formats: FORMAT_VERSIONS };
                FORMAT_VERSIONS.common(*formats).map_err(|_| refusal)?;
                if *after > log.durable() {
                    // It was sent what is committed, and this log does not have it.
                    return Err(Refusal::Diverged { common: log.durable(), floor: *after }.into());
                }
                Some(Position { lsn: *after, ..Position::ORIGIN }).filter(|_| *after >= before_oldest(log))
            }
        };
        let offer = || snapshot.map(|SnapshotOffer { identity, bytes }| Start::Snapshot { identity, bytes });
        let start = start.map(Start::After).or_else(offer);
        let start = start.ok_or(Refusal::NothingToBeginWith { oldest: log.oldest() })?;
        let (sent, state) = match start {
            Start::After(position) => (position.lsn, State::Welcomed),
            Start::Snapshot { identity, bytes } => {
                let offer = SnapshotOffer { identity, bytes };
                let transfer = Transfer { offer, sent: 0, arrived: 0, ready: false };
                (identity.position.lsn, State::Snapshot(transfer))
            }
        };
        let (stream, leader, epoch) = (hello.stream, options.leader.clone(), options.epoch);
        let welcome = Welcome { stream, version, leader, epoch, start }.encode();
        Ok(Self {
            options,
            name: hello.name.clone(),
            stream,
            state,
            outgoing: Outgoing::new(stream, &hello.wants, sent),
            window: Window::new(hello.window),
            sent,
            furthest: sent,
            marks: Marks::default(),
            end: Lsn::ZERO,
            commit: Lsn::ZERO,
            told: Lsn::ZERO,
            spoke: now,
            moved: now,
            frames: [welcome].into(),
        })
    }

    /// Takes note of how far the log is: its last durable record, and the last committed one. Neither goes back.
    pub fn progress(&mut self, end: Lsn, commit: Lsn) {
        self.end = self.end.max(end);
        self.commit = self.commit.max(commit.min(self.end));
    }

    /// Takes a frame that came from the follower. One of another conversation means nothing.
    pub fn handle(&mut self, now: Duration, frame: &[u8]) -> Result<SenderEvent, SendError> {
        match ToLeader::decode(frame)? {
            ToLeader::Report(report) if self.goes_on(report.stream) => self.report(now, report),
            ToLeader::SnapshotReport(report) if self.goes_on(report.stream) => {
                Ok(self.snapshot_report(now, report))
            }
            ToLeader::Refused { stream, refusal } if self.goes_on(stream) => {
                self.state = State::Over;
                Ok(SenderEvent::Refused(refusal))
            }
            _ => Ok(SenderEvent::Nothing),
        }
    }

    /// What the follower could be sent on now. Ask before each [`push`](Sender::push).
    pub fn wants(&self) -> Want {
        let full = self.outgoing.is_full(self.options.frame_bytes) || !self.window.is_open();
        match self.state {
            State::Streaming if !full && self.sent < self.outgoing.limit(self.end, self.commit) => {
                Want::Batches { after: self.sent }
            }
            State::Snapshot(Transfer { offer, sent, ready: true, .. })
                if sent < offer.bytes && self.window.is_open() =>
            {
                Want::Snapshot { identity: offer.identity, offset: sent }
            }
            _ => Want::Nothing,
        }
    }

    /// Puts the next batch of the log into a frame: the one that [`Log::read_batches_from`] lends first when it is
    /// asked for the record after the one that is [wanted](Want::Batches). O(bytes).
    ///
    /// [`Log::read_batches_from`]: crate::Log::read_batches_from
    pub fn push(&mut self, now: Duration, batch: &LoggedBatch<'_>) -> Result<(), SendError> {
        let wanted = self.sent.next().unwrap_or(self.sent);
        if self.state != State::Streaming || !self.outgoing.goes_on_with(batch, wanted) {
            return Err(SendError::OutOfOrder { wanted, got: batch.first() });
        }
        if !self.outgoing.has_room(batch) {
            self.close_frame(now)?;
        }
        self.outgoing.push(batch, wanted)?;
        self.sent = batch.last();
        self.furthest = self.furthest.max(self.sent);
        if self.outgoing.is_full(self.options.frame_bytes) {
            self.close_frame(now)?;
        }
        Ok(())
    }

    /// Sends the next part of the snapshot, at most
    /// [`MAX_SNAPSHOT_CHUNK_BYTES`](crate::limits::MAX_SNAPSHOT_CHUNK_BYTES). O(bytes).
    pub fn push_snapshot(&mut self, now: Duration, offset: u64, part: &[u8]) -> Result<(), SendError> {
        let State::Snapshot(transfer) = self.state else {
            return Err(SendError::SnapshotOutOfOrder { wanted: 0, got: offset });
        };
        let end = offset.saturating_add(part.len() as u64);
        if offset != transfer.sent || part.is_empty() || end > transfer.offer.bytes {
            return Err(SendError::SnapshotOutOfOrder { wanted: transfer.sent, got: offset });
        }
        let (stream, epoch) = (self.stream, self.options.epoch);
        self.send(now, end, part.len(), SnapshotPart { stream, epoch, offset, bytes: part }.encode());
        self.state = State::Snapshot(Transfer { sent: end, ..transfer });
        Ok(())
    }

    /// The next frame for the follower, if there is one now. Ask until there is none, after every other call and at
    /// the [deadline](Sender::next_deadline).
    pub fn poll(&mut self, now: Duration) -> Option<Vec<u8>> {
        if let Some(frame) = self.frames.pop_front() {
            return Some(frame);
        }
        if self.state == State::Over {
            return None;
        }
        if !self.outgoing.is_empty() {
            if self.close_frame(now).is_err() {
                // What was read from the log and cannot be written again leaves a gap, so the stream ends.
                self.frames.push_back(Refusal::Senseless { damaged: false }.encode(self.stream));
                self.state = State::Over;
            }
            return self.frames.pop_front();
        }
        if !self.window.is_idle() && now >= self.moved + self.options.resend {
            self.send_again(now);
        }
        let news = self.state == State::Streaming && self.commit > self.told;
        if !news && now < self.spoke + self.options.heartbeat {
            return None;
        }
        (self.spoke, self.told) = (now, self.commit);
        let (stream, epoch) = (self.stream, self.options.epoch);
        Some(Alive { stream, epoch, commit: self.commit, end: self.end }.encode())
    }

    /// When to [`poll`](Sender::poll) again at the latest; `None` when the conversation is over.
    pub fn next_deadline(&self) -> Option<Duration> {
        let heartbeat = self.spoke + self.options.heartbeat;
        let resend = self.moved + self.options.resend;
        let next = if self.window.is_idle() { heartbeat } else { heartbeat.min(resend) };
        (self.state != State::Over).then_some(next)
    }

    /// The follower's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far the follower says it is, in this conversation.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Whether the follower is sent records as they come, and has all that are durable, but for what is on its way.
    pub fn is_caught_up(&self) -> bool {
        self.state == State::Streaming && self.sent >= self.outgoing.limit(self.end, self.commit)
    }

    /// Whether one of the two has refused to go on.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    fn goes_on(&self, stream: u64) -> bool {
        stream == self.stream && self.state != State::Over
    }

    fn report(&mut self, now: Duration, report: Report) -> Result<SenderEvent, SendError> {
        let received = report.marks.at(Stage::Received);
        if received > self.furthest {
            return Err(SendError::Ahead { got: received, sent: self.furthest });
        }
        if let State::Snapshot(_) = self.state {
            return Ok(SenderEvent::Nothing);
        }
        if received > self.sent {
            // It was about to be sent again.
            self.sent = received;
            self.outgoing.restart(received);
        }
        self.window.opens(report.window);
        if self.window.arrived(received.get()) {
            self.moved = now;
        }
        let advanced = self.marks.join(&report.marks);
        if self.state == State::Welcomed {
            self.state = State::Streaming;
            return Ok(SenderEvent::Ready(self.marks));
        }
        // Of a late report only its marks mean something: what it misses may have been sent since.
        if report.again && received >= self.marks.at(Stage::Received) {
            self.send_again(now);
        }
        Ok(if advanced { SenderEvent::Advanced(self.marks) } else { SenderEvent::Nothing })
    }

    fn snapshot_report(&mut self, now: Duration, report: SnapshotReport) -> SenderEvent {
        let State::Snapshot(mut transfer) = self.state else { return SenderEvent::Nothing };
        if report.received > transfer.sent {
            return SenderEvent::Nothing;
        }
        if self.window.arrived(report.received) {
            self.moved = now;
        }
        transfer.arrived = transfer.arrived.max(report.received);
        if report.installed && report.received == transfer.offer.bytes {
            self.state = State::Streaming;
            self.window.lost();
            self.marks = Marks::all(transfer.offer.identity.position.lsn);
            return SenderEvent::Installed(self.marks);
        }
        transfer.ready = true;
        self.state = State::Snapshot(transfer);
        if report.again && report.received == transfer.arrived {
            self.send_again(now);
        }
        SenderEvent::Nothing
    }

    /// Goes back to what the follower has.
    fn send_again(&mut self, now: Duration) {
        self.window.lost();
        self.moved = now;
        if let State::Snapshot(transfer) = &mut self.state {
            transfer.sent = transfer.arrived;
        } else {
            self.sent = self.marks.at(Stage::Received);
            self.outgoing.restart(self.sent);
        }
    }

    fn close_frame(&mut self, now: Duration) -> Result<(), SendError> {
        let (stream, epoch) = (self.stream, self.options.epoch);
        let bytes = self.outgoing.bytes();
        let Some((last, frame)) = self.outgoing.take(stream, epoch, self.commit, self.end)? else {
            return Ok(());
        };
        self.told = self.commit;
        self.send(now, last.get(), bytes, frame);
        Ok(())
    }

    fn send(&mut self, now: Duration, end: u64, bytes: usize, frame: Vec<u8>) {
        if self.window.is_idle() {
            self.moved = now;
        }
        self.window.sent(end, bytes);
        self.spoke = now;
        self.frames.push_back(frame);
    }
}

/// Behind which position a copy goes on; `None` when the log no longer has what comes after it.
fn behind_common(
    theirs: &[Position],
    log: &(impl History + ?Sized),
) -> Result<Option<Position>, AnswerError> {
    let ours = log.epoch_ends()?;
    let Some(common) = common_position(&ours, theirs).filter(|common| common.lsn >= before_oldest(log))
    else {
        return Ok(None);
    };
    // Where the follower ends first, its own word for the checksum is not needed. Where the log has no such place, or
    // another checksum there, the two are not of one history, whatever their epochs say.
    Ok(place_at(log, common.lsn)?.filter(|position| position.checksum == common.checksum))
}

fn before_oldest(log: &(impl History + ?Sized)) -> Lsn {
    log.oldest().previous().unwrap_or(Lsn::ZERO)
}
