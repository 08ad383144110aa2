//! Checkpoints on the disk: the engine gives them out between inputs, a thread of their own puts them away.
//!
//! A checkpoint gets its name only when it is durable as a whole; then what is older than the one before it goes:
//! checkpoints first, then the log below the older of the two that are kept. So there are always two ways to open the
//! node, one of which survives a file that went bad.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crdt_sync::{CheckpointPiece, Engine, LogEvent};
use replication_log::snapshot::Snapshots;
use replication_log::storage::{FileStorage, StorageError};
use replication_log::{LogHandle, Lsn, PositionError};
use thiserror::Error;
use tracing::{info, warn};

use crate::disk::{Claims, Kept, NotCut, claims};

/// How long the engine does other things between two pieces.
pub(crate) const PACE: Duration = Duration::from_millis(1);
/// How much of a checkpoint is asked for at a time: the longest that an input waits for one.
const PIECE: usize = 128 << 10;
/// Pieces that may wait for the disk; the engine is asked for no more until one is written.
const QUEUE: usize = 8;
/// How long after one was begun that has to be made, and did not come about, the next one is.
const AGAIN: Duration = Duration::from_secs(5);
/// At a clean shutdown a checkpoint is made of a log that has grown by this part of what makes one otherwise due.
const WORTHWHILE: u64 = 4;

/// What makes checkpoints of a node, and cuts its log.
pub(crate) struct Checkpoints {
    log: LogHandle<FileStorage>,
    snapshots: Snapshots<FileStorage>,
    kept: Arc<Kept>,
    /// One is made when the log has grown by so much.
    every: u64,
    /// By how much it has grown since the last one began.
    grown: u64,
    /// The size of the last one.
    size: u64,
    /// The newest one that is known to be whole: the node was opened from it, or this process wrote it.
    whole: Option<Lsn>,
    /// From when on one is to be made, though the log has not grown by so much.
    wanted: Option<Instant>,
    under_way: Option<UnderWay>,
    last_piece: Instant,
    /// What is to be told.
    events: Vec<LogEvent>,
}

/// A checkpoint that is being made.
struct UnderWay {
    lsn: Lsn,
    /// The way to the thread; none when everything was sent.
    parts: Option<SyncSender<Part>>,
    /// What did not fit into the queue.
    unsent: Option<Part>,
    thread: JoinHandle<Result<PutAway, Failure>>,
}

enum Part {
    Bytes(Vec<u8>),
    /// What is older than the one before this goes, if one is known to be whole.
    End {
        cut_below: Lsn,
        before: Option<Lsn>,
        claims: Option<Claims>,
    },
}

/// A checkpoint that is durable.
struct PutAway {
    bytes: u64,
    events: Vec<LogEvent>,
}

