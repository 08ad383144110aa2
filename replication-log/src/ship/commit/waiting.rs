//! Commits that wait, and how they ended.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::time::Duration;

use super::history::DegradedRanges;
use crate::{Lsn, limits::MAX_WAITING_COMMITS};

/// A commit that waits, or waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    lsn: Lsn,
    number: u64,
}

impl Ticket {
    /// The record that has to be acknowledged.
    pub const fn lsn(self) -> Lsn {
        self.lsn
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The record is acknowledged.
    Committed {
        /// The record.
        lsn: Lsn,
        /// Whether only the leader's disk vouches for it, for followers were missing: see
        /// [`Mode::Degraded`](super::Mode::Degraded).
        degraded: bool,
    },
    /// It is not, or not yet. It stays in the log unless it was cut, and may be committed later: ask for its
    /// [`fate`](super::Commits::fate). To write it anew may write it twice.
    NotReplicated {
        /// The record.
        lsn: Lsn,
        /// Whether it is on the leader's disk.
        durable_local: bool,
        /// Why nobody waits any longer.
        reason: GaveUp,
    },
}

/// Why nobody waits for a record any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GaveUp {
    /// Its time was up.
    Deadline,
    /// The policy cannot be met by who is there, and commits are to fail then.
    FailFast,
    /// The leader was deposed. Whoever leads next may have the record or not.
    ReignEnded,
    /// The record was cut off the log.
    Cut,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    next: u64,
    by_record: BTreeMap<Ticket, Option<Duration>>,
    by_deadline: BTreeSet<(Duration, Ticket)>,
    outcomes: VecDeque<(Ticket, CommitOutcome)>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.by_record.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_record.len() + self.outcomes.len() >= MAX_WAITING_COMMITS
    }

    /// A commit more, which there must be room for.
    pub(super) fn add(&mut self, lsn: Lsn, deadline: Option<Duration>) -> Ticket {
        let ticket = Ticket { lsn, number: self.next };
        self.next += 1;
        self.by_record.insert(ticket, deadline);
        self.by_deadline.extend(deadline.map(|deadline| (deadline, ticket)));
        ticket
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> bool {
        let Some(deadline) = self.by_record.remove(&ticket) else {
            return false;
        };
        if let Some(deadline) = deadline {
            self.by_deadline.remove(&(deadline, ticket));
        }
        true
    }

    pub(super) fn release(&mut self, through: Lsn, degraded: &DegradedRanges) {
        while let Some((&ticket, _)) = self.by_record.first_key_value()
            && ticket.lsn <= through
        {
            let outcome =
                CommitOutcome::Committed { lsn: ticket.lsn, degraded: degraded.contains(ticket.lsn) };
            self.end(ticket, outcome);
        }
    }

    /// Ends the waits that are due, the earliest deadline first.
    pub(super) fn expire(&mut self, is_due: impl Fn(Duration) -> bool, durable: Lsn) {
        while let Some(&(deadline, ticket)) = self.by_deadline.first()
            && is_due(deadline)
        {
            self.end(ticket, not_replicated(ticket, durable, GaveUp::Deadline));
        }
    }

    /// Ends the waits for records after `lsn`, in their order.
    pub(super) fn give_up_after(&mut self, lsn: Lsn, durable: Lsn, reason: GaveUp) {
        let first = Ticket { lsn, number: u64::MAX };
        while let Some((&ticket, _)) = self.by_record.range(first..).next() {
            self.end(ticket, not_replicated(ticket, durable, reason));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn poll(&mut self) -> Option<(Ticket, CommitOutcome)> {
        self.outcomes.pop_front()
    }

    fn end(&mut self, ticket: Ticket, outcome: CommitOutcome) {
        self.remove(ticket);
        self.outcomes.push_back((ticket, outcome));
    }
}

fn not_replicated(ticket: Ticket, durable: Lsn, reason: GaveUp) -> CommitOutcome {
    CommitOutcome::NotReplicated { lsn: ticket.lsn, durable_local: ticket.lsn <= durable, reason }
}
