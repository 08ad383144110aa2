//! The end that has the copy: what is appended, what is asked for again, what is refused.

mod options;
mod step;

use alloc::{collections::VecDeque, string::String, vec::Vec};

pub use options::{ReceiverOptions, Wants};
pub use step::{Begin, ReceiveError, Step};

use super::{
    Marks, SnapshotOffer, Stage,
    wire::{
        self, Alive, FrameError, Hello, PROTOCOL_VERSIONS, Refusal, Report, SnapshotPart, SnapshotReport,
        Start, Stream, ToFollower, Welcome,
    },
};
use crate::{Epoch, Lsn, Position, snapshot::SnapshotIdentity};

/// How often in a row a batch may arrive that does not follow before the two logs are held to have parted.
const CHANCES: u32 = 3;

/// What a follower does with what it is sent: decides, and does no IO.
///
/// It lives as long as the follower, through many connections: each begins with a [`hello`](Receiver::hello). Every
/// frame that arrives leads to one [`Step`], which its host takes before the next frame; when the disk is further
/// the host says so ([`mark`](Receiver::mark)), and sends what there is to [`poll`](Receiver::poll). See [`Sender`] for
/// an example.
///
/// Nothing is appended that does not follow what is there: by number, by epoch, and by the running checksum over
/// all that came before. Nothing is acknowledged before the leader's epoch is promised, and nothing of a leader of an
/// older one taken.
///
/// [`Sender`]: super::Sender
#[derive(Debug)]
pub struct Receiver {
    options: ReceiverOptions,
    /// The highest epoch that is promised.
    promised: Epoch,
    /// Whom it follows or followed last, and under which epoch.
    leader: Option<(Epoch, String)>,
    stream: u64,
    state: State,
    /// Behind everything that was handed to the host.
    end: Position,
    marks: Marks,
    /// What must not be cut.
    floor: Lsn,
    commit: Lsn,
    leader_end: Lsn,
    /// What was handed to the host and not written yet: the last record of each frame, and its bytes.
    unwritten: VecDeque<(Lsn, usize)>,
    /// How often in a row something arrived that does not follow.
    misfits: u32,
    /// Whether there is something to report, and whether something is to be sent again.
    news: bool,
    again: bool,
    /// Behind what it was asked for again: once is enough, for what follows arrives behind a gap as well.
    asked_behind: Option<u64>,
    frames: VecDeque<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody is spoken to.
    Apart,
    /// The leader was told what is here, and has not answered.
    Asked,
    /// The leader has answered, and the host is about to [begin](Receiver::begun).
    Beginning { epoch: Epoch, start: Start },
    /// A snapshot arrives; so many of its bytes are here.
    Snapshot { identity: SnapshotIdentity, bytes: u64, received: u64 },
    /// All of it is here, and the host is about to install it.
    Installing { identity: SnapshotIdentity, bytes: u64 },
    /// Batches or transactions arrive.
    Following,
}

impl Receiver {
    /// A follower whose log has promised `promised` and ends at `end`, all of it durable; for a logical stream, which
    /// has applied everything up to `end`, of which only the record counts.
    pub fn new(options: ReceiverOptions, promised: Epoch, end: Position) -> Self {
        let mut marks = Marks::default();
        let is_logical = matches!(options.wants, Wants::Logical { .. });
        marks.raise(if is_logical { Stage::Applied } else { Stage::Flushed }, end.lsn);
        Self {
            options,
            promised,
            leader: None,
            stream: 0,
            state: State::Apart,
            end,
            marks,
            floor: Lsn::ZERO,
            commit: Lsn::ZERO,
            leader_end: Lsn::ZERO,
            unwritten: VecDeque::new(),
            misfits: 0,
            news: false,
            again: false,
            asked_behind: None,
            frames: VecDeque::new(),
        }
    }

    /// The first word of a new conversation. `stream` is a number drawn for it; `ends` says where the log's epochs end
    /// ([`Log::epoch_ends`](crate::Log::epoch_ends), of which
    /// [`MAX_EPOCH_ENDS`](crate::limits::MAX_EPOCH_ENDS) are told), and does not matter for a logical stream.
    ///
    /// What was handed to the host must be in the log by now, and durable: `ends` is read from it.
    pub fn hello(&mut self, stream: u64, mut ends: Vec<Position>) -> Vec<u8> {
        ends.truncate(crate::limits::MAX_EPOCH_ENDS);
        (self.stream, self.state, self.misfits) = (stream, State::Asked, 0);
        self.frames.clear();
        (self.news, self.again, self.asked_behind) = (false, false, None);
        let wants = match &self.options.wants {
            Wants::Copy { pages } => Stream::Copy { pages: *pages, ends },
            Wants::Logical { formats, filter } => {
                Stream::Logical { formats: *formats, filter: filter.clone(), after: self.end.lsn }
            }
        };
        let (name, epoch, window) = (self.options.name.clone(), self.promised, self.options.window);
        Hello { versions: PROTOCOL_VERSIONS, stream, name, epoch, window, wants }.encode()
    }

