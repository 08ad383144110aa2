//! A log that nodes share: it is read, cut and copied, as its engine asks, and replaced by a snapshot of another one.
//!
//! A snapshot arrives in a directory of its own, in which a log is made that begins behind it and has promised the same
//! epoch. When all of that is durable the directory takes the place of the old one, in one step. Whatever happens
//! before, the old log is there; what arrived in part is forgotten when the process ends.

use std::collections::VecDeque;

use crdt_sync::single_leader::host::{Carried, Photographs, TaskError, carry_out_with, tail_behind};
use crdt_sync::{LogNews, LogTask};
use replication_log::ship::Begin;
use replication_log::snapshot::{SnapshotIdentity, Snapshots};
use replication_log::storage::{FaultStorage, Survivors};
use replication_log::{
    AppendCopyError, AppendError, Epoch, Log, LogOptions, Lsn, Position, PromiseError, TruncateAfterError,
};

use super::{Disk, DiskError};
use crate::world::LogPlace;

/// Holds a few batches, so that a log that lets go of its past soon does.
const SMALL_SEGMENT_BYTES: u64 = 1 << 10;

/// What an engine asked for, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Waits, in its order, for the sync that is under way.
    waiting: VecDeque<LogTask>,
    /// Behind each batch that was appended since anybody asked.
    ends: Vec<Position>,
    news: VecDeque<LogNews>,
    /// Behind which position the log was cut, and the ends of the batches that were kept aside.
    cut_off: Vec<(Position, Vec<LogPlace>)>,
    /// Another engine has to be opened.
    replacement: Option<Replacement>,
    /// The newest epoch that is promised durably.
    promised: Epoch,
    /// The snapshots beside the log.
    pub(super) served: Option<Photographs<FaultStorage>>,
    /// The snapshot that arrives, and where.
    arriving: Option<(FaultStorage, Photographs<FaultStorage>)>,
    /// Nothing is dropped once it is in a checkpoint.
    pub(super) keeps_all: bool,
    pub(super) mistakes: Mistakes,
    /// With a mistake: what a loss of power brings back.
    former: Option<(FaultStorage, LogOptions)>,
}

/// Why another engine has to be opened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Replacement {
    /// What the present one shows was cut off.
    Cut,
    /// A snapshot was installed, and the log begins here.
    Installed(Position),
}

/// Mistakes of a driver.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mistakes {
    /// What is cut off a log is not kept.
    pub(crate) drops_tails: bool,
    /// A snapshot takes the place of the log, and whether that is durable nobody asks.
    pub(crate) installs_early: bool,
    /// What the log is to promise it does not.
    pub(crate) forgets_promises: bool,
}

impl Shared {
    pub(super) fn forget(&mut self) {
        *self = Self { former: self.former.take(), ..self.of_copy() };
    }

    /// Of a disk on which nothing is under way.
    pub(super) fn of_copy(&self) -> Self {
        Self { keeps_all: self.keeps_all, mistakes: self.mistakes, ..Self::default() }
    }

    /// What else there is that can fail.
    pub(super) fn beside(&self) -> impl Iterator<Item = &FaultStorage> {
        self.arriving.iter().map(|(storage, _)| storage)
    }
}

impl Disk {
    /// From now on the log goes that is behind checkpoints, and soon, as its segments are small.
    pub(crate) fn lets_go(&mut self) {
        self.shared.keeps_all = false;
        self.options = self.options.clone().segment_bytes(SMALL_SEGMENT_BYTES).preallocate_bytes(0);
    }

    /// From now on its driver makes these mistakes.
    pub(crate) fn plant(&mut self, mistakes: Mistakes) {
        self.shared.mistakes = mistakes;
    }

    /// Does what changes the log or must come in its turn. What comes of it is told by [`poll_news`](Self::poll_news).
    pub(crate) fn carry(&mut self, task: LogTask) -> Result<(), DiskError> {
        if self.full && !matches!(task, LogTask::Stand) {
            return Err(DiskError::Full);
        }
        match task {
            // One by one, as each may need a new segment and have to wait.
            LogTask::Copy { reign, batches } => {
                let each = batches.into_iter().map(|batch| LogTask::Copy { reign, batches: vec![batch] });
                self.shared.waiting.extend(each);
            }
            task => self.shared.waiting.push_back(task),
        }
        self.carry_waiting()
    }

