//! What all clones of a handle, their futures and the flusher look at.

use std::{
    collections::BTreeMap,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    thread,
    time::Duration,
};

use super::{Ticket, WaitError};
use crate::{Epoch, FsyncPolicy, Log, Lsn, ReleaseError, storage::Storage};

/// How often a leader lets others join before it goes ahead without them.
const MOST_YIELDS: u32 = 8;

pub(super) struct Shared<S: Storage> {
    pub(super) policy: FsyncPolicy,
    /// Whether a callback is to be told of every advance.
    pub(super) watched: bool,
    state: Mutex<State<S>>,
    /// There may be something for the flusher to do.
    pub(super) work: Condvar,
    /// The durable watermark rose, or something ended that others wait for.
    done: Condvar,
    /// Those who wait for a sync, by turns: of every sync only its own group is woken.
    groups: [Condvar; 2],
    /// How often someone began to cut the log's end.
    attempts: AtomicU64,
}

pub(super) struct State<S: Storage> {
    /// `None` once it is closed.
    pub(super) log: Option<Log<S>>,
    /// Whether a sync runs outside the lock, or its leader is about to begin it.
    pub(super) sync_under_way: bool,
    /// The last record whose appender may not be waiting for it, so that the flusher has to sync it.
    pub(super) unattended: Lsn,
    /// How many batches were appended since the last sync began.
    pub(super) gathered: u64,
    /// How many batches the last sync made durable.
    last_group: u64,
    /// How many batches had come by the end of the last sync that were too late for it.
    left_over: u64,
    /// How many syncs began, and the last record that the one under way makes durable.
    syncs: usize,
    covered: Lsn,
    /// How many wait for something else than that one record of theirs becomes durable.
    onlookers: usize,
    /// Whether the flusher sleeps until it is woken.
    pub(super) flusher_idle: bool,
    pub(super) wakers: Wakers,
    /// The last record said to be committed.
    pub(super) committed: Lsn,
    pub(super) life: Life,
}

/// How far the handle has come. It never goes back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Life {
    Running,
    /// The flusher is to make durable what the policy wants to be, and to end.
    Stopping,
    /// The flusher has ended, or a sync never will, and nobody is told anything any more.
    Ended,
}

impl<S: Storage> Shared<S> {
    pub(super) fn new(log: Log<S>, policy: FsyncPolicy, watched: bool) -> Self {
        let state = State {
            log: Some(log),
            sync_under_way: false,
            unattended: Lsn::ZERO,
            gathered: 0,
            last_group: 0,
            left_over: 0,
            syncs: 0,
            covered: Lsn::ZERO,
            onlookers: 0,
            flusher_idle: false,
            wakers: Wakers::default(),
            committed: Lsn::ZERO,
            life: Life::Running,
        };
        Self {
            policy,
            watched,
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            groups: [Condvar::new(), Condvar::new()],
            attempts: AtomicU64::new(0),
        }
    }

