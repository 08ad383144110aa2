//! The thread that waits for the disk on behalf of those who do not.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use super::shared::{Farewell, Life, Shared, State};
use crate::{
    FsyncPolicy, Log, Lsn, PendingSegment, Poison,
    storage::{Storage, StorageError},
};

/// Told every advance of the durable watermark, and at last the failure if there is one.
pub type OnDurable = Box<dyn FnMut(Result<Lsn, Poison>) + Send>;

/// Syncs and reports until the handle stops or the log fails.
pub(super) fn run<S: Storage>(shared: &Shared<S>, mut on_durable: Option<OnDurable>, mut reported: Reported) {
    // Also when the callback panics: whoever waits would wait for ever.
    let _farewell = Farewell(shared);
    let mut preparation = Preparation { shared, pending: None };
    loop {
        match next_task(shared, &mut reported, preparation.pending.is_some()) {
            Task::Report(outcome) => {
                let failed = outcome.is_err();
                if let Some(on_durable) = &mut on_durable {
                    on_durable(outcome);
                }
                if failed {
                    return;
                }
            }
            Task::Sync(state) => shared.lead(state),
            Task::Prepare(begun) => preparation.step(begun),
            Task::Stop => return,
        }
    }
}

enum Task<'a, S: Storage> {
    Report(Result<Lsn, Poison>),
    Sync(MutexGuard<'a, State<S>>),
    /// A step of the preparation of the next segment, which may begin with it.
    Prepare(Option<PendingSegment<S>>),
    Stop,
}

/// The last durable record that was told, and how often the log's end had been cut by then.
pub(super) struct Reported {
    durable: Lsn,
    truncations: u64,
}

impl Reported {
    /// All that is durable before the log is shared. The thread may come to run after much was appended.
    pub(super) fn of<S: Storage>(log: &Log<S>) -> Self {
        Self { durable: log.durable(), truncations: log.truncations() }
    }

    /// An advance that was not told yet.
    fn news<S: Storage>(&mut self, log: &Log<S>) -> Option<Lsn> {
        if let Some(to) = log.cut_since(self.truncations) {
            self.durable = self.durable.min(to);
        }
        let advanced = log.durable() > self.durable;
        (self.durable, self.truncations) = (log.durable(), log.truncations());
        advanced.then_some(self.durable)
    }
}

/// Waits for something to do. News are told before the next sync begins, and syncs come before the
/// next segment, which is prepared in steps for their sake.
fn next_task<'a, S: Storage>(shared: &'a Shared<S>, reported: &mut Reported, preparing: bool) -> Task<'a, S> {
    let mut state = shared.lock();
    // A step of a preparation counts as an interval, so that it does not make one longer.
    let mut paused = preparing;
    loop {
        let Some(log) = state.log.as_ref().filter(|_| state.life < Life::Ended) else { return Task::Stop };
        let (last, durable) = (log.last(), log.durable());
        let stopping = state.life == Life::Stopping;
        if let Some(durable) = reported.news(log).filter(|_| shared.watched) {
            return Task::Report(Ok(durable));
        }
        if let Some(poison) = log.poison() {
            return Task::Report(Err(poison.clone()));
        }
        let due = match shared.policy {
            FsyncPolicy::Group => state.unattended > durable || stopping && last > durable,
            FsyncPolicy::Interval(_) => (paused || stopping) && last > durable,
            FsyncPolicy::Always | FsyncPolicy::Never => false,
        };
        if due && !state.sync_under_way {
            return Task::Sync(state);
        }
        if stopping && !due {
            return Task::Stop;
        }
        if preparing {
            return Task::Prepare(None);
        }
        if let Some(begun) = state.log.as_mut().and_then(Log::begin_prepare) {
            return Task::Prepare(Some(begun));
        }
        state = match shared.policy {
            FsyncPolicy::Interval(pause) if last > durable && !paused => {
                paused = true;
                wait_out(shared, state, pause, reported.durable)
            }
            _ => {
                state.flusher_idle = true;
                let mut state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.flusher_idle = false;
                state
            }
        };
    }
}

/// Lets the interval pass, unless something cannot wait for its end.
fn wait_out<'a, S: Storage>(
    shared: &'a Shared<S>,
    state: MutexGuard<'a, State<S>>,
    pause: Duration,
    reported: Lsn,
) -> MutexGuard<'a, State<S>> {
    let waited = shared.work.wait_timeout_while(state, pause, |state| {
        let Some(log) = &state.log else { return false };
        let news = shared.watched && log.durable() > reported;
        state.life == Life::Running && !news && log.poison().is_none()
    });
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// The segment that the flusher is preparing, if it is.
struct Preparation<'a, S: Storage> {
    shared: &'a Shared<S>,
    pending: Option<PendingSegment<S>>,
}

impl<S: Storage> Preparation<'_, S> {
    fn step(&mut self, begun: Option<PendingSegment<S>>) {
        let pending = begun.or_else(|| self.pending.take());
        // Kept where it is found if the storage panics.
        let Some(pending) = pending.map(|pending| self.pending.insert(pending)) else { return };
        match pending.step() {
            Ok(false) => {}
            Ok(true) => self.finish(Ok(())),
            Err(error) => self.finish(Err(error)),
        }
    }

    fn finish(&mut self, outcome: Result<(), StorageError>) {
        let Some(pending) = self.pending.take() else { return };
        let mut state = self.shared.lock();
        if let Some(log) = &mut state.log {
            // What failed is tried again when the segment is due, and whoever needs it is told then.
            log.finish_prepare(pending, outcome).ok();
        }
        self.shared.release(state);
    }
}

/// What is not done when the flusher ends is given up, so that nobody waits for it.
impl<S: Storage> Drop for Preparation<'_, S> {
    fn drop(&mut self) {
        self.finish(Ok(()));
    }
}
