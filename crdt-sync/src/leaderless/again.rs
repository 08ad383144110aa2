//! Operations that were refused for the ring are begun again by the ring of now.
//!
//! While the ring changes, nodes learn of each phase one after the other. Whoever is asked under a version that it does
//! not carry out says so, and tells what it knows. What the operation reached so far was reached by an earlier ring; it
//! is given up, and the operation is begun anew: with the replicas of now, under a number of its own, so that no answer
//! to the earlier one counts. A write that was carried out is not carried out again but told again, to all of them, to
//! whom it makes no difference if they have it. That goes on until the time is up that the client gave it, and the
//! client hears nothing of it.
//!
//! Where this node knows a newer ring already it begins at once, otherwise after a while: the other one may be behind.
//!
//! A removal that was to be carried out by a node that has not seen enough for it waits here, too, and what cannot be
//! judged by a node that is being filled.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use replication_log::Lsn;

use super::Leaderless;
use super::coordinate::{Failure, ReadOptions, Refusal, Unmet, WriteOp};
use super::operations::{Asked, Done, Purpose, Writing};
use super::reply::QuorumReply;
use crate::engine::{Activity, Context, Reply, RequestId};
use crate::node::NodeId;
use crate::replica::ItemKey;
use crate::time::Instant;

/// So often in a heartbeat is asked again.
const PER_HEARTBEAT: u32 = 8;
/// So much time is left at least to say how it ends.
const LEAST: Duration = Duration::from_millis(1);

/// What is to be begun again, by when.
#[derive(Debug, Default)]
pub(super) struct Again {
    waiting: BTreeMap<(Instant, u64), Begun>,
    last: u64,
}

/// An operation that was begun under an earlier ring.
#[derive(Debug)]
pub(super) enum Begun {
    /// A write that nobody carried out.
    Write { client: RequestId, asked: Asked },
    /// A write that was carried out.
    Told { client: RequestId, asked: Asked, minter: NodeId, done: Done },
    /// A read.
    Read { item: ItemKey, options: ReadOptions, until: Instant, purpose: Purpose },
}

impl Begun {
    /// Who waits for it, if nothing of it is anywhere.
    fn not_carried_out(&self) -> Option<RequestId> {
        match self {
            Self::Write { client, .. }
            | Self::Read { purpose: Purpose::Answer(client) | Purpose::Write { client, .. }, .. } => {
                Some(*client)
            }
            Self::Told { .. } | Self::Read { .. } => None,
        }
    }
}

impl Again {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Counts what waits.
    pub(super) fn add_activity(&self, activity: &mut Activity) {
        for begun in self.waiting.values() {
            match begun {
                Begun::Write { .. } => activity.minting += 1,
                Begun::Told { .. } => activity.acknowledging += 1,
                Begun::Read { .. } => activity.reading += 1,
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }
}

/// Whether there is time to begin an operation again that has to end at a time.
pub(super) fn may_wait(until: Instant, context: &Context<'_>) -> bool {
    context.now.instant + pause(context) < until
}

fn pause(context: &Context<'_>) -> Duration {
    context.replica.config.timing.heartbeat / PER_HEARTBEAT
}

/// Whether it is for the ring that a node refused.
pub(super) fn is_for_the_ring(why: Refusal) -> bool {
    matches!(why, Refusal::OtherRing | Refusal::NotAReplica)
}

/// Whether anybody refused for the ring.
pub(super) fn met_another_ring(unmet: &Unmet<NodeId>) -> bool {
    let mut failed = unmet.report().failed().iter();
    failed.any(|(_, failure)| matches!(failure, Failure::Refused(why) if is_for_the_ring(*why)))
}

impl Leaderless {
    /// An operation that began under `version` is begun again: now, or in a while.
    pub(super) fn begin_again(&mut self, version: u64, begun: Begun, context: &mut Context<'_>) {
        if version < self.placement.version() {
            return self.resume(begun, context);
        }
        self.again.last += 1;
        self.again.waiting.insert((context.now.instant + pause(context), self.again.last), begun);
    }

    /// Begins again what has waited long enough.
    pub(super) fn begin_again_what_is_due(&mut self, context: &mut Context<'_>) {
        let now = context.now.instant;
        let mut due = Vec::new();
        while let Some(entry) = self.again.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            due.push(entry.remove());
        }
        for begun in due {
            self.resume(begun, context);
        }
    }

    fn resume(&mut self, begun: Begun, context: &mut Context<'_>) {
        let now = context.now.instant;
        if let (Some(client), Some(refusal)) = (begun.not_carried_out(), self.refusal_off_the_ring()) {
            return context.outbox.reply(client, refusal, Lsn::ZERO);
        }
        match begun {
            Begun::Write { client, mut asked } => {
                asked.options.timeout = asked.until.since(now).max(LEAST);
                let Asked { write, options, seen, .. } = asked;
                self.begin_write(client, write, options, seen, context);
            }
            Begun::Read { item, mut options, until, purpose } => {
                options.timeout = until.since(now).max(LEAST);
                self.begin_read(item, options, purpose, context);
            }
            Begun::Told { client, mut asked, minter, done } => {
                asked.options.timeout = asked.until.since(now).max(LEAST);
                self.tell_again(client, asked, minter, done, context);
            }
        }
    }

    /// Tells the replicas of now of a write that was carried out under an earlier ring.
    fn tell_again(
        &mut self,
        client: RequestId,
        asked: Asked,
        minter: NodeId,
        done: Done,
        context: &mut Context<'_>,
    ) {
        let me = self.placement.me();
        let replicas = self.writers_of(done.told.partition, &asked.options, context);
        let replicas = if minter == me { replicas.coordinated_by(me) } else { replicas };
        let op = match WriteOp::new(replicas, asked.options, context.now.instant) {
            Ok(op) => op,
            Err(error) => {
                let reply = Reply::Quorum(QuorumReply::Options(error));
                return context.outbox.reply(client, reply, Lsn::ZERO);
            }
        };
        let number = self.operations.number();
        let ring = (self.placement.version(), self.placement.generation());
        let writing = Writing {
            op,
            client: Some(client),
            ring,
            minter,
            minted: Some(done),
            held_back: alloc::collections::VecDeque::new(),
            asked,
            is_told_again: true,
        };
        self.operations.writes.insert(number, writing);
        self.drive_write(number, context);
    }
}
