//! A log that nodes share: it is read, cut and copied, as its engine asks.

use std::collections::VecDeque;

use crdt_sync::single_leader::host::{TaskError, carry_out};
use crdt_sync::{LogNews, LogTask};
use replication_log::{AppendCopyError, AppendError, Lsn, Position, PromiseError, TruncateAfterError};

use super::{Disk, DiskError};

/// What an engine asked for, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Waits, in its order, for the sync that is under way.
    waiting: VecDeque<LogTask>,
    /// Behind each batch that was appended since anybody asked.
    ends: Vec<Position>,
    news: VecDeque<LogNews>,
    /// Nothing is dropped once it is in a checkpoint.
    pub(super) keeps_all: bool,
}

impl Shared {
    pub(super) fn forget(&mut self) {
        *self = self.of_copy();
    }

    /// Of a disk on which nothing is under way.
    pub(super) fn of_copy(&self) -> Self {
        Self { keeps_all: self.keeps_all, ..Self::default() }
    }
}

impl Disk {
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
        Ok(carry_out(log, task).map_err(refused)?.news)
    }

    /// What came of what was carried out, the first first.
    pub(crate) fn poll_news(&mut self) -> Option<LogNews> {
        self.shared.news.pop_front()
    }

    /// Behind each batch that was appended since this was asked last.
    pub(crate) fn take_ends(&mut self) -> Vec<Position> {
        core::mem::take(&mut self.shared.ends)
    }

    /// Behind the last record in the log; nothing while it is not open.
    pub(crate) fn end(&self) -> Option<Position> {
        self.log.as_ref().map(replication_log::Log::last_position)
    }

    /// The last durable record; nothing while the log is not open.
    pub(crate) fn durable(&self) -> Lsn {
        self.log.as_ref().map_or(Lsn::ZERO, replication_log::Log::durable)
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

    pub(super) fn carry_waiting(&mut self) -> Result<(), DiskError> {
        while let Some(task) = self.shared.waiting.front() {
            let log = self.log.as_mut().ok_or(DiskError::Closed)?;
            let appends = matches!(task, LogTask::Append { .. } | LogTask::Copy { .. });
            match carry_out(log, task.clone()) {
                Ok(carried) => {
                    self.shared.news.extend(carried.news);
                    self.shared.ends.extend(appends.then(|| log.last_position()));
                    self.shared.waiting.pop_front();
                }
                Err(error) if has_to_wait(&error) => return Ok(()),
                Err(error) => return Err(refused(error)),
            }
        }
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