    /// A thread that panicked under the lock did so outside the log, which is never left half changed.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait_while(
        &self,
        mut condition: impl FnMut(&State<S>) -> bool,
    ) -> MutexGuard<'_, State<S>> {
        let mut state = self.lock();
        if condition(&state) {
            state.onlookers += 1;
            let waited = self.done.wait_while(state, |state| condition(state));
            state = waited.unwrap_or_else(PoisonError::into_inner);
            state.onlookers -= 1;
        }
        state
    }

    /// Like [`wait_while`](Self::wait_while), for so long at most.
    pub(super) fn wait_while_for(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&State<S>) -> bool,
    ) -> MutexGuard<'_, State<S>> {
        let mut state = self.lock();
        state.onlookers += 1;
        let waited = self.done.wait_timeout_while(state, timeout, |state| condition(state));
        (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.onlookers -= 1;
        state
    }

    /// Waits until the record is durable or will not be. Whoever may lead syncs when nobody else does.
    pub(super) fn wait_for(&self, awaited: &Awaited, may_lead: bool) -> Result<Lsn, WaitError> {
        let never = self.policy == FsyncPolicy::Never && !may_lead;
        let mut state = self.lock();
        loop {
            if let Some(outcome) = state.outcome(awaited, never) {
                return outcome;
            }
            state = if may_lead && !state.sync_under_way {
                self.lead(state);
                self.lock()
            } else {
                let group = state.group_of(awaited.lsn);
                self.groups[group].wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Runs one sync for everyone, outside the lock, and tells them how it ended. None may be under way.
    ///
    /// In a closed loop, where whoever is told appends again, the first one to come back would lead alone while all
    /// others just miss its sync. So after a sync that was shared the leader lets as many join as there were, and as
    /// came too late for it: it yields a few times, and waits for no clock. Sixty-four threads with 1,600 commits on a
    /// disk that takes a millisecond came out at 29 to 37 syncs with one yield and at 50 to 94 without; eight threads
    /// with 4 KiB each at 6.7 commits a sync, and at 5.0 when latecomers were not counted and every sync woke everyone.
    /// More yields gain nothing: what is left between two syncs is the time it takes to wake so many threads.
    pub(super) fn lead<'a>(&'a self, mut state: MutexGuard<'a, State<S>>) {
        state.sync_under_way = true;
        state.syncs = state.syncs.wrapping_add(1);
        // Whoever joins while the leader yields is in the group.
        state.covered = Lsn::new(u64::MAX);
        let expected = state.last_group + state.left_over;
        for _ in 0..MOST_YIELDS {
            if state.last_group < 2 || state.gathered >= expected {
                break;
            }
            drop(state);
            thread::yield_now();
            state = self.lock();
        }
        state.last_group = std::mem::take(&mut state.gathered);
        let pending = state.log.as_mut().and_then(|log| log.begin_sync().ok());
        state.covered = state.log.as_ref().map_or(Lsn::ZERO, Log::last);
        if let Some(pending) = pending {
            drop(state);
            // A storage that panics must not leave others waiting for its outcome.
            let farewell = Farewell(self);
            let outcome = pending.run();
            std::mem::forget(farewell);
            state = self.lock();
            if let Some(log) = &mut state.log {
                // Its failure poisons the log, which is where everyone finds it.
                log.finish_sync(pending, outcome).ok();
            }
        }
        state.sync_under_way = false;
        state.left_over = state.gathered;
        self.release_group(state);
    }

    /// Lets go of the state after a sync. When it went well only those are woken whose records it covered, and one
    /// of the others to lead the next; they would find nothing new and go back to sleep.
    fn release_group(&self, mut state: MutexGuard<'_, State<S>>) {
        let due = state.due_wakers();
        let sound = state.log.as_ref().is_some_and(|log| log.poison().is_none()) && state.life < Life::Ended;
        if !sound || self.policy != FsyncPolicy::Group {
            return self.release_and_wake(state, due);
        }
        let group = state.syncs % 2;
        let onlookers = state.onlookers > 0;
        let wake = self.flusher_has_work(&state);
        drop(state);
        self.groups[1 - group].notify_one();
        self.groups[group].notify_all();
        if onlookers {
            self.done.notify_all();
        }
        if wake {
            self.work.notify_all();
        }
        due.into_iter().for_each(Waker::wake);
    }

    /// Lets go of the state after an append, and wakes the flusher if the policy makes it its task.
    pub(super) fn hand_over(&self, state: MutexGuard<'_, State<S>>) {
        // Waking costs a system call also when nobody sleeps, and whoever syncs now wakes it then.
        let wake = state.flusher_idle && !state.sync_under_way && self.flusher_has_work(&state);
        drop(state);
        if wake {
            self.work.notify_all();
        }
    }

    /// Lets go of the state and wakes whoever waits for what has become of it.
    pub(super) fn release(&self, mut state: MutexGuard<'_, State<S>>) {
        let due = state.due_wakers();
        self.release_and_wake(state, due);
    }

    /// Lets go of the state after records went, which others may wait for or read.
    pub(super) fn release_all(&self, mut state: MutexGuard<'_, State<S>>) {
        let due = state.wakers.take_all();
        self.release_and_wake(state, due);
    }

    fn release_and_wake(&self, state: MutexGuard<'_, State<S>>, due: Vec<Waker>) {
        let wake = self.flusher_has_work(&state);
        drop(state);
        self.done.notify_all();
        self.groups.iter().for_each(Condvar::notify_all);
        if wake {
            self.work.notify_all();
        }
        due.into_iter().for_each(Waker::wake);
    }

    /// Takes note that the log's end is about to be cut.
    pub(super) fn note_attempt(&self) {
        self.attempts.fetch_add(1, Ordering::SeqCst);
    }

    /// How often someone began to cut the log's end.
    pub(super) fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::SeqCst)
    }

    fn flusher_has_work(&self, state: &State<S>) -> bool {
        let Some(log) = &state.log else { return true };
        let due = match self.policy {
            FsyncPolicy::Group => state.unattended > log.durable(),
            FsyncPolicy::Interval(_) => log.last() > log.durable(),
            FsyncPolicy::Always | FsyncPolicy::Never => false,
        };
        let news = self.watched || log.poison().is_some();
        due || news || state.life > Life::Running || log.wants_prepare()
    }
}