    /// Reads what an engine wants to know for others.
    pub(crate) fn look(&mut self, task: LogTask) -> Result<Option<LogNews>, DiskError> {
        let log = self.log.as_mut().ok_or(DiskError::Closed)?;
        Ok(carry_out_with(log, self.shared.served.as_mut(), task).map_err(refused)?.news)
    }

    /// What came of what was carried out, the first first.
    pub(crate) fn poll_news(&mut self) -> Option<LogNews> {
        self.shared.news.pop_front()
    }

    /// Behind each batch that was appended since this was asked last.
    pub(crate) fn take_ends(&mut self) -> Vec<Position> {
        core::mem::take(&mut self.shared.ends)
    }

    /// Where the log was cut since this was asked last, and the ends of the batches that were kept aside.
    pub(crate) fn take_cut_off(&mut self) -> Vec<(Position, Vec<LogPlace>)> {
        core::mem::take(&mut self.shared.cut_off)
    }

    /// Whether another engine has to be opened, and why.
    pub(crate) fn take_replacement(&mut self) -> Option<Replacement> {
        self.shared.replacement.take()
    }

    /// Whether a snapshot arrives.
    pub(crate) fn is_installing(&self) -> bool {
        self.shared.arriving.is_some()
    }

    /// Behind the last record in the log; nothing while it is not open.
    pub(crate) fn end(&self) -> Option<Position> {
        self.log.as_ref().map(Log::last_position)
    }

    /// The newest epoch that the log has promised durably; nothing while it is not open.
    pub(crate) fn promised(&self) -> Option<Epoch> {
        self.log.as_ref().map(|log| if self.awaits_sync() { self.shared.promised } else { log.epoch() })
    }

    /// The oldest record in the log.
    pub(crate) fn oldest(&self) -> Lsn {
        self.log.as_ref().map_or(Lsn::FIRST, Log::oldest)
    }

    /// The last durable record; nothing while the log is not open.
    pub(crate) fn durable(&self) -> Lsn {
        self.log.as_ref().map_or(Lsn::ZERO, Log::durable)
    }

    /// The bytes of all batches, in their order, each behind its place.
    pub(crate) fn batches(&self) -> Result<Vec<(Position, Vec<u8>)>, DiskError> {
        let log = self.log.as_ref().ok_or(DiskError::Closed)?;
        let (mut reader, mut batches) = (log.read_batches_from(log.oldest())?, Vec::new());
        while let Some(batch) = reader.next_batch()? {
            batches.push((batch.end(), batch.body().to_vec()));
        }
        Ok(batches)
    }

    /// The snapshots beside a log that was opened are there for whoever lacks it.
    pub(super) fn serve_snapshots(&mut self) -> Result<(), DiskError> {
        self.shared.promised = self.log.as_ref().map_or(Epoch::ZERO, Log::epoch);
        self.shared.served = Some(Photographs::new(self.snapshots()?));
        Ok(())
    }

    /// The power is gone before the mistake was made good.
    pub(super) fn bring_back_former(&mut self) {
        if let Some((storage, options)) = self.shared.former.take() {
            (self.storage, self.options) = (storage, options);
        }
    }

    /// A sync makes good what was mistaken before.
    pub(super) fn has_synced(&mut self) {
        self.shared.former = None;
        self.shared.promised = self.promised().unwrap_or_default();
    }

    pub(super) fn carry_waiting(&mut self) -> Result<(), DiskError> {
        while self.shared.replacement.is_none()
            && let Some(task) = self.shared.waiting.front()
        {
            let task = task.clone();
            let appends = matches!(task, LogTask::Append { .. } | LogTask::Copy { .. });
            let tail = self.tail_to_cut(&task);
            let carried = match self.carry_one(task) {
                Ok(Some(carried)) => carried,
                Ok(None) => return Ok(()),
                Err(error) => {
                    // Whether it is cut is known when the log is opened again.
                    self.shared.cut_off.extend(tail);
                    return Err(error);
                }
            };
            self.shared.waiting.pop_front();
            let end = self.end().unwrap_or(Position::ORIGIN);
            self.shared.ends.extend(appends.then_some(end));
            if matches!(carried.news, Some(LogNews::Begun)) {
                self.shared.cut_off.extend(tail);
                self.shared.promised = self.log.as_ref().map_or(Epoch::ZERO, Log::epoch);
            }
            self.shared.news.extend(carried.news);
            if carried.reopens {
                self.shared.replacement = Some(Replacement::Cut);
            }
            if let Some(identity) = carried.installs {
                self.replace_log(identity)?;
            }
        }
        Ok(())
    }

