//! The thread that waits for the disk on behalf of all others.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use super::{Shared, State};
use crate::{FsyncPolicy, Log, Lsn, PendingSync, Poison, storage::Storage};

/// Told every advance of the durable watermark, and at last the failure if there is one.
pub type OnDurable = Box<dyn FnMut(Result<Lsn, Poison>) + Send>;

/// Syncs and reports until the handle stops or the log fails.
pub(super) fn run<S: Storage>(shared: &Shared<S>, mut on_durable: OnDurable, mut reported: Reported) {
    // Also when the callback panics: whoever waits would wait for ever.
    let _farewell = Farewell(shared);
    loop {
        match next_task(shared, &mut reported) {
            Task::Report(outcome) => {
                let failed = outcome.is_err();
                on_durable(outcome);
                if failed {
                    return;
                }
            }
            Task::Sync(pending) => {
                let outcome = pending.run();
                let mut state = shared.lock();
                state.sync_under_way = false;
                if let Some(log) = &mut state.log {
                    // Its failure poisons the log, which is where everyone, and the next task,
                    // finds it.
                    log.finish_sync(pending, outcome).ok();
                }
                drop(state);
                shared.wake_waiting();
            }
            Task::Stop => return,
        }
    }
}

enum Task<F> {
    Report(Result<Lsn, Poison>),
    Sync(PendingSync<F>),
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

/// Waits for something to do. News are told before the next sync begins.
fn next_task<S: Storage>(shared: &Shared<S>, reported: &mut Reported) -> Task<S::File> {
    let mut state = shared.lock();
    let mut paused = false;
    loop {
        let stopping = state.stopping;
        let Some(log) = &mut state.log else {
            return Task::Stop;
        };
        if let Some(durable) = reported.news(log) {
            return Task::Report(Ok(durable));
        }
        if let Some(poison) = log.poison() {
            return Task::Report(Err(poison.clone()));
        }
        let (written, durable) = (log.written(), log.durable());
        let due = match shared.policy {
            FsyncPolicy::Group => written > durable,
            FsyncPolicy::Interval(_) => (paused || stopping) && written > durable,
            FsyncPolicy::Always | FsyncPolicy::Never => false,
        };
        if (due || state.requested > durable)
            && let Some(pending) = begin(&mut state)
        {
            return Task::Sync(pending);
        }
        if stopping {
            return Task::Stop;
        }
        state = match shared.policy {
            FsyncPolicy::Interval(pause) if written > durable && !paused => {
                paused = true;
                wait_out(shared, state, pause)
            }
            _ => shared.work.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

fn begin<S: Storage>(state: &mut State<S>) -> Option<PendingSync<S::File>> {
    let pending = state.log.as_mut()?.begin_sync().ok()?;
    state.sync_under_way = true;
    Some(pending)
}

/// Lets the interval pass, unless something cannot wait for its end.
fn wait_out<'a, S: Storage>(
    shared: &'a Shared<S>,
    state: MutexGuard<'a, State<S>>,
    pause: Duration,
) -> MutexGuard<'a, State<S>> {
    let waited = shared.work.wait_timeout_while(state, pause, |state| {
        let Some(log) = &state.log else { return false };
        !state.stopping && log.poison().is_none() && state.requested <= log.durable()
    });
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// Releases everyone who waits when the flusher ends, however it ends.
struct Farewell<'a, S: Storage>(&'a Shared<S>);

impl<S: Storage> Drop for Farewell<'_, S> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        state.sync_under_way = false;
        drop(state);
        self.0.wake_all();
    }
}