impl<S: Storage> State<S> {
    /// What to tell someone who waits for the record; `None` as long as it may still become durable.
    pub(super) fn outcome(&self, awaited: &Awaited, never: bool) -> Option<Result<Lsn, WaitError>> {
        let Some(log) = &self.log else { return Some(Err(WaitError::Closed)) };
        match awaited.outcome(log) {
            None if self.life == Life::Ended => Some(Err(WaitError::Closed)),
            None if never => Some(Err(WaitError::NeverSynced)),
            outcome => outcome,
        }
    }

    /// Which sync will make a record durable: the one under way, or the next.
    fn group_of(&self, lsn: Lsn) -> usize {
        let covered = self.sync_under_way && lsn <= self.covered;
        self.syncs.wrapping_add(usize::from(!covered)) % 2
    }

    fn due_wakers(&mut self) -> Vec<Waker> {
        match &self.log {
            Some(log) if log.poison().is_none() && self.life < Life::Ended => {
                self.wakers.take_up_to(log.durable())
            }
            _ => self.wakers.take_all(),
        }
    }
}

/// What someone waits for: a record, as it was numbered when the log had been cut so many times.
pub(super) struct Awaited {
    pub(super) lsn: Lsn,
    /// The epoch that must still be the newest, if any must.
    epoch: Option<Epoch>,
    truncations: u64,
}

impl Awaited {
    /// All that was appended, whoever decides by now.
    pub(super) fn of_all<S: Storage>(log: &Log<S>) -> Self {
        Self { lsn: log.last(), epoch: None, truncations: log.truncations() }
    }

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

impl From<Ticket> for Awaited {
    fn from(ticket: Ticket) -> Self {
        Self { lsn: ticket.last, epoch: Some(ticket.epoch), truncations: ticket.truncations }
    }
}

/// Releases everyone who waits when the flusher ends, however it ends, or a sync does not.
pub(super) struct Farewell<'a, S: Storage>(pub(super) &'a Shared<S>);

impl<S: Storage> Drop for Farewell<'_, S> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.life = Life::Ended;
        state.sync_under_way = false;
        self.0.release(state);
    }
}

/// Tasks that wait for records, in the order of the records.
#[derive(Default)]
pub(super) struct Wakers {
    waiting: BTreeMap<(Lsn, u64), Waker>,
    next: u64,
}

impl Wakers {
    /// A key for one task that waits for this record.
    pub(super) fn key(&mut self, lsn: Lsn) -> (Lsn, u64) {
        self.next += 1;
        (lsn, self.next)
    }

    /// Sets who is woken for this key.
    pub(super) fn set(&mut self, key: (Lsn, u64), waker: &Waker) {
        self.waiting.entry(key).or_insert_with(|| waker.clone()).clone_from(waker);
    }

    pub(super) fn forget(&mut self, key: (Lsn, u64)) {
        self.waiting.remove(&key);
    }

    fn take_up_to(&mut self, durable: Lsn) -> Vec<Waker> {
        let Some(next) = durable.next() else { return self.take_all() };
        let later = self.waiting.split_off(&(next, 0));
        std::mem::replace(&mut self.waiting, later).into_values().collect()
    }

    fn take_all(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.waiting).into_values().collect()
    }
}
