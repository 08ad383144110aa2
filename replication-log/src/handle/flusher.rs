//! The thread that waits for the disk on behalf of those who do not.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use super::shared::{Farewell, Shared, State};
use crate::{FsyncPolicy, Log, Lsn, Poison, storage::Storage};

/// Told every advance of the durable watermark, and at last the failure if there is one.
pub type OnDurable = Box<dyn FnMut(Result<Lsn, Poison>) + Send>;

/// Syncs and reports until the handle stops or the log fails.
pub(super) fn run<S: Storage>(shared: &Shared<S>, mut on_durable: Option<OnDurable>) {
    // Also when the callback panics: whoever waits would wait for ever.
    let _farewell = Farewell(shared);
    let mut reported = shared.lock().log.as_ref().map_or(Lsn::ZERO, Log::durable);
    loop {
        match next_task(shared, reported) {
            Task::Report(outcome) => {
                let failed = outcome.is_err();
                reported = *outcome.as_ref().unwrap_or(&reported);
                if let Some(on_durable) = &mut on_durable {
                    on_durable(outcome);
                }
                if failed {
                    return;
                }
            }
            Task::Sync(state) => shared.lead(state),
            Task::Stop => return,
        }
    }
}

enum Task<'a, S: Storage> {
    Report(Result<Lsn, Poison>),
    Sync(MutexGuard<'a, State<S>>),
    Stop,
}

/// Waits for something to do. News are told before the next sync begins.
fn next_task<S: Storage>(shared: &Shared<S>, reported: Lsn) -> Task<'_, S> {
    let mut state = shared.lock();
    let mut paused = false;
    loop {
        let Some(log) = state.log.as_ref().filter(|_| !state.ended) else { return Task::Stop };
        let (last, durable) = (log.last(), log.durable());
        if durable > reported && shared.watched {
            return Task::Report(Ok(durable));
        }
        if let Some(poison) = log.poison() {
            return Task::Report(Err(poison.clone()));
        }
        let due = match shared.policy {
            FsyncPolicy::Group => state.unattended > durable || state.stopping && last > durable,
            FsyncPolicy::Interval(_) => (paused || state.stopping) && last > durable,
            FsyncPolicy::Always | FsyncPolicy::Never => false,
        };
        if due && !state.sync_under_way {
            return Task::Sync(state);
        }
        if state.stopping && !due {
            return Task::Stop;
        }
        state = match shared.policy {
            FsyncPolicy::Interval(pause) if last > durable && !paused => {
                paused = true;
                wait_out(shared, state, pause, reported)
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
        !state.stopping && !state.ended && !news && log.poison().is_none()
    });
    waited.unwrap_or_else(PoisonError::into_inner).0
}
