//! Many threads, one log, shared syncs.
//!
//! A [`LogHandle`] is cheap to clone and can be used from every thread. Appending takes the log's
//! lock for one write and returns a [`Ticket`]; a flusher thread syncs outside the lock, so that
//! whatever is appended while the disk is busy shares the next sync. Under light load batches of
//! one sync are small and nothing waits for a timer.
//!
//! Whoever cannot block registers a callback with [`LogHandle::start_with`], which the flusher
//! calls with every advance of the durable watermark, and once with the failure that ended it.
#![allow(clippy::disallowed_methods, reason = "this is the edge that owns a thread")]

mod error;
mod flusher;
mod tail;

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    thread::{self, JoinHandle},
};

pub use error::{SubmitError, TailError, WaitError};
pub use flusher::OnDurable;
pub use tail::Tail;

use crate::{
    Batch, CloseError, Epoch, FsyncPolicy, Log, Lsn, OwnedRecord, PromiseError, ReadError, ReleaseError,
    SyncError, TruncateAfterError, TruncateError, Truncation, storage::Storage,
};

/// A log shared between threads, with one flusher thread that syncs for all of them.
///
/// When the last clone is dropped the flusher ends and the log is dropped without a closing mark;
/// [`close`] leaves one.
///
/// ```
/// use replication_log::{
///     Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, RecordKind, storage::MemoryStorage,
/// };
///
/// let (log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// let handle = LogHandle::start(log, FsyncPolicy::Group)?;
///
/// let other = handle.clone();
/// let worker = std::thread::spawn(move || {
///     let batch = Batch::of(Epoch::ZERO, RecordKind(1), b"from a thread").expect("small");
///     other.wait_durable(other.append(&batch).expect("accepted"))
/// });
/// assert!(worker.join().expect("no panic").is_ok());
/// handle.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`close`]: LogHandle::close
pub struct LogHandle<S: Storage> {
    owner: Arc<Owner<S>>,
}

