//! A node begins to lead, and stops.

use replication_log::ship::Begin;
use replication_log::{Epoch, Lsn};

use super::leading::Leading;
use super::{LeadReply, SingleLeader};
use crate::engine::{Context, Event, LogTask, Output, Reply, RequestId};
use crate::failover::{Grant, grant};
use crate::replica::Replica;
use crate::time::Instant;

/// Who wants this node to lead.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// Whoever made this request.
    Client(RequestId),
    /// This node's own part in failover.
    Supervisor,
}

/// A node is to lead once its log has promised the epoch.
#[derive(Debug)]
pub(super) struct Ascending {
    pub(super) asker: Asker,
    pub(super) epoch: Epoch,
    /// When the right that the grant gives ends.
    pub(super) until: Option<Instant>,
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
            // Where a lead has an end, a leader that starts again has to be granted it again.
            _ if !has_grant || self.config.failover.is_some() => None,
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
        asker: Asker,
        (grant, until): (Grant, Option<Instant>),
        context: &mut Context<'_>,
    ) {
        let newest = self.newest_epoch();
        let refused = if grant.epoch() <= newest {
            LeadReply::Fenced { newest }
        } else if !self.settled || self.stuck || self.promises.are_under_way() || self.is_beginning() {
            LeadReply::Busy
        } else if let Some(within) = self.config.promised_within() {
            if self.config.decides(self.me) {
                return self.ask_for_promises(asker, (grant, until), within, context);
            }
            LeadReply::NoCandidate
        } else {
            return self.promise_itself(Ascending { asker, epoch: grant.epoch(), until }, context);
        };
        self.tell_asker(asker, refused, Lsn::ZERO, context);
    }

    /// Whoever wanted this node to lead is told whether it does.
    pub(super) fn tell_asker(
        &mut self,
        asker: Asker,
        reply: LeadReply,
        after: Lsn,
        context: &mut Context<'_>,
    ) {
        match asker {
            Asker::Client(request) => context.outbox.reply(request, Reply::Lead(reply), after),
            Asker::Supervisor => self.tell_supervisor(reply, context),
        }
    }

    /// Nobody else leads any more. From when the log has promised it, too, this node does.
    pub(super) fn promise_itself(&mut self, ascending: Ascending, context: &mut Context<'_>) {
        let begin = Begin { promise: ascending.epoch, cut: None, snapshot: None };
        self.following.part();
        // The log is about to refuse what is written under an older epoch.
        self.step_down(context);
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
        let first = context.replica.reign_lsn();
        let reply = match &mut self.leading {
            Some(leading) if Grant::of(leading.epoch()) == grant => {
                leading.until = leading.until.map(|before| before.max(until));
                LeadReply::Leads { epoch: leading.epoch(), first }
            }
            _ => LeadReply::Fenced { newest },
        };
        context.outbox.reply(request, Reply::Lead(reply), first);
    }

    /// The right to lead may have ended before this input came.
    pub(super) fn look_at_the_clock(&mut self, context: &mut Context<'_>) {
        let Some(leading) = &mut self.leading else { return };
        leading.it_is(context.now.instant);
        if leading.until.is_some_and(|until| context.now.instant >= until) {
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
        let Ascending { asker, epoch, until } = ascending;
        if let Some(newest) = fenced_by {
            self.learn_promised(newest, context.now.instant);
            return self.tell_asker(asker, LeadReply::Fenced { newest }, Lsn::ZERO, context);
        }
        // The right may have ended while the log promised: nothing is shown or committed by it then.
        if until.is_some_and(|until| context.now.instant >= until) {
            self.learn_promised(epoch, context.now.instant);
            return self.tell_asker(asker, LeadReply::Fenced { newest: epoch }, Lsn::ZERO, context);
        }
        self.lead(epoch, until, context);
        let first = context.replica.reign_lsn();
        self.tell_asker(asker, LeadReply::Leads { epoch, first }, first, context);
    }

    /// Another epoch has begun.
    pub(super) fn step_down(&mut self, context: &mut Context<'_>) {
        if let Some(leading) = self.leading.take() {
            leading.end(context);
        }
        context.replica.stop_drafting();
        self.serving.end();
        context.outbox.lead_until(None);
    }

    pub(super) fn lead(&mut self, epoch: Epoch, until: Option<Instant>, context: &mut Context<'_>) {
        if context.replica.journal.last() == Lsn::ZERO {
            context.replica.found_shared();
        }
        let reign = context.replica.begin_reign(epoch);
        self.following.end();
        self.learn_promised(epoch, context.now.instant);
        self.known = Some((epoch, self.me));
        let mut leading = Leading::begin(reign, until, &self.config, context);
        leading.durable(context);
        self.leading = Some(leading);
        context.outbox.event(Event::Leads { node: self.me, epoch });
        self.tell_everybody(context);
        self.go_on(context);
    }
}
