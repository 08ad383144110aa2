//! What an operator has to hear of.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::{Lsn, limits::MAX_COMMIT_EVENTS};

/// Something that changes what a commit is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<N> {
    /// From now on the leader's disk is enough: a record has waited for too long.
    Degraded {
        /// Since when the oldest record that is not acknowledged has waited.
        since: Duration,
        /// When that was found to be too long.
        at: Duration,
    },
    /// The policy holds again: enough followers have caught up, or a new reign began.
    Rearmed {
        /// What those have at least that the policy asks for.
        through: Lsn,
    },
    /// Records that were committed were cut off the log. Under a policy that was met nobody has a reason for
    /// it; under an asynchronous or degraded one this is what a failover costs.
    CommittedCut {
        /// The first of them.
        first: Lsn,
        /// The last of them.
        last: Lsn,
    },
    /// A follower came back with less on its disk than it had acknowledged: it lost its disk or was
    /// restored. Counts of it no longer include what it lost.
    WentBack {
        /// Who.
        follower: N,
        /// Up to where it had acknowledged.
        had: Lsn,
        /// What it has.
        has: Lsn,
    },
}

/// Events that nobody has asked for yet.
#[derive(Clone, Debug)]
pub(super) struct Events<N> {
    waiting: VecDeque<Event<N>>,
    missed: u64,
}

impl<N> Events<N> {
    pub(super) const fn new() -> Self {
        Self { waiting: VecDeque::new(), missed: 0 }
    }

    pub(super) fn push(&mut self, event: Event<N>) {
        if self.waiting.len() == MAX_COMMIT_EVENTS {
            self.waiting.pop_front();
            self.missed = self.missed.saturating_add(1);
        }
        self.waiting.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event<N>> {
        self.waiting.pop_front()
    }

    pub(super) const fn missed(&self) -> u64 {
        self.missed
    }
}
