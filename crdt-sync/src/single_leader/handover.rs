//! A leader hands over to another node, without loss and without a time in which nobody knows what was committed.
//!
//! It admits nothing more, waits until the other one has everything on its disk, which is then committed, too, and
//! steps down. The other one leads as soon as it is granted to. Where nodes take over by themselves, the supervisor
//! gives the lease back in its favour, and nobody waits for its end.

use replication_log::Lsn;

use super::reigning::Asker;
use super::{LeadReply, SingleLeader};
use crate::engine::Context;
use crate::node::NodeId;
use crate::time::Instant;

/// What a leader waits for before it steps down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handover {
    asker: Asker,
    pub(super) to: NodeId,
    pub(super) until: Instant,
}

impl SingleLeader {
    /// Somebody wants another node to lead next.
    pub(super) fn hand_over(
        &mut self,
        asker: Asker,
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
            return self.tell_asker(asker, reply, Lsn::ZERO, context);
        }
        self.handover = Some(Handover { asker, to, until });
    }

    /// Steps down once the other one has everything, or goes on if that takes too long.
    pub(super) fn go_on_handing_over(&mut self, context: &mut Context<'_>) {
        let Some(Handover { asker, to, until }) = self.handover else { return };
        let Some(leading) = &self.leading else {
            self.handover = None;
            let reply = LeadReply::StillLeads { lacks: to };
            return self.tell_asker(asker, reply, Lsn::ZERO, context);
        };
        let last = context.replica.journal.last();
        if leading.has_everything(to, last)
            && leading.committed() == last
            && context.replica.applied() == last
        {
            self.handover = None;
            let end = context.replica.end_of_log();
            self.step_down(context);
            self.tell_asker(asker, LeadReply::HandedOver { to, end }, Lsn::ZERO, context);
        } else if context.now.instant >= until {
            self.handover = None;
            self.tell_asker(asker, LeadReply::StillLeads { lacks: to }, Lsn::ZERO, context);
        }
    }
}