    /// Where a task cuts the log, and what is kept aside before it does.
    fn tail_to_cut(&self, task: &LogTask) -> Option<(Position, Vec<LogPlace>)> {
        let (LogTask::Begin(Begin { cut: Some(cut), .. }), Some(log)) = (task, &self.log) else {
            return None;
        };
        let tail = if self.shared.mistakes.drops_tails {
            Vec::new()
        } else {
            tail_behind(log, cut.lsn, usize::MAX).ok()?
        };
        Some((*cut, tail.iter().map(|batch| LogPlace::of(batch.lend().end())).collect()))
    }

    /// Does one thing; nothing while that has to wait.
    fn carry_one(&mut self, task: LogTask) -> Result<Option<Carried>, DiskError> {
        if let LogTask::KeepSnapshot { offset: 0, .. } = &task {
            self.make_place()?;
        }
        if let LogTask::Begin(begin) = &task
            && begin.cut.is_some_and(|cut| self.lets_go_of(cut.lsn))
        {
            return Err(DiskError::CutTooFar);
        }
        if self.shared.mistakes.forgets_promises
            && matches!(task, LogTask::Begin(Begin { cut: None, snapshot: None, .. }))
        {
            self.shared.news.push_back(LogNews::Begun);
            return Ok(Some(Carried::default()));
        }
        let log = self.log.as_mut().ok_or(DiskError::Closed)?;
        let photographs = match &task {
            LogTask::KeepSnapshot { .. } | LogTask::Install(_) => {
                self.shared.arriving.as_mut().map(|(_, photographs)| photographs)
            }
            _ => self.shared.served.as_mut(),
        };
        match carry_out_with(log, photographs, task) {
            Ok(carried) => Ok(Some(carried)),
            Err(error) if has_to_wait(&error) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    /// Whether the log would begin behind its end if it were cut here, or no state is left to begin with.
    fn lets_go_of(&self, lsn: Lsn) -> bool {
        let Some(log) = &self.log else { return false };
        let Ok(checkpoints) = self.checkpoints() else { return false };
        log.oldest() > Lsn::FIRST && checkpoints.first().is_none_or(|oldest| lsn < *oldest)
    }

    /// A directory for a snapshot that is about to arrive.
    fn make_place(&mut self) -> Result<(), DiskError> {
        let storage = FaultStorage::new();
        if self.stopping {
            storage.stop_after(1);
        }
        if self.failing {
            storage.fail_syncs(1);
        }
        let snapshots = Snapshots::open(storage.clone())?.chunk_bytes(super::checkpoints::CHUNK_BYTES);
        self.shared.arriving = Some((storage, Photographs::new(snapshots)));
        Ok(())
    }

    /// A snapshot is whole: a log that begins behind it takes the place of this one.
    fn replace_log(&mut self, identity: SnapshotIdentity) -> Result<(), DiskError> {
        let promised = self.log.as_ref().map(Log::epoch).ok_or(DiskError::Closed)?;
        let Some((storage, _)) = self.shared.arriving.take() else { return Err(DiskError::Closed) };
        let mut options = self.options.clone();
        options.log_id = identity.log_id;
        let (mut log, _) = Log::open(storage.clone(), options.clone().starts_after(identity.position))?;
        if promised > log.epoch() {
            log.promise_epoch(promised).map_err(|error| DiskError::Task(error.to_string()))?;
        }
        drop(log);
        if self.shared.mistakes.installs_early {
            self.shared.former = Some((self.storage.clone(), self.options.clone()));
            self.storage.crash(Survivors::NOTHING);
        }
        self.storage = storage;
        self.options = options;
        self.shared.replacement = Some(Replacement::Installed(identity.position));
        Ok(())
    }
}

fn has_to_wait(error: &TaskError) -> bool {
    matches!(
        error,
        TaskError::Append(AppendError::SyncUnderWay)
            | TaskError::Copy(AppendCopyError::Append(AppendError::SyncUnderWay))
            | TaskError::Promise(PromiseError::SyncUnderWay)
            | TaskError::Cut(TruncateAfterError::SyncUnderWay)
    )
}

fn refused(error: TaskError) -> DiskError {
    match error {
        TaskError::Append(error) => error.into(),
        error => DiskError::Task(error.to_string()),
    }
}
