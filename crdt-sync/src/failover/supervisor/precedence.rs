//! A leader makes way for a node that comes before it in the list of priorities.
//!
//! Whoever lacks entries leads only after it has them. So after a failover the first of the list may find another one
//! ahead, which leads; and it gets the lead back by a planned handover, which loses nothing.

use super::{NodeId, Phase, Supervisor};
use crate::failover::election::Policy;

impl Supervisor {
    /// This node leads from now on, or has tried to hand over.
    pub(super) fn put_off_making_way(&mut self) {
        self.makes_way_at = self.config.makes_way.map(|span| self.now + span);
    }

    /// Hands over to the first of the list, if it could lead, and this node has led for long enough.
    pub(super) fn make_way(&mut self) {
        let is_due = self.makes_way_at.is_some_and(|at| self.now >= at);
        if !is_due || self.paused || !matches!(self.phase, Phase::Leading { .. }) {
            return;
        }
        self.put_off_making_way();
        if let Some(to) = self.preferred() {
            self.begin_handover(to, self.now + self.config.ask_timeout);
        }
    }

    /// The first of those who come before this node in the list and are about as far as it is.
    fn preferred(&self) -> Option<NodeId> {
        let (Policy::Priority(list), Some(own)) = (&self.config.policy, self.own) else { return None };
        let mine = list.iter().position(|node| *node == self.me).unwrap_or(list.len());
        let alive = self.view.alive(self.now);
        let can_lead = |node: &&NodeId| {
            alive.iter().any(|candidate| {
                let lacks = own.end.lsn.get().saturating_sub(candidate.end.lsn.get());
                candidate.node == **node
                    && candidate.promotable
                    && candidate.end.epoch == own.end.epoch
                    && self.config.most_lag.is_none_or(|most| lacks <= most)
            })
        };
        list[..mine].iter().find(can_lead).copied()
    }
}
