//! Many threads, one log, shared syncs.
//!
//! A [`LogHandle`] is cheap to clone and can be used from every thread. Appending takes the log's
//! lock for as long as it takes to stage a batch in memory, and returns a [`Ticket`]. A sync runs
//! outside the lock, so that whatever is appended while the disk is busy shares the next one. Under
//! light load the groups are small and nothing waits for a timer. *Group commit* in this form goes
//! back to `DeWitt` et al., *Implementation techniques for main memory database systems* (SIGMOD 1984).
//!
//! There are three ways to learn that a batch is durable:
//!
//! - [`LogHandle::append_durable`] and [`LogHandle::wait_durable`] block. A thread that waits while no
//!   sync is under way leads: it syncs for all, so that no second thread has to be woken for it.
//! - [`LogHandle::when_durable`] is a future. A flusher thread syncs for those who do not wait.
//! - A callback given to [`LogHandle::start_with`] is called by the flusher with every advance of the
//!   durable watermark, and once with the failure that ended it.
#![allow(clippy::disallowed_methods, reason = "this is the edge that owns a thread")]

mod copies;
mod error;
mod flusher;
mod future;
mod shared;
mod slots;
mod tail;

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

pub use error::{AppendDurableError, SubmitError, TailError, WaitError};
pub use flusher::OnDurable;
pub use future::DurableFuture;
use shared::{Awaited, Life, Shared};
pub use tail::Tail;

use crate::{
    Batch, CloseError, Epoch, FsyncPolicy, Log, Lsn, OwnedRecord, Poison, PositionError, PromiseError,
    ReadError, SyncError, TruncateAfterError, TruncateError, Truncation, segment::BATCH_HEADER_BYTES,
    snapshot::SnapshotIdentity, storage::Storage,
};

/// A log shared between threads, with one flusher thread for all who do not wait themselves.
///
/// When the last clone is dropped the flusher ends and the log is flushed and dropped without a
/// closing mark; [`close`] leaves one.
///
/// ```
/// use replication_log::{
///     Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, Lsn, RecordKind, storage::MemoryStorage,
/// };
///
/// let (log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// let handle = LogHandle::start(log, FsyncPolicy::Group)?;
///
/// let other = handle.clone();
/// let worker = std::thread::spawn(move || {
///     let batch = Batch::of(Epoch::ZERO, RecordKind(1), b"from a thread").expect("small");
///     other.append_durable(&batch)
/// });
/// assert_eq!(worker.join().expect("no panic")?, Lsn::FIRST..=Lsn::FIRST);
/// handle.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`close`]: LogHandle::close
pub struct LogHandle<S: Storage> {
    owner: Arc<Owner<S>>,
}

/// Proof that a batch was appended, to be exchanged for its durability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the batch is not durable until the ticket says so"]
pub struct Ticket {
    first: Lsn,
    last: Lsn,
    epoch: Epoch,
    /// How often the log's end had been cut when the batch was appended.
    truncations: u64,
}

impl Ticket {
    /// The numbers of the batch's records.
    pub fn lsns(self) -> RangeInclusive<Lsn> {
        self.first..=self.last
    }

    /// The last of them, on which the whole batch's durability depends.
    pub fn last(self) -> Lsn {
        self.last
    }
}

