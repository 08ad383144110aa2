//! The node that leads: what is written, what is committed, who is told.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use replication_log::ship::commit::{CommitOutcome, Link, Mode, Role, Ticket};
use replication_log::ship::{Commits, Marks, Stage};
use replication_log::{Epoch, Lsn};

use super::lag::Lags;
#[cfg(feature = "_planted_bugs")]
use super::mistakes;
use super::{CommitReply, FollowerStatus, Reign, SingleLeaderConfig, elapsed};
use crate::bytes::Bytes;
use crate::engine::{Activity, Context, Event, Reply, RequestId};
use crate::node::NodeId;
use crate::replica::{Write, Written};
use crate::session::SessionToken;
use crate::time::Instant;

/// A reign of this node.
#[derive(Debug)]
pub(super) struct Leading {
    epoch: Epoch,
    /// Until when, if something ends it.
    pub(super) until: Option<Instant>,
    /// The record that says so.
    first: Lsn,
    commits: Commits<NodeId>,
    waiting: BTreeMap<Ticket, Waiting>,
    lags: Lags,
    /// The time of the last input.
    now: Duration,
}

/// A client that waits for its writes to be committed.
#[derive(Debug)]
struct Waiting {
    id: RequestId,
    written: Written,
    /// Where it asked within a session: the token so far.
    session: Option<SessionToken>,
}

impl Leading {
    pub(super) fn begin(
        reign: Reign,
        until: Option<Instant>,
        config: &SingleLeaderConfig,
        context: &Context<'_>,
    ) -> Self {
        let replica = &*context.replica;
        let me = replica.config.node;
        let mut commits = Commits::new(config.commits.clone());
        for (node, role) in config.followers.iter().filter(|(node, _)| **node != me) {
            #[cfg(feature = "_planted_bugs")]
            let role = &mistakes::role(*role, replica);
            // The bound is far beyond any cluster; who is beyond it does not count.
            let _ = commits.add(*node, *role);
        }
        let epoch = Epoch::new(reign.epoch);
        // Of fresh commits no reign was begun, and nothing is committed.
        let first = Lsn::new(reign.first);
        let _ = commits.begin_reign(epoch, first);
        let now = elapsed(context.now.instant);
        let lags = Lags::new(config.alarms.clone(), context.outbox.durable(), now);
        Self { epoch, until, first, commits, waiting: BTreeMap::new(), lags, now }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn committed(&self) -> Lsn {
        self.commits.committed()
    }

    /// How far readers of this node may see.
    pub(super) fn visible(&self) -> Lsn {
        self.commits.visible()
    }

    pub(super) fn mode(&self) -> Mode {
        self.commits.mode()
    }

    pub(super) fn add_activity(&self, activity: &mut Activity) {
        activity.committing |= self.commits.committed() < self.commits.local_durable();
        activity.degraded |= self.mode() != Mode::Armed;
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.commits.next_deadline()
    }

    /// Puts writes into the log, if they are admitted, and has whoever asked wait for what they need.
    pub(super) fn write(
        &mut self,
        id: RequestId,
        writes: &[Write],
        deadline: Option<Instant>,
        session: Option<SessionToken>,
        limit: usize,
        context: &mut Context<'_>,
    ) {
        let refused = |reply, context: &mut Context<'_>| {
            let reply = in_session(Reply::Commit(reply), session.as_ref(), context);
            context.outbox.reply(id, reply, Lsn::ZERO);
        };
        if let Err(error) = self.commits.admit() {
            return refused(CommitReply::NotAdmitted(error), context);
        }
        let bytes = context.replica.pending_bytes();
        if bytes >= limit {
            return refused(CommitReply::TooMuchUncommitted { bytes, limit }, context);
        }
        let mut written = match context.replica.write(writes, context.now.wall) {
            Ok(written) => written,
            Err(error) => {
                let reply = in_session(Reply::Refused(error), session.as_ref(), context);
                return context.outbox.reply(id, reply, Lsn::ZERO);
            }
        };
        context.replica.note_committed(self.commits.committed());
        // What changed nothing rests on what made it unnecessary.
        if written.lsn == Lsn::ZERO {
            written.lsn = context.replica.journal.last();
        }
        match self.commits.wait(written.lsn, deadline.map(elapsed)) {
            Ok(ticket) => drop(self.waiting.insert(ticket, Waiting { id, written, session })),
            // It was admitted, so that there is room.
            Err(_) => context.outbox.reply(id, Reply::Overloaded, Lsn::ZERO),
        }
    }

    pub(super) fn durable(&mut self, context: &Context<'_>) {
        self.lags.durable(context, self.now);
        let durable = context.outbox.durable();
        #[cfg(feature = "_planted_bugs")]
        let durable = mistakes::durable(durable, crate::PlantedBug::CommittedAheadOfDisk, context);
        self.commits.durable(durable, self.now);
    }

