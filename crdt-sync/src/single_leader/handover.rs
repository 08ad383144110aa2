//! A leader hands over to another node, without loss and without a time in which nobody knows what was committed.
//!
//! It admits nothing more, waits until the other one has everything on its disk, which is then committed, too, and steps
//! down. The other one leads as soon as it is granted to; nobody waits for the end of a lease that was given back.

use replication_log::Lsn;

use super::{LeadReply, SingleLeader};
use crate::engine::{Context, Reply, RequestId};
use crate::node::NodeId;
use crate::time::Instant;
use crate::wire::{HandedOver, Message, Ship};

/// What a leader waits for before it steps down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handover {
    request: RequestId,
    pub(super) to: NodeId,
    pub(super) until: Instant,
}

impl SingleLeader {
    /// Somebody wants another node to lead next.
    pub(super) fn hand_over(
        &mut self,
        request: RequestId,
        (to, until): (NodeId, Instant),
        context: &mut Context<'_>,
    ) {
        let leads = self.leading.is_some() && self.handover.is_none() && self.ascending.is_none();
        if !leads || to == self.me || !self.config.followers.contains_key(&to) {
            let reply = if self.leading.is_some() {
                LeadReply::Busy
            } else {
                LeadReply::Fenced { newest: self.newest_epoch() }
            };
            return context.outbox.reply(request, Reply::Lead(reply), Lsn::ZERO);
        }
        self.handover = Some(Handover { request, to, until });
    }

    /// Steps down once the other one has everything, or goes on if that takes too long.
    pub(super) fn go_on_handing_over(&mut self, context: &mut Context<'_>) {
        let Some(Handover { request, to, until }) = self.handover else { return };
        let Some(leading) = &self.leading else {
            self.handover = None;
            let reply = LeadReply::Fenced { newest: self.newest_epoch() };
            return context.outbox.reply(request, Reply::Lead(reply), Lsn::ZERO);
        };
        let last = context.replica.journal.last();
        if leading.has_everything(to, last)
            && leading.committed() == last
            && context.replica.applied() == last
        {
            self.handover = None;
            let end = context.replica.end_of_log();
            self.step_down(context);
            self.tenant.handed_over(self.me, to);
            let word = Message::Ship(Ship::HandedOver(HandedOver { epoch: end.epoch, to }));
            for link in self.peers.values() {
                context.outbox.send(*link, &word, Lsn::ZERO);
            }
            context.outbox.reply(request, Reply::Lead(LeadReply::HandedOver { to, end }), Lsn::ZERO);
        } else if context.now.instant >= until {
            self.handover = None;
            let reply = LeadReply::StillLeads { lacks: to };
            context.outbox.reply(request, Reply::Lead(reply), Lsn::ZERO);
        }
    }

    /// A leader has stepped down in favour of another node: nobody waits for the end of its lease.
    pub(super) fn on_handed_over(&mut self, by: NodeId, word: HandedOver) {
        if self.known.is_some_and(|(epoch, leader)| leader == by && epoch.get() == word.epoch) {
            self.tenant.handed_over(by, word.to);
        }
    }
}
