//! A log that nodes share: what the engine asks of it besides to append.

use crdt_sync::{LogNews, LogStanding, LogTask};
use replication_log::handle::{SubmitError, Tail, TailError, WaitError};
use replication_log::limits::MAX_EPOCH_ENDS;
use replication_log::ship::{Begin, HistoryView};
use replication_log::storage::FileStorage;
use replication_log::{AppendCopyError, BatchCopy, Lsn, PromiseError, ReadError, TruncateAfterError};
use thiserror::Error;
use tracing::{info, warn};

use super::Disk;
use super::cut_off::{NotPutAside, put_aside};

/// Places in the log at which reading goes on without a search: those of as many followers.
const MAX_TAILS: usize = 64;

/// Why the log did not do what was asked. The engine is over then.
#[derive(Debug, Error)]
pub(crate) enum TaskError {
    #[error("the records were not appended")]
    Append,
    #[error(transparent)]
    Copy(#[from] SubmitError<AppendCopyError>),
    #[error(transparent)]
    Promise(#[from] SubmitError<PromiseError>),
    #[error(transparent)]
    Cut(#[from] SubmitError<TruncateAfterError>),
    #[error(transparent)]
    Sync(#[from] WaitError),
    #[error(transparent)]
    NotPutAside(#[from] NotPutAside),
    #[error(transparent)]
    Tail(#[from] TailError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the log is closed")]
    Closed,
    #[error("what this node had shown was cut off its log, and put aside; it has to be opened again")]
    MustReopen,
    #[error("a task this driver does not know")]
    Unknown,
}

/// Readers that stand where somebody will go on, the one that was used last at the end.
#[derive(Debug, Default)]
pub(super) struct Tails(Vec<Tail<FileStorage>>);

impl Disk {
    /// Does what the engine asks of a log that nodes share, and returns what to tell it. Whether something became
    /// durable is reported as for any other log.
    pub(crate) fn carry_out(&mut self, task: LogTask) -> Result<Option<LogNews>, TaskError> {
        Ok(Some(match task {
            LogTask::Append { epoch, first, records } => {
                return if self.append(epoch, first, &records) { Ok(None) } else { Err(TaskError::Append) };
            }
            LogTask::Copy { reign, batches } => {
                for batch in &batches {
                    let batch = batch.lend();
                    let _reported_later = self.log.append_copy(reign, &batch)?;
                    self.checkpoints.log_grew(batch.encoded_bytes() as u64);
                }
                return Ok(None);
            }
            LogTask::Stand => LogNews::Stands(self.standing()?),
            LogTask::Begin(begin) => match self.begin(&begin) {
                Err(TaskError::Promise(SubmitError::Refused(PromiseError::Fenced { have, .. }))) => {
                    LogNews::Fenced { promised: have }
                }
                outcome => outcome.map(|()| LogNews::Begun)?,
            },
            LogTask::See { task, ends } => {
                let view = self.log.with_history(|history| HistoryView::read(history, &ends));
                match view.ok_or(TaskError::Closed)? {
                    Ok(view) => LogNews::Seen { task, view, snapshot: None },
                    Err(error) => {
                        warn!(%error, "the log cannot be read for a follower");
                        LogNews::Failed { task }
                    }
                }
            }
            LogTask::Read { task, after, bytes } => match self.batches_behind(after, bytes) {
                Ok(batches) => LogNews::Read { task, batches },
                Err(error) => {
                    warn!(%error, "the log cannot be read for a follower");
                    LogNews::Failed { task }
                }
            },
            LogTask::Reopen => return Err(TaskError::MustReopen),
            _ => return Err(TaskError::Unknown),
        }))
    }

    /// What a report of before the log was cut is worth still.
    pub(crate) fn still_durable(&self, reported: Lsn) -> Lsn {
        if self.was_cut {
            self.log.durable().map_or(reported, |durable| reported.min(durable))
        } else {
            reported
        }
    }

    fn standing(&self) -> Result<LogStanding, TaskError> {
        let ends = self.log.with_history(|history| history.epoch_ends()).ok_or(TaskError::Closed)?;
        let mut ends = ends?;
        ends.truncate(MAX_EPOCH_ENDS);
        let promised = self.log.epoch().ok_or(TaskError::Closed)?;
        Ok(LogStanding { promised, end: self.log.last_position().ok_or(TaskError::Closed)?, ends })
    }

    /// Promises the epoch first: from then on nobody of before changes the log.
    fn begin(&mut self, begin: &Begin) -> Result<(), TaskError> {
        self.log.promise_epoch(begin.promise)?;
        let Some(end) = begin.cut else { return Ok(()) };
        if let Some(first) = end.lsn.next().filter(|_| self.log.last().is_some_and(|last| end.lsn < last)) {
            self.log.sync()?;
            let mut tail = self.log.tail(first)?;
            let file = put_aside(&self.storage, (end, begin.promise), &mut tail)?;
            info!(first = first.get(), %file, "what the leader does not have is cut off the log and put aside");
        }
        self.tails = Tails::default();
        self.was_cut = true;
        // What is in a checkpoint is applied, and what is applied the engine does not ask to have cut.
        self.log.truncate_after(end.lsn, self.checkpoints.newest())?;
        Ok(())
    }

    /// The durable batches behind a record: as many as have so many bytes together, and at least one if there is one.
    fn batches_behind(&mut self, after: Lsn, bytes: usize) -> Result<Vec<BatchCopy>, TailError> {
        let Some(first) = after.next() else { return Ok(Vec::new()) };
        let known = self.tails.0.iter().position(|tail| tail.position() == first);
        let mut tail = match known {
            Some(index) => self.tails.0.remove(index),
            None => self.log.tail(first)?,
        };
        let (mut batches, mut read) = (Vec::new(), 0_usize);
        while read < bytes.max(1)
            && let Some(batch) = tail.try_next_batch()?
        {
            read = read.saturating_add(batch.encoded_bytes());
            batches.push(batch.to_copy());
        }
        if self.tails.0.len() == MAX_TAILS {
            self.tails.0.remove(0);
        }
        self.tails.0.push(tail);
        Ok(batches)
    }
}