    /// A follower is sent what it lacks. One that nobody named never counts.
    pub(super) fn connected(&mut self, node: NodeId, marks: Marks) {
        if self.commits.follower(node).is_none() {
            let _ = self.commits.add(node, Role::Observer);
        }
        let _ = self.commits.connected(node, marks);
        self.lags.connected(node, marks);
    }

    /// A follower has come so far.
    pub(super) fn reported(&mut self, node: NodeId, marks: &Marks) {
        let _ = self.commits.report(node, marks);
        self.lags.reported(node, marks, self.now);
    }

    /// Takes note of who is sent each record as it comes, from now on. Returns whether anybody is who was not before.
    pub(super) fn note_caught_up(&mut self, is_caught_up: impl Fn(NodeId) -> bool) -> bool {
        let lagging: Vec<NodeId> = self
            .commits
            .followers()
            .filter(|(node, follower)| follower.link == Link::CatchingUp && is_caught_up(*node))
            .map(|(node, _)| node)
            .collect();
        // Whoever lags is connected.
        lagging.into_iter().filter(|node| self.commits.streaming(*node).is_ok()).count() > 0
    }

    /// Whether a follower has everything on its disk.
    pub(super) fn has_everything(&self, node: NodeId, last: Lsn) -> bool {
        self.commits.follower(node).is_some_and(|follower| {
            follower.link == Link::Streaming && follower.marks.at(Stage::Flushed) >= last
        })
    }

    pub(super) fn gone(&mut self, node: NodeId) {
        let _ = self.commits.gone(node);
    }

    /// The time of an input, before anything else is told of it.
    pub(super) fn it_is(&mut self, now: Instant) {
        self.now = elapsed(now);
    }

    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        self.commits.tick(self.now);
        self.lags.check(context, self.now);
    }

    pub(super) fn fate(&self, epoch: Epoch, lsn: Lsn) -> replication_log::ship::commit::Fate {
        self.commits.fate(epoch, lsn)
    }

    pub(super) fn followers(&self) -> impl Iterator<Item = (NodeId, FollowerStatus)> + '_ {
        self.commits
            .followers()
            .map(|(node, follower)| (node, FollowerStatus { follower, lag: self.lags.of(node, self.now) }))
    }

    /// Tells whoever need not wait any longer, once what is committed is applied.
    pub(super) fn tell(&mut self, context: &mut Context<'_>) {
        while let Some(event) = self.commits.poll_event() {
            context.outbox.event(Event::Commit(event));
        }
        while let Some((ticket, outcome)) = self.commits.poll() {
            let Some(Waiting { id, written, session }) = self.waiting.remove(&ticket) else { continue };
            let (epoch, lsn) = (self.epoch, written.lsn);
            let reply = Reply::Commit(match outcome {
                CommitOutcome::Committed { degraded, .. } => {
                    #[cfg(feature = "_planted_bugs")]
                    let degraded = degraded && !context.replica.has_bug(crate::PlantedBug::DegradedUnstamped);
                    CommitReply::Committed { written, epoch, degraded }
                }
                CommitOutcome::NotReplicated { durable_local, reason, .. } => {
                    CommitReply::NotReplicated { written, epoch, durable_local, reason }
                }
            });
            // A session rests on what it wrote, also where it is not known to be committed: it finds out when it reads.
            let session = session.map(|mut token| {
                let _ = token.merge(&SessionToken::SingleLeader { epoch: epoch.get(), lsn: lsn.get() });
                token
            });
            let reply = in_session(reply, session.as_ref(), context);
            // Once the epoch is this reign's for good: after a loss of power another one may begin under its name.
            context.outbox.reply(id, reply, self.first);
        }
    }

    /// Another node leads: whoever waits is told that nobody can promise anything any more.
    pub(super) fn end(mut self, context: &mut Context<'_>) {
        self.commits.end_reign();
        self.tell(context);
    }

    /// The log failed: nobody can know what became of what waits.
    pub(super) fn fail(&mut self, context: &mut Context<'_>) {
        for (ticket, Waiting { id, .. }) in core::mem::take(&mut self.waiting) {
            context.outbox.reply(id, Reply::Unknown { lsn: ticket.lsn() }, Lsn::ZERO);
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// The reply as a client with a session is told it.
pub(super) fn in_session(reply: Reply, session: Option<&SessionToken>, context: &Context<'_>) -> Reply {
    let Some(token) = session else { return reply };
    let token = Bytes::from(token.encode(&context.replica.config.cluster));
    Reply::InSession { token, reply: alloc::boxed::Box::new(reply) }
}
