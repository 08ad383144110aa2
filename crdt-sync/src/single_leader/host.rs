//! A log that does what an engine asks of it, for hosts that own one.

mod photographs;

use alloc::vec::Vec;

use replication_log::ship::HistoryView;
use replication_log::snapshot::SnapshotIdentity;
use replication_log::storage::{Storage, StorageError};
use replication_log::{
    AppendCopyError, AppendError, Batch, BatchCopy, BatchError, Log, Lsn, Position, PromiseError, ReadError,
    RecordKind, SyncError, TruncateAfterError,
};
use thiserror::Error;

pub use photographs::Photographs;

use crate::engine::{LogNews, LogStanding, LogTask};

/// The records of engines in a log.
pub const ENGINE_RECORD: RecordKind = RecordKind(1);

/// What came of a task.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Carried {
    /// What to tell the engine, with [`Input::Log`](crate::Input::Log).
    pub news: Option<LogNews>,
    /// What was cut off the log, in order: what a leader had written and nobody else has. To be put away for whoever
    /// wants to look at it. Who must not lose it when the process dies between the two reads it before
    /// ([`tail_behind`]).
    pub cut_off: Vec<BatchCopy>,
    /// A snapshot is here, whole and durable. The log has to be replaced by one that
    /// [starts behind it](replication_log::LogOptions::starts_after) and has promised the same epoch, and the engine by
    /// one that is opened from it. The log that is replaced may hold what a leader had written and nobody else has, and
    /// is to be put away, too.
    pub installs: Option<SnapshotIdentity>,
    /// The engine has to be replaced by one that is opened from the newest snapshot and the records behind it.
    pub reopens: bool,
    /// A snapshot was found to be damaged, or there is none to begin with: another one should be made soon, though
    /// nobody may have written since the last one ([`Photographs::renewed`]).
    pub wants_snapshot: bool,
}

