//! A log that nodes share: what the engine asks of it besides to append.

use crdt_sync::single_leader::Grant;
use crdt_sync::single_leader::host::TaskError as HostError;
use crdt_sync::{LogEvent, LogNews, LogStanding, LogTask};
use replication_log::handle::{SubmitError, Tail, TailError, WaitError};
use replication_log::limits::MAX_EPOCH_ENDS;
use replication_log::ship::{Begin, HistoryView};
use replication_log::snapshot::SnapshotIdentity;
use replication_log::storage::{FileStorage, StorageError};
use replication_log::{
    AppendCopyError, BatchCopy, Epoch, Lsn, Position, PositionError, PromiseError, ReadError, SyncError,
    TruncateAfterError, install,
};
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
    #[error(transparent)]
    Position(#[from] SubmitError<PositionError>),
    #[error(transparent)]
    Write(#[from] SubmitError<SyncError>),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("a task this driver does not know")]
    Unknown,
}

/// What came of a task.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// What to tell the engine.
    pub(crate) news: Option<LogNews>,
    /// What to tell operators.
    pub(crate) event: Option<LogEvent>,
    /// Whether another engine has to be opened from the directory.
    pub(crate) reopens: bool,
}

/// Readers that stand where somebody will go on, the one that was used last at the end.
#[derive(Debug, Default)]
pub(super) struct Tails(Vec<Tail<FileStorage>>);