impl<S> LogHandle<S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// Shares `log`. Fails when the operating system gives no thread.
    pub fn start(log: Log<S>, policy: FsyncPolicy) -> std::io::Result<Self> {
        Self::start_watched(log, policy, None)
    }

    /// Shares `log` and calls `on_durable` from the flusher thread, without any lock held, after
    /// every advance of the durable watermark, and at last with the failure if the log is poisoned.
    /// After the newest end was cut, it is told of advances from there on; one of before the cut may
    /// still be under way to it. It must not block for long.
    pub fn start_with(log: Log<S>, policy: FsyncPolicy, on_durable: OnDurable) -> std::io::Result<Self> {
        Self::start_watched(log, policy, Some(on_durable))
    }

    fn start_watched(
        log: Log<S>,
        policy: FsyncPolicy,
        on_durable: Option<OnDurable>,
    ) -> std::io::Result<Self> {
        let reported = flusher::Reported::of(&log);
        let shared = Arc::new(Shared::new(log, policy, on_durable.is_some()));
        let flusher = thread::Builder::new().name("log-flusher".into()).spawn({
            let shared = Arc::clone(&shared);
            move || flusher::run(&shared, on_durable, reported)
        })?;
        Ok(Self { owner: Arc::new(Owner { shared, flusher: Mutex::new(Some(flusher)) }) })
    }

    /// Appends `batch` and returns once it is staged; under [`FsyncPolicy::Always`], once it is
    /// durable. Under [`FsyncPolicy::Group`] the flusher will make it durable, whether anyone waits
    /// for it or not.
    ///
    /// Waits while there is no room before a sync under way is finished.
    pub fn append(&self, batch: &Batch) -> Result<Ticket, SubmitError> {
        self.submit(batch, false)
    }

    /// Appends `batch`, returns once it is durable by the policy, and says which numbers its records
    /// got: [`append`](LogHandle::append) and [`wait_durable`](LogHandle::wait_durable) without
    /// waking the flusher in between.
    pub fn append_durable(&self, batch: &Batch) -> Result<RangeInclusive<Lsn>, AppendDurableError> {
        let ticket = self.submit(batch, true)?;
        self.wait_durable(ticket)?;
        Ok(ticket.lsns())
    }

    fn submit(&self, batch: &Batch, attended: bool) -> Result<Ticket, SubmitError> {
        self.submit_by(batch.encoded_bytes(), batch.epoch(), attended, |log| log.append(batch))
    }

    /// Appends a batch of so many bytes by `append`, in the name of whoever was granted `epoch`.
    fn submit_by<E: From<Poison> + std::error::Error>(
        &self,
        bytes: usize,
        epoch: Epoch,
        attended: bool,
        append: impl FnOnce(&mut Log<S>) -> Result<RangeInclusive<Lsn>, E>,
    ) -> Result<Ticket, SubmitError<E>> {
        let shared = self.shared();
        let always = shared.policy == FsyncPolicy::Always;
        let mut state = shared.wait_while(|state| {
            let waits = |log: &Log<S>| state.sync_under_way && always || log.has_to_wait(bytes);
            state.log.as_ref().is_some_and(waits)
        });
        let log = state.log.as_mut().ok_or(SubmitError::Closed)?;
        let durable = log.durable();
        let outcome = append(log);
        let truncations = log.truncations();
        let synced = if always && outcome.is_ok() { log.sync().map(drop) } else { Ok(()) };
        // It can have made others durable on the way to a new segment, or have poisoned the log.
        let concerns_others = log.durable() > durable || log.poison().is_some();
        let last = log.last();
        state.gathered += 1;
        if !attended {
            state.unattended = last;
        }
        if concerns_others {
            shared.release(state);
        } else {
            shared.hand_over(state);
        }
        match synced {
            Ok(()) | Err(SyncError::UnderWay) => {
                let (first, last) = outcome.map_err(SubmitError::Refused)?.into_inner();
                Ok(Ticket { first, last, epoch, truncations })
            }
            Err(SyncError::Poisoned(poison)) => Err(SubmitError::Refused(poison.into())),
        }
    }

    /// Waits until the ticket's batch is durable and may be released, and returns the last durable
    /// record.
    ///
    /// Under [`FsyncPolicy::Group`] it syncs itself when nobody else does. Never hangs: when the log
    /// is poisoned or closed, or under [`FsyncPolicy::Never`], it returns an error. It also does when a
    /// newer epoch was promised since the append, even if the batch is durable (see [`Log::release`]),
    /// and when the batch was cut, even if others have its numbers now.
    pub fn wait_durable(&self, ticket: Ticket) -> Result<Lsn, WaitError> {
        self.shared().wait_for(&ticket.into(), self.shared().policy == FsyncPolicy::Group)
    }

    /// A future that is ready when [`wait_durable`](LogHandle::wait_durable) would return, and with
    /// the same answer. It never syncs itself and needs no runtime.
    ///
    /// ```
    /// use replication_log::{
    ///     Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, RecordKind, handle::WaitError,
    ///     storage::MemoryStorage,
    /// };
    ///
    /// async fn record(handle: &LogHandle<MemoryStorage>, batch: &Batch) -> Result<(), WaitError> {
    ///     let ticket = handle.append(batch).expect("accepted");
    ///     handle.when_durable(ticket).await.map(drop)
    /// }
    /// ```
    pub fn when_durable(&self, ticket: Ticket) -> DurableFuture<S> {
        DurableFuture::new(Arc::clone(self.shared()), ticket.into())
    }

    /// Makes everything appended so far durable now, whatever the policy, and returns the last
    /// durable record.
    pub fn sync(&self) -> Result<Lsn, WaitError> {
        let state = self.shared().lock();
        let log = state.log.as_ref().ok_or(WaitError::Closed)?;
        let awaited = Awaited::of_all(log);
        drop(state);
        self.shared().wait_for(&awaited, true)
    }

    /// Hands everything appended so far to the storage, unless a sync is under way, which does that besides, and
    /// returns the last record written. It survives the process, but not the machine; see [`Log::flush`].
    pub fn flush(&self) -> Result<Lsn, SubmitError<SyncError>> {
        let mut state = self.shared().lock();
        let log = state.log.as_mut().ok_or(SubmitError::Closed)?;
        let outcome = match log.flush() {
            Err(SyncError::UnderWay) => Ok(log.written()),
            outcome => outcome,
        };
        if outcome.is_err() {
            self.shared().release(state);
        }
        outcome.map_err(SubmitError::Refused)
    }

    /// Promises to refuse every epoch below `epoch`; see [`Log::promise_epoch`].
    pub fn promise_epoch(&self, epoch: Epoch) -> Result<Lsn, SubmitError<PromiseError>> {
        let outcome = self.alone(|log| log.promise_epoch(epoch));
        outcome.ok_or(SubmitError::Closed)?.map_err(SubmitError::Refused)
    }

    /// Drops whole segments that hold only records below `lsn`; see [`Log::truncate_before`].
    pub fn truncate_before(&self, lsn: Lsn) -> Result<Lsn, SubmitError<TruncateError>> {
        let mut state = self.shared().wait_while(|state| state.sync_under_way);
        let log = state.log.as_mut().ok_or(SubmitError::Closed)?;
        let outcome = log.truncate_before(lsn);
        // Tails may wait for a record that is gone.
        self.shared().release_all(state);
        outcome.map_err(SubmitError::Refused)
    }

    /// Takes note that all records up to `lsn` are committed, because a quorum has them or whatever else
    /// makes them final, and returns the committed mark. It never goes back.
    ///
    /// Tails that [ask for it](LogHandle::tail_committed) see nothing above it, and the end is never
    /// [cut](LogHandle::truncate_after) below it. It may be known before the records are durable here.
    /// It is not kept: whoever opens the log says it again.
    ///
    /// ```
    /// use replication_log::{
    ///     Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, Lsn, RecordKind, storage::MemoryStorage,
    /// };
    ///
    /// let (log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
    /// let handle = LogHandle::start(log, FsyncPolicy::Group)?;
    /// let mut tail = handle.tail_committed(Lsn::FIRST)?;
    /// handle.append_durable(&Batch::of(Epoch::ZERO, RecordKind(1), b"milk")?)?;
    /// assert!(tail.try_next()?.is_none(), "durable here and committed nowhere");
    ///
    /// handle.commit(Lsn::FIRST);
    /// assert!(tail.try_next()?.is_some());
    /// assert!(handle.truncate_after(Lsn::ZERO, Lsn::ZERO).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(&self, lsn: Lsn) -> Lsn {
        let mut state = self.shared().lock();
        state.committed = state.committed.max(lsn);
        let committed = state.committed;
        self.shared().release_all(state);
        committed
    }

    /// Makes `lsn` the last record, unless that is below `floor` or the
    /// [committed](LogHandle::commit) mark; see [`Log::truncate_after`].
    ///
    /// Whoever waits for a record that was cut gets [`WaitError::Truncated`].
    pub fn truncate_after(
        &self,
        lsn: Lsn,
        floor: Lsn,
    ) -> Result<Truncation, SubmitError<TruncateAfterError>> {
        let mut state = self
            .shared()
            .wait_while(|state| state.sync_under_way || state.log.as_ref().is_some_and(Log::is_preparing));
        let floor = floor.max(state.committed);
        let log = state.log.as_mut().ok_or(SubmitError::Closed)?;
        // Before a byte changes, so that whoever reads outside the lock knows not to believe what it read.
        self.shared().note_attempt();
        let outcome = log.truncate_after(lsn, floor);
        // No sync can make durable what is gone.
        let last = log.last();
        state.unattended = state.unattended.min(last);
        self.shared().release_all(state);
        outcome.map_err(SubmitError::Refused)
    }

    /// Up to `count` durable records from `lsn` on. Holds the log's lock while it reads.
    pub fn read_from(&self, lsn: Lsn, count: usize) -> Result<Vec<OwnedRecord>, SubmitError<ReadError>> {
        let state = self.shared().lock();
        let log = state.log.as_ref().ok_or(SubmitError::Closed)?;
        let records = log.read_from(lsn).and_then(|reader| reader.into_iter().take(count).collect());
        records.map_err(SubmitError::Refused)
    }

    /// What a snapshot of the state after the durable record `lsn` has to say about itself; see
    /// [`Log::position`] for which records have a position and what it costs.
    ///
    /// ```
    /// use replication_log::{
    ///     Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, Lsn, RecordKind, snapshot::Snapshots,
    ///     storage::MemoryStorage,
    /// };
    ///
    /// let storage = MemoryStorage::new();
    /// let (log, _) = Log::open(storage.clone(), LogOptions::new(0x5eed))?;
    /// let handle = LogHandle::start(log, FsyncPolicy::Group)?;
    /// handle.append_durable(&Batch::of(Epoch::ZERO, RecordKind(1), b"milk")?)?;
    ///
    /// let snapshots = Snapshots::open(storage)?;
    /// snapshots.receive(handle.identity_at(Lsn::FIRST)?)?.finish()?;
    /// assert_eq!(snapshots.newest()?, Some(Lsn::FIRST));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn identity_at(&self, lsn: Lsn) -> Result<SnapshotIdentity, SubmitError<PositionError>> {
        let state = self.shared().lock();
        let log = state.log.as_ref().ok_or(SubmitError::Closed)?;
        let position = log.position(lsn).map_err(SubmitError::Refused)?;
        Ok(SnapshotIdentity { log_id: log.id(), position })
    }

    /// The last durable record; `None` once the log is closed.
    pub fn durable(&self) -> Option<Lsn> {
        self.shared().lock().log.as_ref().map(Log::durable)
    }

    /// The last record appended; `None` once the log is closed.
    pub fn last(&self) -> Option<Lsn> {
        self.shared().lock().log.as_ref().map(Log::last)
    }

    /// The last record handed to the storage; `None` once the log is closed.
    pub fn written(&self) -> Option<Lsn> {
        self.shared().lock().log.as_ref().map(Log::written)
    }

    /// Ends the flusher and closes the log with a mark; see [`Log::close`]. Other clones get
    /// `Closed` from then on, also those that wait. Returns `None` when another clone has closed
    /// it.
    pub fn close(self) -> Result<Option<Lsn>, CloseError> {
        self.owner.stop();
        let mut state = self.shared().wait_while(|state| state.sync_under_way);
        let log = state.log.take();
        self.shared().release(state);
        log.map(Log::close).transpose()
    }

    /// Runs `action` when nothing is under way that could be in its way.
    fn alone<R>(&self, action: impl FnOnce(&mut Log<S>) -> R) -> Option<R> {
        let mut state = self.shared().wait_while(|state| {
            let marks_wait = |log: &Log<S>| log.has_to_wait(2 * BATCH_HEADER_BYTES);
            state.sync_under_way || state.log.as_ref().is_some_and(marks_wait)
        });
        let outcome = state.log.as_mut().map(action);
        self.shared().release(state);
        outcome
    }
}