/// Why a checkpoint did not come about. The node goes on, and its log grows until one does.
#[derive(Debug, Error)]
enum Failure {
    #[error("the log is over")]
    Log,
    #[error(transparent)]
    Position(#[from] PositionError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the checkpoint is there, but the log was not cut: {0}")]
    Cut(#[from] NotCut),
    #[error("it was given up")]
    GivenUp,
}

impl Checkpoints {
    pub(crate) fn new(
        log: LogHandle<FileStorage>,
        snapshots: Snapshots<FileStorage>,
        kept: Arc<Kept>,
        every: u64,
        whole: Option<Lsn>,
    ) -> Self {
        Self {
            log,
            snapshots,
            kept,
            every,
            grown: 0,
            size: 0,
            whole,
            wanted: None,
            under_way: None,
            last_piece: Instant::now(),
            events: Vec::new(),
        }
    }

    /// The files.
    pub(crate) fn files(&self) -> &Snapshots<FileStorage> {
        &self.snapshots
    }

    /// What happened that is to be told.
    pub(crate) fn take_events(&mut self) -> Vec<LogEvent> {
        std::mem::take(&mut self.events)
    }

    /// Gives up the one that is being made, unless it is durable by now.
    pub(crate) fn give_up(&mut self) {
        self.finish();
    }

    /// Removes those of what is about to be cut off the log, durably.
    pub(crate) fn forget_behind(&mut self, lsn: Lsn) -> Result<(), StorageError> {
        self.give_up();
        self.whole = self.whole.filter(|whole| *whole <= lsn);
        self.snapshots.remove_after(lsn).map(drop)
    }

    /// The record up to which the log must stay because a checkpoint stands for it.
    pub(crate) fn newest(&self) -> Lsn {
        let under_way = self.under_way.as_ref().map(|under_way| under_way.lsn);
        self.whole.max(under_way).unwrap_or(Lsn::ZERO)
    }

    /// One is to be made though there may be nothing new to put into it: what is there cannot be read any more, so that
    /// it need not be later than that. Returns whether that was not known.
    pub(crate) fn want(&mut self) -> bool {
        self.whole = None;
        let is_news = self.wanted.is_none();
        self.wanted.get_or_insert_with(Instant::now);
        is_news
    }

    /// Takes note of what was appended.
    pub(crate) fn log_grew(&mut self, bytes: u64) {
        self.grown += bytes;
    }

    /// Whether there is something to [go on](Self::go_on) with.
    pub(crate) fn are_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Begins a checkpoint when one is due, and moves the one that is being made on by a piece. Says of which record
    /// there is one from now on.
    pub(crate) fn go_on(&mut self, engine: &mut Engine) -> Option<Lsn> {
        let is_wanted = self.wanted.is_some_and(|from| from <= Instant::now());
        if self.under_way.is_none() && (is_wanted || self.grown >= self.due_at()) {
            self.wanted = self.wanted.map(|_| Instant::now() + AGAIN);
            self.begin(engine);
        }
        if self.under_way.is_none() || self.last_piece.elapsed() < PACE {
            return None;
        }
        self.last_piece = Instant::now();
        self.step(engine, false)
    }

    /// Whether a checkpoint is to be finished, or made, before the log is closed.
    pub(crate) fn is_last_one_due(&self) -> bool {
        self.are_under_way() || self.grown >= self.due_at() / WORTHWHILE
    }

    /// Finishes the checkpoint that is being made, or makes one. Everything must be durable, and the engine know it.
    pub(crate) fn make_last(&mut self, engine: &mut Engine) {
        if self.under_way.is_none() {
            self.begin(engine);
        }
        while self.under_way.is_some() {
            self.step(engine, true);
        }
    }

    /// Writing more than the log grew by would cost more than it saves.
    fn due_at(&self) -> u64 {
        self.every.max(self.size)
    }

    fn begin(&mut self, engine: &mut Engine) {
        self.grown = 0;
        let lsn = engine.begin_checkpoint();
        if lsn <= self.newest() {
            // Where nodes share a log it can grow without anything of it being committed.
            return engine.abandon_checkpoint();
        }
        let (parts, queue) = sync_channel(QUEUE);
        let (log, snapshots) = (self.log.clone(), self.snapshots.clone());
        let kept = Arc::clone(&self.kept);
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || put_away(&log, &snapshots, lsn, &kept, &queue));
        match thread {
            Ok(thread) => self.under_way = Some(UnderWay { lsn, parts: Some(parts), unsent: None, thread }),
            Err(error) => {
                warn!(%error, "no thread for a checkpoint");
                engine.abandon_checkpoint();
            }
        }
    }

    /// Sends one piece, or looks whether all of them are put away: then there is one.
    fn step(&mut self, engine: &mut Engine, patiently: bool) -> Option<Lsn> {
        let under_way = self.under_way.as_mut()?;
        let over = under_way.thread.is_finished();
        if under_way.parts.is_some() && !over {
            under_way.send_next(engine, self.whole, patiently);
        } else if over || patiently {
            engine.abandon_checkpoint();
            return self.finish();
        }
        None
    }

    fn finish(&mut self) -> Option<Lsn> {
        let UnderWay { lsn, parts, thread, .. } = self.under_way.take()?;
        drop(parts);
        match thread.join().unwrap_or(Err(Failure::GivenUp)) {
            Ok(PutAway { bytes, events }) => {
                self.events.extend(events);
                info!(record = lsn.get(), bytes, "a checkpoint is durable");
                self.size = bytes;
            }
            Err(Failure::Cut(error)) => {
                warn!(record = lsn.get(), %error, "a checkpoint is durable, and the log was not cut");
            }
            Err(error) => {
                warn!(record = lsn.get(), %error, "a checkpoint did not come about");
                return None;
            }
        }
        (self.whole, self.wanted) = (Some(lsn), None);
        self.whole
    }
}

/// Whoever drops it does not wait for what is unfinished: without its end it gets no name.
impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.finish();
    }
}

impl UnderWay {
    fn send_next(&mut self, engine: &mut Engine, before: Option<Lsn>, patiently: bool) {
        let part = match self.unsent.take() {
            Some(part) => part,
            None => match engine.next_piece(PIECE) {
                Ok(CheckpointPiece::Bytes(bytes)) => Part::Bytes(bytes),
                Ok(CheckpointPiece::Complete { cut_below, .. }) => {
                    Part::End { cut_below, before, claims: claims(engine) }
                }
                // The log is not durable so far yet; where nothing more becomes durable, it is over.
                Ok(_) if !patiently => return,
                Ok(_) => return self.parts = None,
                Err(error) => {
                    warn!(%error, "a checkpoint is given up");
                    return self.parts = None;
                }
            },
        };
        let Some(parts) = &self.parts else { return };
        let is_end = matches!(part, Part::End { .. });
        let sent = if patiently {
            parts.send(part).map_err(|_| None)
        } else {
            parts.try_send(part).map_err(|error| match error {
                TrySendError::Full(part) => Some(part),
                TrySendError::Disconnected(_) => None,
            })
        };
        match sent {
            Ok(()) if is_end => self.parts = None,
            Ok(()) => {}
            Err(unsent) => self.unsent = unsent,
        }
    }
}

/// Writes a checkpoint, and drops what is older than the one before it. Without one nothing is dropped: all that is
/// there of the log is the second way to open the node.
fn put_away(
    log: &LogHandle<FileStorage>,
    snapshots: &Snapshots<FileStorage>,
    lsn: Lsn,
    kept: &Kept,
    parts: &Receiver<Part>,
) -> Result<PutAway, Failure> {
    log.sync().map_err(|_| Failure::Log)?;
    let identity = log.identity_at(lsn).map_err(|error| match error {
        replication_log::handle::SubmitError::Refused(error) => Failure::Position(error),
        _ => Failure::Log,
    })?;
    let mut writer = snapshots.receive(identity)?;
    let mut bytes = 0;
    for part in parts {
        match part {
            Part::Bytes(piece) => {
                bytes += piece.len() as u64;
                writer.write(&piece)?;
            }
            Part::End { cut_below, before, claims } => {
                writer.finish()?;
                let events = match before {
                    Some(before) => kept.drop_old(log, snapshots, (before, cut_below), claims.as_ref())?,
                    None => Vec::new(),
                };
                return Ok(PutAway { bytes, events });
            }
        }
    }
    Err(Failure::GivenUp)
}
