//! Hints when nodes leave: no one that waits for a node must wait for ever, and none that somebody needs may go.
//!
//! | who leaves | what becomes of hints |
//! |---|---|
//! | an owner, or it gives up the partition | they go to those that hold the partition now |
//! | an owner that was declared dead, removed or replaced | they go to any replica, and one that is such drops them |
//! | the node that keeps them | it hands them on, and is not gone before the last is where it belongs |
//!
//! Whoever is to come keeps none before it is certain to come: the change may be given up.
//!
//! A node that leaves holds up the last step of the change for that: it does not acknowledge
//! [`Phase::Reading`] while it keeps hints, and takes no new ones from there on. What it cannot bring to
//! its owner, because that is down, another node keeps in its stead; so it waits for nobody.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use replication_log::Lsn;

use super::Leaderless;
use crate::engine::{Context, Event};
use crate::node::NodeId;
use crate::placement::Phase;
use crate::replica::HintError;
use crate::time::Instant;
use crate::wire::MergedState;

/// So many hints are moved at a time.
const BATCH: usize = 1 << 10;

/// What was done about hints for nodes that gave something up.
#[derive(Debug, Default)]
pub(super) struct Departures {
    /// The generation of the ring in which nothing was left to be moved.
    settled: Option<u64>,
}

impl Leaderless {
    /// Whether nobody changes the ring, and everybody knows it as this node does.
    pub(super) fn is_at_rest(&self) -> bool {
        self.placement.version() > 0 && self.placement.phase() == Phase::Stable && self.placement.is_settled()
    }

    /// Whether this node gives up everything by the change in progress, and reads ask others already.
    pub(super) fn is_leaving(&self) -> bool {
        let (me, layout) = (self.placement.me(), self.placement.layout());
        let goes = layout.next_members().is_some_and(|mut next| next.all(|member| member.node != me));
        goes && layout.phase() == Phase::Reading && layout.members().any(|member| member.node == me)
    }

    /// Whether a node can keep hints, and what belongs to others: it is on the ring, and stays there whatever becomes
    /// of the change in progress. What is kept by one that has gone, or that was to come and does not as the change is
    /// given up, stays with a node to which nobody listens. Others may know of either a little later. O(members).
    pub(super) fn may_stand_in(&self, node: NodeId) -> bool {
        let layout = self.placement.layout();
        let stays = match layout.phase() {
            Phase::Reading => self.is_among_next(node),
            Phase::Stable | Phase::Writing => layout.members().any(|it| it.node == node),
        };
        stays && !layout.is_fenced(node)
    }

    /// Whether a node is on the ring that a change leads to.
    fn is_among_next(&self, node: NodeId) -> bool {
        self.placement.layout().next_members().is_some_and(|mut next| next.any(|member| member.node == node))
    }

    /// Who keeps a hint in the stead of this node, which leaves.
    pub(super) fn stand_in(&self, owner: NodeId, partition: u16, now: Instant) -> Option<NodeId> {
        let me = self.placement.me();
        let mut list = self.placement.preference_list(partition);
        list.find(|node| {
            *node != me && *node != owner && self.is_among_next(*node) && self.is_live(*node, now)
        })
    }

    /// Keeps a state for another node. If that has given up the partition, what was told it was late on its way, and is
    /// moved like the hints that were there when the ring came to rest.
    pub(super) fn keep_for(
        &mut self,
        owner: NodeId,
        told: &MergedState,
        context: &mut Context<'_>,
    ) -> Result<Lsn, HintError> {
        let kept = context.replica.keep_hint(owner, told, context.now.wall)?;
        if !self.placement.holds(owner, told.partition) {
            self.departures.settled = None;
        }
        Ok(kept)
    }

    /// Moves hints for nodes that gave something up, and hands on those of this node if it leaves.
    pub(super) fn follow_departures(&mut self, context: &mut Context<'_>) {
        if self.is_leaving() {
            let owners: Vec<NodeId> = context.replica.hint_owners().collect();
            for owner in owners {
                self.hand_off_to(owner, context);
            }
        } else if self.is_at_rest() && self.departures.settled != Some(self.placement.generation()) {
            self.reassign_hints(context);
        }
    }

    /// Hints of partitions that their owner does not hold go to those that do. Since all know the ring, no more come
    /// than are on their way.
    fn reassign_hints(&mut self, context: &mut Context<'_>) {
        let limit = BATCH.min(context.replica.config.limits.max_writes);
        let owners: Vec<NodeId> = context.replica.hint_owners().collect();
        let mut complete = true;
        for owner in owners {
            let holds = |partition| self.placement.holds(owner, partition);
            let primaries = |partition| self.placement.read_set(partition).collect();
            let reassigned = context.replica.reassign_hints(owner, limit, holds, primaries, context.now.wall);
            complete &= reassigned.complete;
            if reassigned.moved > 0 {
                let (hints, lsn) = (reassigned.moved, context.replica.journal.last());
                context.outbox.event_after(Event::HintsReassigned { owner, hints }, lsn);
            }
            for (owner, item, _) in reassigned.refused {
                let partition = context.replica.partition_of(item.collection, &item.key);
                context.outbox.event(Event::HintRefused { owner, partition });
            }
        }
        if complete {
            self.departures.settled = Some(self.placement.generation());
        }
    }

    /// Nobody will ever ask for what was kept for a node that was declared dead. Where this node holds the partition
    /// itself, its copy is enough; otherwise the hint is kept until another replica has what is in it.
    pub(super) fn discard_hints_of_the_dead(&mut self, context: &mut Context<'_>) {
        let layout = self.placement.layout();
        if layout.fenced().len() == 0 {
            return;
        }
        let owners = context.replica.hint_owners();
        let owners = owners.chain(context.replica.missed_hints().map(|(owner, _)| owner));
        let dead: BTreeSet<NodeId> = owners.filter(|owner| layout.is_fenced(*owner)).collect();
        let (me, limit) = (self.placement.me(), BATCH.min(context.replica.config.limits.max_writes));
        for owner in dead {
            let is_needed = |partition| !self.placement.holds(me, partition);
            let hints = context.replica.discard_hints_of(owner, limit, is_needed);
            if context.replica.pending_hints(owner).is_none() {
                let _ = context.replica.discard_hints(owner);
            }
            if hints > 0 {
                let event = Event::HintsDiscarded { owner, hints };
                context.outbox.event_after(event, context.replica.journal.last());
            }
        }
    }
}