/// Proof that a batch was written, to be exchanged for its durability.
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
    S: Storage + Send + 'static,
    S::File: Send + Sync,
{
    /// Shares `log`. Fails when the operating system gives no thread.
    pub fn start(log: Log<S>, policy: FsyncPolicy) -> std::io::Result<Self> {
        Self::start_with(log, policy, Box::new(|_| {}))
    }

    /// Shares `log` and calls `on_durable` from the flusher thread, without any lock held, after
    /// every advance of the durable watermark, and at last with the failure if the log is poisoned.
    /// After the newest end was cut, it is told of advances from there on; one of before the cut may
    /// still be under way to it. It must not block for long.
    pub fn start_with(log: Log<S>, policy: FsyncPolicy, on_durable: OnDurable) -> std::io::Result<Self> {
        let reported = flusher::Reported::of(&log);
        let state = State {
            log: Some(log),
            sync_under_way: false,
            requested: Lsn::ZERO,
            stopping: false,
            ended: false,
        };
        let shared = Arc::new(Shared {
            policy,
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            attempts: AtomicU64::new(0),
            tails: AtomicU64::new(0),
            wakers: Mutex::default(),
        });
        let flusher = thread::Builder::new().name("log-flusher".into()).spawn({
            let shared = Arc::clone(&shared);
            move || flusher::run(&shared, on_durable, reported)
        })?;
        Ok(Self { owner: Arc::new(Owner { shared, flusher: Mutex::new(Some(flusher)) }) })
    }

    /// Appends `batch` and returns once it is written; under [`FsyncPolicy::Always`], once it is
    /// durable.
    ///
    /// Waits while a new segment is due and a sync is under way.
    pub fn append(&self, batch: &Batch) -> Result<Ticket, SubmitError> {
        let shared = self.shared();
        let bytes = batch.encoded_bytes() as u64;
        let always = shared.policy == FsyncPolicy::Always;
        let mut state = shared.wait_while(|state| {
            let turns = |log: &Log<S>| always || log.needs_new_segment(bytes);
            state.sync_under_way && state.log.as_ref().is_some_and(turns)
        });
        let log = state.log.as_mut().ok_or(SubmitError::Closed)?;
        let outcome = log.append(batch);
        let truncations = log.truncations();
        let synced = if always && outcome.is_ok() { log.sync().map(drop) } else { Ok(()) };
        // The flusher has to know in every case: an append can also have poisoned the log.
        drop(state);
        shared.wake_all();
        match synced {
            Ok(()) | Err(SyncError::UnderWay) => {
                let (first, last) = outcome?.into_inner();
                Ok(Ticket { first, last, epoch: batch.epoch(), truncations })
            }
            Err(SyncError::Poisoned(poison)) => Err(SubmitError::Refused(poison.into())),
        }
    }

    /// Waits until the ticket's batch is durable and may be released, and returns the last durable
    /// record.
    ///
    /// Never hangs: when the log is poisoned or closed, or under [`FsyncPolicy::Never`], it returns
    /// an error. It also does when a newer epoch was promised since the append, even if the batch is
    /// durable (see [`Log::release`]), and when the batch was cut, even if others have its numbers now.
    pub fn wait_durable(&self, ticket: Ticket) -> Result<Lsn, WaitError> {
        let Ticket { last, epoch, truncations, .. } = ticket;
        let awaited = Awaited { lsn: last, epoch: Some(epoch), truncations };
        self.wait_for(&awaited, self.shared().policy == FsyncPolicy::Never)
    }

    /// Makes everything appended so far durable now, whatever the policy, and returns the last
    /// durable record.
    pub fn sync(&self) -> Result<Lsn, WaitError> {
        let mut state = self.shared().lock();
        let log = state.log.as_ref().ok_or(WaitError::Closed)?;
        let awaited = Awaited { lsn: log.written(), epoch: None, truncations: log.truncations() };
        state.requested = state.requested.max(awaited.lsn);
        drop(state);
        self.shared().wake_all();
        self.wait_for(&awaited, false)
    }

    /// Promises to refuse every epoch below `epoch`; see [`Log::promise_epoch`].
    pub fn promise_epoch(&self, epoch: Epoch) -> Result<Lsn, SubmitError<PromiseError>> {
        let outcome = self.alone(|log| log.promise_epoch(epoch));
        outcome.ok_or(SubmitError::Closed)?.map_err(SubmitError::Refused)
    }

    /// Drops whole segments that hold only records below `lsn`; see [`Log::truncate_before`].
    pub fn truncate_before(&self, lsn: Lsn) -> Result<Lsn, SubmitError<TruncateError>> {
        let outcome = self.alone(|log| log.truncate_before(lsn));
        outcome.ok_or(SubmitError::Closed)?.map_err(SubmitError::Refused)
    }

    /// Makes `lsn` the last record, unless that is below `floor`; see [`Log::truncate_after`].
    ///
    /// Whoever waits for a record that was cut gets [`WaitError::Truncated`].
    pub fn truncate_after(
        &self,
        lsn: Lsn,
        floor: Lsn,
    ) -> Result<Truncation, SubmitError<TruncateAfterError>> {
        let mut state = self.shared().wait_while(|state| state.sync_under_way);
        let log = state.log.as_mut().ok_or(SubmitError::Closed)?;
        // Before a byte changes, so that whoever reads outside the lock knows not to believe what it read.
        self.shared().attempts.fetch_add(1, Ordering::SeqCst);
        let outcome = log.truncate_after(lsn, floor);
        // No sync can make durable what is gone.
        let written = log.written();
        state.requested = state.requested.min(written);
        drop(state);
        self.shared().wake_all();
        outcome.map_err(SubmitError::Refused)
    }

    /// Up to `count` durable records from `lsn` on. Holds the log's lock while it reads.
    pub fn read_from(&self, lsn: Lsn, count: usize) -> Result<Vec<OwnedRecord>, SubmitError<ReadError>> {
        let state = self.shared().lock();
        let log = state.log.as_ref().ok_or(SubmitError::Closed)?;
        let records = log.read_from(lsn).and_then(|reader| reader.into_iter().take(count).collect());
        records.map_err(SubmitError::Refused)
    }

    /// The last durable record; `None` once the log is closed.
    pub fn durable(&self) -> Option<Lsn> {
        self.shared().lock().log.as_ref().map(Log::durable)
    }

    /// The last record written; `None` once the log is closed.
    pub fn written(&self) -> Option<Lsn> {
        self.shared().lock().log.as_ref().map(Log::written)
    }

    /// Ends the flusher and closes the log with a mark; see [`Log::close`]. Other clones get
    /// `Closed` from then on, also those that wait. Returns `None` when another clone has closed
    /// it.
    pub fn close(self) -> Result<Option<Lsn>, CloseError> {
        self.owner.stop();
        let log = self.shared().lock().log.take();
        self.shared().wake_all();
        log.map(Log::close).transpose()
    }

    fn wait_for(&self, awaited: &Awaited, never: bool) -> Result<Lsn, WaitError> {
        let outcome = |state: &State<S>| match state.log.as_ref().map(|log| awaited.outcome(log)) {
            None => Some(Err(WaitError::Closed)),
            Some(Some(outcome)) => Some(outcome),
            Some(None) if state.ended => Some(Err(WaitError::Closed)),
            Some(None) if never => Some(Err(WaitError::NeverSynced)),
            Some(None) => None,
        };
        let state = self.shared().wait_while(|state| outcome(state).is_none());
        outcome(&state).unwrap_or(Err(WaitError::Closed))
    }

    /// Runs `action` when no sync is under way.
    fn alone<R>(&self, action: impl FnOnce(&mut Log<S>) -> R) -> Option<R> {
        let mut state = self.shared().wait_while(|state| state.sync_under_way);
        let outcome = state.log.as_mut().map(action);
        drop(state);
        self.shared().wake_all();
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

/// What someone waits for: a record, as it was numbered when the log had been cut so many times.
struct Awaited {
    lsn: Lsn,
    /// The epoch that must still be the newest, if any must.
    epoch: Option<Epoch>,
    truncations: u64,
}

impl Awaited {
    /// How the waiting ends, if it does now.
    fn outcome<S: Storage>(&self, log: &Log<S>) -> Option<Result<Lsn, WaitError>> {
        if let Some(to) = log.cut_since(self.truncations).filter(|&to| to < self.lsn) {
            return Some(Err(WaitError::Truncated { to }));
        }
        match log.release(self.epoch.unwrap_or(log.epoch()), self.lsn) {
            Ok(durable) => Some(Ok(durable)),
            Err(ReleaseError::Fenced { have, got }) => Some(Err(WaitError::Fenced { have, got })),
            Err(ReleaseError::Poisoned(poison)) => Some(Err(WaitError::Poisoned(poison))),
            Err(ReleaseError::NotDurable { .. }) => None,
        }
    }
}

/// What all clones of a handle and the flusher look at.
struct Shared<S: Storage> {
    policy: FsyncPolicy,
    state: Mutex<State<S>>,
    /// Something for the flusher to do.
    work: Condvar,
    /// Something for the others to look at again.
    done: Condvar,
    /// How often someone began to cut the log's end.
    attempts: AtomicU64,
    /// How many tails there have been.
    tails: AtomicU64,
    /// Whom to wake beside those that wait for `done`, at most one for each tail.
    wakers: Mutex<BTreeMap<u64, Waker>>,
}

struct State<S: Storage> {
    /// Taken out when the log is closed.
    log: Option<Log<S>>,
    sync_under_way: bool,
    /// Up to where someone asked for a sync that the policy would not make.
    requested: Lsn,
    /// The flusher is to end once it has done what is due.
    stopping: bool,
    /// The flusher has ended: nobody will sync any more.
    ended: bool,
}

impl<S: Storage> Shared<S> {
    /// A thread that panicked under the lock did so outside the log, which is never left half changed.
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, mut condition: impl FnMut(&State<S>) -> bool) -> MutexGuard<'_, State<S>> {
        let waited = self.done.wait_while(self.lock(), |state| condition(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        self.work.notify_all();
        self.wake_waiting();
    }

    /// Wakes everyone but the flusher.
    fn wake_waiting(&self) {
        self.done.notify_all();
        let wakers = std::mem::take(&mut *self.wakers());
        wakers.into_values().for_each(Waker::wake);
    }

    fn wakers(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.shared.lock().stopping = true;
        self.shared.wake_all();
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
        // A tail may outlive all handles; the log does not.
        let mut state = self.shared.lock();
        let log = if state.ended { state.log.take() } else { None };
        drop(state);
        drop(log);
        self.shared.wake_all();
    }
}
