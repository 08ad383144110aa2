//! The ring: told to everybody, changed in phases.

use alloc::boxed::Box;
use alloc::vec::Vec;

use replication_log::Lsn;

use super::Leaderless;
use super::RingReply;
use crate::engine::{Context, Event, Reply, RequestId};
use crate::node::NodeId;
use crate::placement::{Change, Layout, Lost};
use crate::wire::Quorum;

impl Leaderless {
    /// Tells a peer what this node knows of the ring.
    pub(super) fn tell_layout(&self, node: NodeId, context: &mut Context<'_>) {
        let layout = Box::new(self.placement.layout().clone());
        self.tell(node, Quorum::Layout(layout), context.replica.layout_lsn(), context);
    }

    /// A peer told what it knows.
    pub(super) fn on_layout(&mut self, peer: NodeId, layout: &Layout, context: &mut Context<'_>) {
        let learned = match self.placement.learn(peer, layout) {
            Ok(learned) => learned,
            Err(error) => return context.outbox.event(Event::LayoutRefused { peer, error }),
        };
        if let Some(Lost::Proposal { by }) = learned.lost {
            context.outbox.event(Event::RingProposalLost { by });
        }
        for node in learned.fenced {
            let _ = context.replica.discard_hints(node);
        }
        if learned.changed {
            self.write_layout(context);
        } else if self.placement.layout() != layout {
            // It lacks something.
            self.tell_layout(peer, context);
        }
        self.tend_ring(context);
    }

    /// An operator changes the ring.
    pub(super) fn on_change(&mut self, id: RequestId, change: &Change, context: &mut Context<'_>) {
        let reply = match self.placement.propose(change) {
            Ok(()) => {
                self.write_layout(context);
                RingReply::Begun { version: self.placement.version() }
            }
            Err(error) => RingReply::Refused(error),
        };
        context.outbox.reply(id, Reply::Ring(reply), context.replica.journal.last());
        self.tend_ring(context);
    }

    /// Takes the steps that this node can take.
    pub(super) fn tend_ring(&mut self, context: &mut Context<'_>) {
        if self.placement.version() == 0 {
            return;
        }
        let mut changed = self.placement.acknowledge(self.operations.oldest_generation());
        while self.placement.advance() {
            changed = true;
            changed |= self.placement.acknowledge(self.operations.oldest_generation());
        }
        if changed {
            self.write_layout(context);
        }
        self.drop_what_moved_away(context);
    }

    /// Gives up partitions that others hold now, and those that were held for others until these had them.
    fn drop_what_moved_away(&mut self, context: &mut Context<'_>) {
        if context.replica.hints_size().0 > 0 || self.operations.len() > 0 {
            return;
        }
        let me = self.placement.me();
        let replica = &context.replica;
        let is_full = |number: &u16| replica.partition(*number).cells.len() > 0;
        let moved = |number: &u16| !self.placement.holds(me, *number) && self.placement.may_drop(me, *number);
        let dropped: Vec<u16> = (0..replica.config.partitions).filter(is_full).filter(moved).collect();
        for partition in dropped {
            if context.replica.drop_partition(partition).is_ok() {
                context.outbox.event(Event::PartitionDropped { partition });
            }
        }
    }

    /// Writes the layout down, and tells everybody once that is durable.
    fn write_layout(&mut self, context: &mut Context<'_>) {
        let _: Lsn = context.replica.note_layout(self.placement.layout());
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            self.tell_layout(node, context);
        }
    }
}
