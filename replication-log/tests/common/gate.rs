//! Where a thread waits until a test lets it go on, so that the test decides what happens meanwhile.
#![allow(clippy::disallowed_methods, reason = "the tests that need a gate are about threads")]

use std::sync::{Condvar, Mutex, MutexGuard};

#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    shut: bool,
    waiting: usize,
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.state().shut = true;
    }

    pub(crate) fn open(&self) {
        self.state().shut = false;
        self.changed.notify_all();
    }

    pub(crate) fn until_someone_waits(&self) {
        let nobody = |state: &mut State| state.waiting == 0;
        drop(self.changed.wait_while(self.state(), nobody).expect("no panic under it"));
    }

    /// Waits as long as it is shut.
    pub(crate) fn pass(&self) {
        let mut state = self.state();
        if state.shut {
            state.waiting += 1;
            self.changed.notify_all();
            let mut state = self.changed.wait_while(state, |state| state.shut).expect("no panic under it");
            state.waiting -= 1;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under it")
    }
}
