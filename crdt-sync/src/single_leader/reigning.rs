//! A node begins to lead, and stops.

use replication_log::ship::Begin;
use replication_log::{Epoch, Lsn};

use super::leading::Leading;
use super::lease::Tenancy;
use super::{LeadReply, SingleLeader, Takeover};
use crate::engine::{Context, Event, LogTask, Output, Reply, RequestId};
use crate::failover::{Grant, grant};
use crate::node::NodeId;
use crate::replica::Replica;
use crate::time::Instant;

/// A node is to lead once its log has promised the epoch.
#[derive(Debug)]
pub(super) struct Ascending {
    /// Who wants to know.
    pub(super) request: RequestId,
    pub(super) epoch: Epoch,
    pub(super) tenancy: Tenancy,
}

impl SingleLeader {
    /// Under which epoch this node leads after it was opened, if it does.
    pub(super) fn leads_under(&self, promised: Epoch, replica: &mut Replica) -> Option<Epoch> {
        let has_grant = match replica.reigns().next_back() {
            None => self.config.first_leader == self.me && Grant::of(promised) <= Grant::FIRST,
            // Whoever promised an epoch of a later grant does not lead any longer. A later one of its own grant it
            // began itself, and lost the record that says so.
            Some(last) => last.leader == self.me && Grant::of(promised) == Grant::of(Epoch::new(last.epoch)),
        };
        match promised {
            // Where leases are given a leader that starts again has to be given one, too.
            _ if !has_grant || self.config.lease().is_some() => None,
            _ if !replica.trusts_log => {
                grant::started_since(promised.max(Grant::FIRST.epoch()), replica.draw_number())
            }
            Epoch::ZERO => Some(Grant::FIRST.epoch()),
            _ => grant::started_again(promised),
        }
    }

    /// An administrator wants this node to lead, or whoever makes grants.
    pub(super) fn ascend(
        &mut self,
        request: RequestId,
        (grant, lasts): (Grant, Option<Instant>),
        context: &mut Context<'_>,
    ) {
        let newest = self.newest_epoch();
        let refused = if grant.epoch() <= newest {
            LeadReply::Fenced { newest }
        } else if !self.settled || self.stuck || self.promises.are_under_way() || self.is_beginning() {
            LeadReply::Busy
        } else if self.config.takeover == Takeover::Unasked {
            let tenancy = self.tenancy(lasts);
            return self.promise_itself(Ascending { request, epoch: grant.epoch(), tenancy }, context);
        } else if !self.config.decides(self.me) {
            LeadReply::NoCandidate
        } else {
            return self.ask_for_promises(request, (grant, lasts), context);
        };
        context.outbox.reply(request, Reply::Lead(refused), Lsn::ZERO);
    }

    /// Nobody else leads any more. From when the log has promised it, too, this node does.
    pub(super) fn promise_itself(&mut self, ascending: Ascending, context: &mut Context<'_>) {
        let begin = Begin { promise: ascending.epoch, cut: None, snapshot: None };
        self.following.part();
        self.ascending = Some(ascending);
        context.outbox.push(Output::Log(LogTask::Begin(begin)));
    }

    /// Whoever makes grants has this one last longer.
    pub(super) fn extend(
        &mut self,
        request: RequestId,
        grant: Grant,
        until: Instant,
        context: &mut Context<'_>,
    ) {
        let newest = self.newest_epoch();
        let reply = match &mut self.leading {
            Some(leading) if Grant::of(leading.epoch()) == grant => {
                leading.tenancy.extend(until);
                let first = context.replica.reign_lsn();
                LeadReply::Leads { epoch: leading.epoch(), first }
            }
            _ => LeadReply::Fenced { newest },
        };
        context.outbox.reply(request, Reply::Lead(reply), context.replica.reign_lsn());
    }

    /// A peer that has the same leader says which of the leader's rounds it has heard, or is the leader.
    pub(super) fn hear_of_round(&mut self, peer: NodeId, leader: NodeId, round: u64, now: Instant) {
        match &mut self.leading {
            Some(leading) => leading.tenancy.heard(peer, round),
            None if leader == peer && round > 0 => {
                self.round = self.round.max(round);
                self.tenant.heard(leader, now);
            }
            None => {}
        }
    }

    /// Whether this node leads, and nobody else may yet.
    pub(super) fn has_lease(&self) -> bool {
        self.config.lease().is_some() && self.leading.is_some()
    }

    /// The right to lead may have ended before this input came.
    pub(super) fn look_at_the_clock(&mut self, context: &mut Context<'_>) {
        let Some(leading) = &mut self.leading else { return };
        leading.it_is(context.now.instant);
        if leading.tenancy.until().is_some_and(|until| context.now.instant >= until) {
            context.outbox.event(Event::LeadEnded { epoch: leading.epoch() });
            self.step_down(context);
        }
    }

    /// The newest epoch that this node has promised, or knows to have a leader.
    pub(super) fn newest_epoch(&self) -> Epoch {
        self.known.map_or(self.promised, |(known, _)| known.max(self.promised))
    }

    /// Whether the log is about to become another one's, or this node to lead or to promise that another one does.
    pub(super) fn is_beginning(&self) -> bool {
        self.ascending.is_some() || self.promises.is_giving() || self.following.is_beginning()
    }

    /// The log has promised what was asked for, or never will.
    pub(super) fn ascended(&mut self, fenced_by: Option<Epoch>, context: &mut Context<'_>) {
        let Some(ascending) = self.ascending.take() else { return };
        let Ascending { request, epoch, tenancy } = ascending;
        if let Some(newest) = fenced_by {
            self.promised = self.promised.max(newest);
            return context.outbox.reply(request, Reply::Lead(LeadReply::Fenced { newest }), Lsn::ZERO);
        }
        self.step_down(context);
        self.lead(epoch, tenancy, context);
        let first = context.replica.reign_lsn();
        context.outbox.reply(request, Reply::Lead(LeadReply::Leads { epoch, first }), first);
    }

    /// Until when this node may lead, of which nobody has heard yet; `lasts` is when the right that a grant gives ends.
    pub(super) fn tenancy(&self, lasts: Option<Instant>) -> Tenancy {
        let mut others = self.config.candidates();
        others.retain(|node| *node != self.me);
        Tenancy::new(self.config.lease(), others, lasts)
    }

    /// Another epoch has begun.
    pub(super) fn step_down(&mut self, context: &mut Context<'_>) {
        if let Some(leading) = self.leading.take() {
            // Nobody is to wait on account of what it says from now on.
            self.round = 0;
            leading.end(context);
        }
        context.replica.stop_drafting();
        self.serving.end();
        context.outbox.lead_until(None);
    }

    pub(super) fn lead(&mut self, epoch: Epoch, tenancy: Tenancy, context: &mut Context<'_>) {
        if context.replica.journal.last() == Lsn::ZERO {
            context.replica.found_shared();
        }
        let reign = context.replica.begin_reign(epoch);
        self.following.end();
        self.promised = self.promised.max(epoch);
        self.known = Some((epoch, self.me));
        let mut leading = Leading::begin(reign, tenancy, &self.config, context);
        leading.durable(context);
        self.leading = Some(leading);
        context.outbox.event(Event::Leads { node: self.me, epoch });
        self.tell_everybody(context);
        self.go_on(context);
    }
}
