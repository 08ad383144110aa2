//! How far followers are behind, as the node that leads knows it.

use core::time::Duration;

use replication_log::Lsn;
use replication_log::ship::lag::{Lag, LagAlarms, LagTracker};
use replication_log::ship::{Marks, Stage};

use crate::engine::{Context, Event};
use crate::node::NodeId;

/// The lag of every follower, and who has to hear of it.
#[derive(Debug)]
pub(super) struct Lags {
    tracker: LagTracker<NodeId>,
    alarms: LagAlarms<NodeId>,
    /// The last durable record that was noted.
    noted: Lsn,
    /// Bytes of all records that became durable meanwhile.
    bytes: u64,
}

impl Lags {
    pub(super) fn new(alarms: LagAlarms<NodeId>, durable: Lsn, now: Duration) -> Self {
        Self { tracker: LagTracker::new(durable, now), alarms, noted: durable, bytes: 0 }
    }

    /// More of the log is durable here.
    pub(super) fn durable(&mut self, context: &Context<'_>, now: Duration) {
        let durable = context.outbox.durable();
        if durable > self.noted {
            self.bytes += context.replica.bytes_between(self.noted, durable) as u64;
            self.tracker.note(durable, self.bytes, now);
            self.noted = durable;
        }
    }

    /// A follower is there and so far, which may be less than it was: another disk, say.
    pub(super) fn connected(&mut self, node: NodeId, marks: Marks) {
        self.tracker.remove(&node);
        // The bound on followers is that of the commits.
        let _ = self.tracker.add(node, marks);
    }

    pub(super) fn reported(&mut self, node: NodeId, marks: &Marks, now: Duration) {
        let _ = self.tracker.report(&node, marks, now);
    }

    /// Tells of whoever has fallen behind, or is no longer.
    pub(super) fn check(&mut self, context: &mut Context<'_>, now: Duration) {
        for alarm in self.alarms.check(&self.tracker, now) {
            context.outbox.event(Event::Lag(alarm));
        }
    }

    /// How far a follower is behind; nothing is known of one that was never there.
    pub(super) fn of(&self, node: NodeId, now: Duration) -> Option<[Lag; 4]> {
        let [received, written, flushed, applied] =
            Stage::ALL.map(|stage| self.tracker.lag(&node, stage, now));
        Some([received?, written?, flushed?, applied?])
    }
}