impl Disk {
    /// Does what the engine asks of a log that nodes share. Whether something became durable is reported as for any
    /// other log.
    pub(crate) fn carry_out(&mut self, task: LogTask) -> Result<Carried, TaskError> {
        let news = match task {
            LogTask::Append { epoch, first, records } => {
                return if self.append(epoch, first, &records) {
                    Ok(Carried::default())
                } else {
                    Err(TaskError::Append)
                };
            }
            LogTask::Copy { reign, batches } => {
                for batch in &batches {
                    let batch = batch.lend();
                    let _reported_later = self.log.append_copy(reign, &batch)?;
                    self.checkpoints.log_grew(batch.encoded_bytes() as u64);
                }
                self.written()?
            }
            LogTask::Stand => Some(LogNews::Stands(self.standing()?)),
            LogTask::Begin(begin) => return self.begin(&begin),
            LogTask::See { task, ends } => {
                let view = self.log.with_history(|history| HistoryView::read(history, &ends));
                let oldest = self.log.extent().ok_or(TaskError::Closed)?.oldest;
                Some(match view.ok_or(TaskError::Closed)? {
                    Ok(view) => LogNews::Seen { task, view, snapshot: self.photographs.offer(oldest) },
                    Err(error) => unread(task, &error),
                })
            }
            LogTask::Read { task, after, bytes } => Some(match self.batches_behind(after, bytes) {
                Ok(batches) => LogNews::Read { task, batches },
                Err(error) => unread(task, &error),
            }),
            LogTask::ReadSnapshot { task, identity, offset } => {
                Some(match self.photographs.read(identity, offset) {
                    Some(part) => {
                        self.kept.is_read(identity.position.lsn);
                        LogNews::SnapshotRead { task, offset, part }
                    }
                    // It is gone, or damaged. Whoever it was for begins anew.
                    None => LogNews::Failed { task },
                })
            }
            LogTask::KeepSnapshot { identity, offset, part } => {
                if let Err(error) = self.photographs.keep(identity, offset, &part)
                    && (offset == 0 || !matches!(error, HostError::NotWhole { .. }))
                {
                    warn!(%error, "a snapshot that arrives cannot be kept");
                }
                None
            }
            LogTask::Install(identity) => return self.install(identity),
            LogTask::Reopen => return Ok(Carried { reopens: true, ..Carried::default() }),
            _ => return Err(TaskError::Unknown),
        };
        Ok(Carried { news, ..Carried::default() })
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

    /// How far the operating system has the log, where commits wait for that. Where they wait for disks, to be durable
    /// says so as well; and a sync that is under way writes before it waits for the disk.
    fn written(&self) -> Result<Option<LogNews>, TaskError> {
        if !self.tells_written {
            return Ok(None);
        }
        Ok(Some(LogNews::Written { lsn: self.log.flush()? }))
    }

    /// Promises the epoch first: from then on nobody of before changes the log.
    fn begin(&mut self, begin: &Begin) -> Result<Carried, TaskError> {
        let mut carried = Carried { news: Some(LogNews::Begun), ..Carried::default() };
        match self.log.promise_epoch(begin.promise) {
            Err(SubmitError::Refused(PromiseError::Fenced { have: promised, .. })) => {
                carried.news = Some(LogNews::Fenced { promised });
                return Ok(carried);
            }
            promised => drop(promised?),
        }
        let Some(end) = begin.cut else { return Ok(carried) };
        carried.event = self.put_aside_behind(end, begin.promise)?;
        self.tails = Tails::default();
        self.was_cut = true;
        self.kept.forget_behind(end.lsn)?;
        let newest = self.checkpoints.files().newest()?.max(Some(self.checkpoints.newest()));
        if newest > Some(end.lsn) {
            // What is in a checkpoint was shown, so that the engine is over.
            if !self.can_be_opened_at(end.lsn)? {
                install::declare(&self.storage, None, begin.promise)?;
                return Ok(Carried { news: None, reopens: true, ..carried });
            }
            self.checkpoints.forget_behind(end.lsn)?;
            self.photographs.forget_behind(end.lsn)?;
        }
        self.log.truncate_after(end.lsn, self.checkpoints.newest())?;
        Ok(carried)
    }

    /// Puts aside what the log has behind a position, for whoever wants to look at it: as far as it is there still.
    fn put_aside_behind(&mut self, end: Position, promised: Epoch) -> Result<Option<LogEvent>, TaskError> {
        let oldest = self.log.extent().ok_or(TaskError::Closed)?.oldest;
        let end = match oldest.previous().filter(|before| *before > end.lsn) {
            Some(before) => self.log.identity_at(before)?.position,
            None => end,
        };
        let last = self.log.sync()?;
        let Some(first) = end.lsn.next().filter(|first| *first <= last) else { return Ok(None) };
        let mut tail = self.log.tail(first)?;
        let put_aside = put_aside(&self.storage, (end, promised), &mut tail)?;
        info!(first = first.get(), file = %put_aside, "what the leader does not have is put aside");
        Ok(Some(LogEvent::CutOff { first, last, put_aside }))
    }

    /// Whether an engine can be opened from what stays of the log up to a record.
    fn can_be_opened_at(&self, lsn: Lsn) -> Result<bool, TaskError> {
        let oldest = self.log.extent().ok_or(TaskError::Closed)?.oldest;
        let checkpoints = self.checkpoints.files().list()?;
        let serves = |checkpoint: &Lsn| *checkpoint <= lsn && checkpoint.next() >= Some(oldest);
        Ok(oldest == Lsn::FIRST || checkpoints.iter().any(serves))
    }

    /// Lets a snapshot that is whole take the place of the log, as soon as that is opened anew.
    fn install(&mut self, identity: SnapshotIdentity) -> Result<Carried, TaskError> {
        let mut carried = Carried { reopens: true, ..Carried::default() };
        if self.photographs.arriving() != Some(identity) {
            warn!("a snapshot could not be kept, and the node goes on with what it has");
            return Ok(carried);
        }
        let standing = self.standing()?;
        if let Some(end) = behind_which_is_doubt(&standing.ends, identity.position) {
            carried.event = self.put_aside_behind(end, standing.promised)?;
        }
        install::declare(&self.storage, Some(identity), standing.promised)?;
        if let Err(error) = self.photographs.finish(identity) {
            // Then the log is the one of before.
            warn!(%error, "a snapshot could not be made durable");
        }
        Ok(carried)
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

fn unread(task: u64, error: &dyn std::error::Error) -> LogNews {
    warn!(%error, "the log cannot be read for a follower");
    LogNews::Failed { task }
}

/// Behind which position a log, whose epochs end there, newest first, may have what a leader has not that sends a
/// snapshot of this position; `None` if it certainly has nothing of the kind.
///
/// What the two have in common the leader's log does not say any more. But what one grant wrote is one sequence, so a
/// log that ends within the grant of the snapshot, and before it, is the beginning of what the leader had. Otherwise
/// what was written under the newest grant here is in doubt: a leader that was deposed wrote it. One that lost its disk
/// and leads again under the same grant may have lost what is here; who leads under a grant is believed.
fn behind_which_is_doubt(ends: &[Position], snapshot: Position) -> Option<Position> {
    let end = ends.first()?;
    let grant = Grant::of(end.epoch);
    if grant == Grant::of(snapshot.epoch) && end.lsn <= snapshot.lsn {
        return None;
    }
    let before = ends.iter().find(|earlier| Grant::of(earlier.epoch) < grant);
    Some(before.copied().unwrap_or(Position::ORIGIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_deposed_leader_wrote_is_in_doubt_and_what_a_late_follower_has_is_not() {
        let at = |grant, starts, lsn| {
            let epoch = Epoch::new(Grant::new(grant).unwrap().epoch().get() + starts);
            Position { lsn: Lsn::new(lsn), epoch, checksum: 7 }
        };
        let log = [at(2, 1, 90), at(2, 0, 80), at(1, 3, 50), at(1, 0, 20)];
        assert_eq!(behind_which_is_doubt(&log, at(2, 5, 200)), None);
        assert_eq!(behind_which_is_doubt(&log, at(3, 0, 200)), Some(log[2]));
        assert_eq!(behind_which_is_doubt(&log, at(2, 1, 85)), Some(log[2]), "it is longer than it may be");
        assert_eq!(behind_which_is_doubt(&log[3..], at(3, 0, 200)), Some(Position::ORIGIN));
        assert_eq!(behind_which_is_doubt(&[], at(3, 0, 200)), None);
    }
}
