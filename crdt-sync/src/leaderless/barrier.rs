//! Waiting until everybody has what this node keeps for others.

use alloc::vec::Vec;

use replication_log::Lsn;

use super::{HintsReply, Leaderless};
use crate::engine::{Context, Reply, RequestId};
use crate::replica::SyncPoint;
use crate::time::Instant;

/// So many may wait at a time.
const MAX_BARRIERS: usize = 256;

/// Who waits for hints to be gone.
#[derive(Debug, Default)]
pub(super) struct Barriers(Vec<Barrier>);

#[derive(Debug)]
struct Barrier {
    client: RequestId,
    point: SyncPoint,
    deadline: Instant,
}

impl Barriers {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().map(|barrier| barrier.deadline).min()
    }
}

impl Leaderless {
    /// A client waits until the hints of now are gone.
    pub(super) fn await_hints(&mut self, client: RequestId, deadline: Instant, context: &mut Context<'_>) {
        if let Some(reply) = self.refusal_of_all(context) {
            return context.outbox.reply(client, reply, Lsn::ZERO);
        }
        if self.barriers.len() >= MAX_BARRIERS {
            return context.outbox.reply(client, Reply::Overloaded, Lsn::ZERO);
        }
        let point = context.replica.hint_sync_point();
        self.barriers.0.push(Barrier { client, point, deadline });
        self.answer_barriers(context);
    }

    /// Answers those that waited long enough. O(waiting × owners × log hints).
    pub(super) fn answer_barriers(&mut self, context: &mut Context<'_>) {
        let (now, last) = (context.now.instant, context.replica.journal.last());
        for barrier in core::mem::take(&mut self.barriers.0) {
            let reply = if context.replica.is_past(&barrier.point) {
                HintsReply::Delivered
            } else if barrier.deadline <= now {
                still_waiting(context)
            } else {
                self.barriers.0.push(barrier);
                continue;
            };
            context.outbox.reply(barrier.client, Reply::Hints(reply), last);
        }
    }
}

fn still_waiting(context: &Context<'_>) -> HintsReply {
    let (count, bytes) = context.replica.hints_size();
    let pending = context.replica.hint_owners().filter_map(|owner| context.replica.pending_hints(owner));
    let oldest = pending.map(|pending| pending.oldest).min().unwrap_or(context.now.wall);
    HintsReply::StillWaiting { count, bytes, oldest }
}
