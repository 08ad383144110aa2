//! A node begins to lead, and stops.

use replication_log::ship::Begin;
use replication_log::{Epoch, Lsn};

use super::leading::Leading;
use super::{LeadReply, SingleLeader, Takeover};
use crate::engine::{Context, Event, LogTask, Output, Reply, RequestId};
use crate::failover::{Grant, grant};
use crate::replica::Replica;

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
            _ if !has_grant => None,
            _ if !replica.trusts_log => {
                grant::started_since(promised.max(Grant::FIRST.epoch()), replica.draw_number())
            }
            Epoch::ZERO => Some(Grant::FIRST.epoch()),
            _ => grant::started_again(promised),
        }
    }

    /// An administrator wants this node to lead.
    pub(super) fn ascend(&mut self, id: RequestId, grant: Grant, context: &mut Context<'_>) {
        let newest = self.newest_epoch();
        let refused = if grant.epoch() <= newest {
            LeadReply::Fenced { newest }
        } else if !self.settled || self.stuck || self.promises.are_under_way() || self.is_beginning() {
            LeadReply::Busy
        } else if self.config.takeover == Takeover::Unasked {
            return self.promise_itself(id, grant, context);
        } else {
            return self.ask_for_promises(id, grant, context);
        };
        context.outbox.reply(id, Reply::Lead(refused), Lsn::ZERO);
    }

    /// Nobody else leads any more. From when the log has promised it, too, this node does.
    pub(super) fn promise_itself(&mut self, id: RequestId, grant: Grant, context: &mut Context<'_>) {
        let epoch = grant.epoch();
        self.following.part();
        self.ascending = Some((id, epoch));
        context.outbox.push(Output::Log(LogTask::Begin(Begin { promise: epoch, cut: None, snapshot: None })));
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
        let Some((id, epoch)) = self.ascending.take() else { return };
        if let Some(newest) = fenced_by {
            self.promised = self.promised.max(newest);
            return context.outbox.reply(id, Reply::Lead(LeadReply::Fenced { newest }), Lsn::ZERO);
        }
        self.step_down(context);
        self.lead(epoch, context);
        let first = context.replica.reign_lsn();
        context.outbox.reply(id, Reply::Lead(LeadReply::Leads { epoch, first }), first);
    }

    /// Another epoch has begun.
    pub(super) fn step_down(&mut self, context: &mut Context<'_>) {
        if let Some(leading) = self.leading.take() {
            leading.end(context);
        }
        context.replica.stop_drafting();
        self.serving.end();
    }

    pub(super) fn lead(&mut self, epoch: Epoch, context: &mut Context<'_>) {
        if context.replica.journal.last() == Lsn::ZERO {
            context.replica.found_shared();
        }
        let reign = context.replica.begin_reign(epoch);
        self.following.end();
        self.promised = self.promised.max(epoch);
        self.known = Some((epoch, self.me));
        let mut leading = Leading::begin(reign, &self.config, context);
        leading.durable(context);
        self.leading = Some(leading);
        context.outbox.event(Event::Leads { node: self.me, epoch });
        self.tell_everybody(context);
        self.go_on(context);
    }
}