impl<S: Storage> LogHandle<S> {
    fn shared(&self) -> &Arc<Shared<S>> {
        &self.owner.shared
    }
}

impl<S: Storage> Clone for LogHandle<S> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner) }
    }
}

impl<S: Storage> std::fmt::Debug for LogHandle<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LogHandle").field("policy", &self.shared().policy).finish_non_exhaustive()
    }
}

/// Held by handles and not by the flusher, so that its drop is the end of the last handle.
struct Owner<S: Storage> {
    shared: Arc<Shared<S>>,
    flusher: Mutex<Option<JoinHandle<()>>>,
}

impl<S: Storage> Owner<S> {
    /// Ends the flusher and waits for it.
    fn stop(&self) {
        let mut state = self.shared.lock();
        state.life = state.life.max(Life::Stopping);
        self.shared.release(state);
        let flusher = self.flusher.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A callback can hold the last handle; the flusher must not wait for itself.
        if let Some(flusher) = flusher.filter(|flusher| flusher.thread().id() != thread::current().id()) {
            flusher.join().ok();
        }
    }
}

impl<S: Storage> Drop for Owner<S> {
    fn drop(&mut self) {
        self.stop();
        // Futures and tails may outlive all handles; the log does not.
        let mut state = self.shared.lock();
        let log = state.log.take();
        self.shared.release(state);
        // Without a mark, but not without what was appended: an ordinary exit is no crash.
        if let Some(mut log) = log {
            log.flush().ok();
        }
    }
}