/// Why a log did not do what was asked. The engine is to be told that [the log failed](crate::Input::LogFailed).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The log does not take the records.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// They are no batch of a log.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The log does not take the copies.
    #[error(transparent)]
    Copy(#[from] AppendCopyError),
    /// The log cannot be written.
    #[error(transparent)]
    Write(#[from] SyncError),
    /// The log does not promise the epoch.
    #[error(transparent)]
    Promise(#[from] PromiseError),
    /// The log cannot be cut there.
    #[error(transparent)]
    Cut(#[from] TruncateAfterError),
    /// What would be cut off cannot be read, to be kept.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A snapshot arrives where none can be kept.
    #[error("there is nowhere to keep a snapshot")]
    NoSnapshots,
    /// A snapshot cannot be kept.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The parts of a snapshot that arrived are not all of it.
    #[error("the snapshot of record {} is not whole", identity.position.lsn)]
    NotWhole {
        /// Which.
        identity: SnapshotIdentity,
    },
    /// The log gives the records another number than the engine.
    #[error("the log goes on with record {got}, the engine with {wanted}")]
    OutOfStep {
        /// The engine's.
        wanted: Lsn,
        /// The log's.
        got: Lsn,
    },
}

/// Does what an engine asked of the log it shares. What is appended is durable once the log is synced, of which the
/// engine has to be told as of any other log. [`LogTask::Begin`] makes everything before it durable, too, and the
/// engine has to be told of that: no sync says so.
///
/// ```
/// use crdt_sync::single_leader::host::carry_out;
/// use crdt_sync::{LogNews, LogTask};
/// use replication_log::{Epoch, Log, LogOptions, Lsn, storage::MemoryStorage};
///
/// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// let append = LogTask::Append { epoch: Epoch::new(1), first: Lsn::FIRST, records: vec![b"milk".to_vec()] };
/// assert_eq!(carry_out(&mut log, append)?.news, None);
/// log.sync()?;
/// let Some(LogNews::Stands(standing)) = carry_out(&mut log, LogTask::Stand)?.news else { panic!() };
/// assert_eq!((standing.promised, standing.end.lsn), (Epoch::new(1), Lsn::FIRST));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn carry_out<S: Storage>(log: &mut Log<S>, task: LogTask) -> Result<Carried, TaskError> {
    carry_out_with(log, None::<&mut Photographs<&S>>, task)
}

/// The same for a log with snapshots beside it, so that followers can begin with one.
pub fn carry_out_with<S: Storage, T: Storage + Clone>(
    log: &mut Log<S>,
    mut photographs: Option<&mut Photographs<T>>,
    task: LogTask,
) -> Result<Carried, TaskError> {
    let mut carried = Carried::default();
    match task {
        LogTask::Append { epoch, first, records } => {
            let mut batch = Batch::new(epoch);
            for record in &records {
                batch.push(ENGINE_RECORD, record)?;
            }
            let got = *log.append(&batch)?.start();
            if got != first {
                return Err(TaskError::OutOfStep { wanted: first, got });
            }
        }
        LogTask::Copy { reign, batches } => {
            for batch in &batches {
                log.append_copy(reign, &batch.lend())?;
            }
            carried.news = Some(LogNews::Written { lsn: log.flush()? });
        }
        LogTask::Stand => {
            carried.news = Some(LogNews::Stands(LogStanding {
                promised: log.epoch(),
                end: log.last_position(),
                ends: log.epoch_ends(replication_log::limits::MAX_EPOCH_ENDS)?,
            }));
        }
        LogTask::Begin(begin) => {
            match log.promise_epoch(begin.promise) {
                Err(PromiseError::Fenced { have: promised, .. }) => {
                    carried.news = Some(LogNews::Fenced { promised });
                    return Ok(carried);
                }
                promised => drop(promised?),
            }
            if let Some(Position { lsn, .. }) = begin.cut {
                carried.cut_off = tail_behind(log, lsn, usize::MAX)?;
                if let Some(photographs) = &mut photographs {
                    photographs.forget_behind(lsn)?;
                }
                // What is applied the engine does not ask to have cut.
                log.truncate_after(lsn, Lsn::ZERO)?;
            }
            carried.news = Some(LogNews::Begun);
        }
        LogTask::See { task, ends } => {
            carried.news = Some(match HistoryView::read(log, &ends) {
                Ok(view) => {
                    let snapshot = photographs.as_mut().and_then(|snapshots| snapshots.offer(log.oldest()));
                    LogNews::Seen { task, view, snapshot }
                }
                Err(_) => LogNews::Failed { task },
            });
        }
        LogTask::Read { task, after, bytes } => {
            carried.news = Some(match tail_behind(log, after, bytes) {
                Ok(batches) => LogNews::Read { task, batches },
                Err(_) => LogNews::Failed { task },
            });
        }
        LogTask::ReadSnapshot { task, identity, offset } => {
            let part = photographs.as_mut().and_then(|snapshots| snapshots.read(identity, offset));
            carried.news = Some(match part {
                Some(part) => LogNews::SnapshotRead { task, offset, part },
                None => LogNews::Failed { task },
            });
        }
        LogTask::KeepSnapshot { identity, offset, part } => {
            let photographs = photographs.as_mut().ok_or(TaskError::NoSnapshots)?;
            photographs.keep(identity, offset, &part)?;
        }
        LogTask::Reopen => carried.reopens = true,
        LogTask::Install(identity) => {
            let photographs = photographs.as_mut().ok_or(TaskError::NoSnapshots)?;
            photographs.finish(identity)?;
            carried.installs = Some(identity);
        }
    }
    carried.wants_snapshot = photographs.is_some_and(Photographs::take_wanted);
    Ok(carried)
}

/// The durable batches behind a record: as many as have so many bytes together, and at least one if there is one.
pub fn tail_behind<S: Storage>(log: &Log<S>, after: Lsn, bytes: usize) -> Result<Vec<BatchCopy>, ReadError> {
    let (mut batches, mut read) = (Vec::new(), 0_usize);
    let Some(first) = after.next().filter(|first| *first <= log.durable()) else { return Ok(batches) };
    let mut reader = log.read_batches_from(first)?;
    while read < bytes.max(1)
        && let Some(batch) = reader.next_batch()?
    {
        read = read.saturating_add(batch.encoded_bytes());
        batches.push(batch.to_copy());
    }
    Ok(batches)
}