    /// The connection is gone: what still comes of it means nothing.
    pub fn apart(&mut self) {
        self.state = State::Apart;
    }

    /// Takes a frame. One of another conversation means nothing, and [is said to](Step::Stray).
    ///
    /// Batches are lent from the frame. O(bytes).
    pub fn handle<'f>(&mut self, frame: &'f [u8]) -> Result<Step<'f>, ReceiveError> {
        match ToFollower::decode(frame) {
            Ok(message) => self.take(message),
            Err(error @ FrameError::Damaged { .. }) => {
                self.ask_again();
                Err(error.into())
            }
            Err(error) => {
                self.refuse(&Refusal::Senseless { damaged: false });
                Err(error.into())
            }
        }
    }

    fn take<'f>(&mut self, message: ToFollower<'f>) -> Result<Step<'f>, ReceiveError> {
        match message {
            ToFollower::Welcome(welcome) if welcome.stream == self.stream => self.welcome(welcome),
            ToFollower::Batches(batches) if self.goes_on(batches.stream) => self.batches(batches),
            ToFollower::Transactions(transactions) if self.goes_on(transactions.stream) => {
                self.transactions(transactions)
            }
            ToFollower::Alive(alive) if self.goes_on(alive.stream) => self.alive(alive),
            ToFollower::SnapshotPart(part) if self.goes_on(part.stream) => self.snapshot_part(part),
            ToFollower::Refused { stream, refusal } if self.goes_on(stream) => {
                self.state = State::Apart;
                Ok(Step::Refused(refusal))
            }
            _ => Ok(Step::Stray),
        }
    }

    /// Everything that a [`Begin`] asks for is done, and durable.
    pub fn begun(&mut self) {
        let State::Beginning { epoch, start } = self.state else { return };
        self.promised = self.promised.max(epoch);
        match start {
            Start::After(position) => {
                if matches!(self.options.wants, Wants::Copy { .. }) {
                    self.end = position;
                    // Of what comes now in the place of what was here only this leader can say that it is committed.
                    self.commit = self.commit.min(position.lsn);
                    self.marks.cut(position.lsn);
                    self.unwritten.clear();
                }
                self.state = State::Following;
                self.news = true;
            }
            Start::Snapshot { identity, bytes: 0 } => self.state = State::Installing { identity, bytes: 0 },
            Start::Snapshot { identity, bytes } => {
                self.state = State::Snapshot { identity, bytes, received: 0 };
                self.ask_again();
            }
        }
    }

    /// The snapshot is whole, durable, and in use, and the log begins behind it.
    pub fn installed(&mut self) {
        let State::Installing { identity, bytes } = self.state else { return };
        self.end = identity.position;
        self.marks = Marks::all(identity.position.lsn);
        self.floor = identity.position.lsn;
        self.unwritten.clear();
        self.state = State::Following;
        self.report_snapshot(bytes, false, true);
        self.news = true;
    }

    /// What was handed in is at `stage` up to `lsn`.
    pub fn mark(&mut self, stage: Stage, lsn: Lsn) {
        self.news |= self.marks.raise(stage, lsn.min(self.end.lsn));
        let written = self.marks.at(Stage::Written);
        while self.unwritten.front().is_some_and(|(last, _)| *last <= written) {
            self.unwritten.pop_front();
        }
    }

    /// The host has promised an epoch, to a candidate for example: whoever leads under an older one is not followed
    /// any longer, also on the connection that it has.
    pub fn promised(&mut self, epoch: Epoch) {
        self.promised = self.promised.max(epoch);
    }

    /// Nothing up to `lsn` may be cut: it is applied, or known to be committed.
    pub fn keep(&mut self, lsn: Lsn) {
        self.floor = self.floor.max(lsn);
    }

    /// The next frame for the leader, if there is one. Ask until there is none, after every other call.
    ///
    /// A report tells everything up to now, so it costs nothing to ask late.
    pub fn poll(&mut self) -> Option<Vec<u8>> {
        if let Some(frame) = self.frames.pop_front() {
            return Some(frame);
        }
        if self.state != State::Following || !core::mem::take(&mut self.news) {
            return None;
        }
        let again = core::mem::take(&mut self.again);
        let (stream, marks) = (self.stream, self.marks);
        Some(Report { stream, marks, again, window: self.open_window() }.encode())
    }

    /// The last record that is here and known to be committed: what may be applied, once it is durable.
    pub fn committed(&self) -> Lsn {
        self.commit.min(self.end.lsn)
    }

    /// The last durable record of the leader, as it said last.
    pub fn leader_end(&self) -> Lsn {
        self.leader_end
    }

    /// Whom it follows or followed last, and under which epoch.
    pub fn leader(&self) -> Option<(&str, Epoch)> {
        self.leader.as_ref().map(|(epoch, leader)| (leader.as_str(), *epoch))
    }

    /// Behind everything that was handed to the host.
    pub fn end(&self) -> Position {
        self.end
    }

    /// How far this follower is.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Whether it is sent what the log goes on with.
    pub fn is_following(&self) -> bool {
        self.state == State::Following
    }

    fn goes_on(&self, stream: u64) -> bool {
        stream == self.stream && self.state != State::Apart
    }

    fn open_window(&self) -> u32 {
        let unwritten: usize = self.unwritten.iter().map(|(_, bytes)| bytes).sum();
        self.options.window.saturating_sub(u32::try_from(unwritten).unwrap_or(u32::MAX))
    }

    fn welcome<'f>(&mut self, welcome: Welcome) -> Result<Step<'f>, ReceiveError> {
        if self.state != State::Asked {
            // The same answer, once more.
            return Ok(Step::Nothing);
        }
        let Welcome { version, leader, epoch, start, .. } = welcome;
        if epoch < self.promised {
            return self.part(Refusal::Fenced { have: self.promised, got: epoch });
        }
        if let Some((known, rival)) = &self.leader
            && *known == epoch
            && *rival != leader
        {
            return self.part(Refusal::RivalLeader { epoch, leader: rival.clone() });
        }
        if !(PROTOCOL_VERSIONS.min..=PROTOCOL_VERSIONS.max).contains(&version) {
            return self.part(Refusal::ProtocolVersion { versions: PROTOCOL_VERSIONS });
        }
        let is_copy = matches!(self.options.wants, Wants::Copy { .. });
        let begin = match start {
            Start::After(common) if !is_copy && common.lsn == self.end.lsn => {
                Begin { promise: epoch, cut: None, snapshot: None }
            }
            Start::After(common) if is_copy && common.lsn <= self.end.lsn => {
                if common.lsn < self.floor {
                    return self.part(Refusal::Diverged { common: common.lsn, floor: self.floor });
                }
                let cut = (common.lsn < self.end.lsn).then_some(common);
                if cut.is_none() && common.checksum != self.end.checksum {
                    return self.part(Refusal::Senseless { damaged: false });
                }
                Begin { promise: epoch, cut, snapshot: None }
            }
            Start::After(_) => return self.part(Refusal::Senseless { damaged: false }),
            Start::Snapshot { identity, .. } if identity.position.lsn < self.floor => {
                let (common, floor) = (identity.position.lsn, self.floor);
                return self.part(Refusal::Diverged { common, floor });
            }
            Start::Snapshot { identity, bytes } => {
                Begin { promise: epoch, cut: None, snapshot: Some(SnapshotOffer { identity, bytes }) }
            }
        };
        self.leader = Some((epoch, leader));
        self.state = State::Beginning { epoch, start };
        Ok(Step::Begin(begin))
    }

    fn batches<'f>(&mut self, frame: wire::Batches<'f>) -> Result<Step<'f>, ReceiveError> {
        if self.state != State::Following || matches!(self.options.wants, Wants::Logical { .. }) {
            return Ok(Step::Nothing);
        }
        self.check_reign(frame.epoch)?;
        self.heard(frame.commit, frame.end);
        let (mut accepted, mut bytes) = (Vec::with_capacity(frame.batches.len()), 0);
        for batch in frame.batches {
            if batch.last() <= self.end.lsn {
                // Sent again, because a report was late: report once more.
                self.news = true;
            } else if batch.follows(self.end) {
                self.end = batch.end();
                bytes += batch.body().len();
                accepted.push(batch);
            } else {
                if Some(batch.first()) == self.end.lsn.next() {
                    self.misfit()?;
                }
                self.ask_again();
                break;
            }
        }
        if accepted.is_empty() {
            return Ok(Step::Nothing);
        }
        self.misfits = 0;
        self.received(bytes);
        Ok(Step::Append { reign: frame.epoch, batches: accepted })
    }

    fn transactions<'f>(&mut self, frame: wire::Transactions) -> Result<Step<'f>, ReceiveError> {
        if self.state != State::Following || matches!(self.options.wants, Wants::Copy { .. }) {
            return Ok(Step::Nothing);
        }
        self.check_reign(frame.epoch)?;
        self.heard(frame.commit, frame.end);
        let mut accepted = Vec::new();
        for transaction in frame.transactions {
            if transaction.last() <= self.end.lsn {
                self.news = true;
            } else if Some(transaction.first()) == self.end.lsn.next() {
                self.end.lsn = transaction.last();
                accepted.push(transaction);
            } else {
                self.ask_again();
                break;
            }
        }
        if accepted.is_empty() {
            return Ok(Step::Nothing);
        }
        self.received(0);
        Ok(Step::Apply(accepted))
    }

    fn alive<'f>(&mut self, alive: Alive) -> Result<Step<'f>, ReceiveError> {
        if matches!(self.state, State::Asked | State::Beginning { .. }) {
            return Ok(Step::Nothing);
        }
        self.check_reign(alive.epoch)?;
        if self.state == State::Following {
            // Before that it says nothing of the log that is here.
            self.heard(alive.commit, alive.end);
        }
        // The leader hears that this end is there, too.
        self.news = true;
        Ok(Step::Nothing)
    }

    fn snapshot_part<'f>(&mut self, part: SnapshotPart<'f>) -> Result<Step<'f>, ReceiveError> {
        let State::Snapshot { identity, bytes, received } = self.state else { return Ok(Step::Nothing) };
        self.check_reign(part.epoch)?;
        if part.offset != received {
            if part.offset > received {
                self.ask_again();
            }
            return Ok(Step::Nothing);
        }
        let received = received.saturating_add(part.bytes.len() as u64);
        if received > bytes || part.bytes.is_empty() {
            self.refuse(&Refusal::Senseless { damaged: false });
            return Err(ReceiveError::OutOfTurn);
        }
        let is_last = received == bytes;
        self.state = if is_last {
            State::Installing { identity, bytes }
        } else {
            State::Snapshot { identity, bytes, received }
        };
        if !is_last {
            self.report_snapshot(received, false, false);
        }
        Ok(Step::Snapshot { part: part.bytes, is_last })
    }

    /// Only the leader that was promised to is listened to.
    fn check_reign(&mut self, epoch: Epoch) -> Result<(), ReceiveError> {
        let followed = self.leader.as_ref().map_or(Epoch::ZERO, |(followed, _)| *followed);
        if epoch != followed || epoch < self.promised {
            return self.part(Refusal::Fenced { have: self.promised, got: epoch });
        }
        Ok(())
    }

    fn heard(&mut self, commit: Lsn, end: Lsn) {
        self.commit = self.commit.max(commit);
        self.leader_end = self.leader_end.max(end);
    }

    fn received(&mut self, bytes: usize) {
        self.marks.raise(Stage::Received, self.end.lsn);
        self.unwritten.push_back((self.end.lsn, bytes));
        self.news = true;
    }

    /// Something came that should follow and does not: damage on the way, or another history.
    fn misfit(&mut self) -> Result<(), ReceiveError> {
        self.misfits += 1;
        if self.misfits < CHANCES {
            return Ok(());
        }
        let end = self.end.lsn;
        self.refuse(&Refusal::Senseless { damaged: false });
        Err(ReceiveError::Parted { end })
    }

    /// Asks for what comes next, unless it was. If that is lost as well, the leader will notice in time.
    fn ask_again(&mut self) {
        let behind = match self.state {
            State::Following => self.end.lsn.get(),
            State::Snapshot { received, .. } => received,
            _ => return,
        };
        if self.asked_behind.replace(behind) == Some(behind) {
            return;
        }
        if self.state == State::Following {
            (self.news, self.again) = (true, true);
        } else {
            self.report_snapshot(behind, true, false);
        }
    }

    fn report_snapshot(&mut self, received: u64, again: bool, installed: bool) {
        let report = SnapshotReport { stream: self.stream, received, again, installed };
        self.frames.push_back(report.encode());
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.frames.push_back(refusal.encode(self.stream));
        self.state = State::Apart;
    }

    fn part<T>(&mut self, refusal: Refusal) -> Result<T, ReceiveError> {
        self.refuse(&refusal);
        Err(ReceiveError::Refused(refusal))
    }
}
