//! The ring: told to everybody, changed in phases.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use replication_log::Lsn;

use super::Leaderless;
use super::RingReply;
use crate::engine::{Context, Event, Reply, RequestId};
use crate::node::NodeId;
use crate::placement::{Change, ChangeError, CopyPermit, Layout, Lost};
use crate::wire::Quorum;

/// How far this node is with what it gains by a change.
#[derive(Debug, Default)]
pub(super) struct Copying {
    /// The generation of the ring, and whether everybody acknowledged it.
    stage: Option<u64>,
    /// Of which partitions everything was taken over from whom, in this stage.
    copied: BTreeMap<u16, BTreeSet<NodeId>>,
}

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

    /// An operator declares nodes dead. Whether it may be an operator is for whoever takes in the request to say, as
    /// with all that concerns the cluster; of nodes only members are listened to.
    pub(super) fn on_declared_dead(&mut self, id: RequestId, nodes: &[NodeId], context: &mut Context<'_>) {
        let is_fenced = |node: &&NodeId| self.placement.layout().is_fenced(**node);
        let reply = match nodes.iter().find(is_fenced) {
            Some(node) => RingReply::Refused(ChangeError::AlreadyDead { node: *node }),
            None if nodes.is_empty() => RingReply::Refused(ChangeError::Nothing),
            None => match self.placement.declare_dead(nodes) {
                Ok(_) => {
                    self.write_layout(context);
                    RingReply::DeclaredDead { version: self.placement.version() }
                }
                Err(error) => RingReply::Refused(error),
            },
        };
        context.outbox.reply(id, Reply::Ring(reply), context.replica.journal.last());
        self.tend_ring(context);
    }

    /// Takes the steps that this node can take.
    pub(super) fn tend_ring(&mut self, context: &mut Context<'_>) {
        if self.placement.version() == 0 {
            return;
        }
        let mut changed = self.acknowledge(context);
        while self.placement.advance() {
            changed = true;
            changed |= self.acknowledge(context);
        }
        if changed {
            self.write_layout(context);
        }
        self.discard_hints_of_the_dead(context);
        self.follow_ring(context);
    }

    /// Lives by the ring that is known, if it does. A node that leaves goes on to take part until it has handed on all
    /// that it keeps for others: afterwards nobody would listen to it.
    fn acknowledge(&mut self, context: &Context<'_>) -> bool {
        let keeps_hints = self.is_leaving() && context.replica.hints_size().0 > 0;
        !keeps_hints && self.placement.acknowledge(self.operations.oldest_generation())
    }

    /// Compares with whom the ring says, and copies what this node gains by it.
    fn follow_ring(&mut self, context: &mut Context<'_>) {
        // A copy counts only if it began after everybody had acknowledged the change.
        let stage = 2 * self.placement.generation() + u64::from(self.placement.is_settled());
        if self.copying.stage == Some(stage) {
            return;
        }
        self.copying = Copying { stage: Some(stage), copied: BTreeMap::new() };
        let me = self.placement.me();
        let own = (0..context.replica.config.partitions).filter(|number| self.placement.holds(me, *number));
        let pairs: Vec<(u16, NodeId)> = own
            .flat_map(|number| {
                let sets = self.placement.write_sets(number);
                let others: BTreeSet<NodeId> =
                    sets.first.chain(sets.second.into_iter().flatten()).filter(|node| *node != me).collect();
                others.into_iter().map(move |node| (number, node))
            })
            .collect();
        self.anti_entropy.set_pairs(stage, pairs, context);
        for partition in self.placement.to_copy() {
            for source in self.placement.copy_permit(partition).iter().flat_map(CopyPermit::sources) {
                self.anti_entropy.mark(partition, *source, context.now.instant);
            }
        }
        self.follow_ring_while_filling(context);
    }

    /// What comparisons came to their end since this was asked last.
    pub(super) fn take_synced(&mut self, context: &mut Context<'_>) {
        let mut whole = Vec::new();
        for synced in self.anti_entropy.take_synced() {
            if !synced.complete {
                self.filled_in_part_from(synced.peer, synced.partition);
                continue;
            }
            let _ = context.replica.hints_made_good(synced.peer, synced.partition);
            // A copy from one that lacks what it acknowledged is none.
            if self.filled_from(synced.peer, synced.partition, context) {
                whole.push(synced);
            }
        }
        self.conclude_filling(context);
        let (mut copied, me) = (false, self.placement.me());
        for synced in whole.into_iter().filter(|synced| Some(synced.layout) == self.copying.stage) {
            let Some(permit) = self.placement.copy_permit(synced.partition) else { continue };
            let from = self.copying.copied.entry(synced.partition).or_default();
            from.insert(synced.peer);
            let mut from: Vec<NodeId> = from.iter().copied().collect();
            // What it holds itself need not be copied.
            from.extend(context.replica.is_filled(synced.partition).then_some(me));
            copied |= self.placement.report_copied(&permit, &from) == Ok(true);
        }
        if copied {
            self.write_layout(context);
            self.tend_ring(context);
        }
    }

    /// Has compared soon what hints would have brought that found no room, or got too old.
    pub(super) fn compare_what_was_missed(&mut self, context: &mut Context<'_>) {
        let me = self.placement.me();
        let missed: Vec<(NodeId, u16)> = context.replica.missed_hints().collect();
        for (owner, partition) in missed {
            let both = self.placement.holds(me, partition) && self.placement.holds(owner, partition);
            if both {
                self.anti_entropy.mark(partition, owner, context.now.instant);
            } else if self.is_at_rest() {
                // Only owners compare; they do so among themselves.
                let _ = context.replica.hints_made_good(owner, partition);
            }
        }
    }

    /// This node is behind with a partition, and cannot tell behind whom.
    pub(super) fn compare_soon(&mut self, partition: u16, context: &Context<'_>) {
        let me = self.placement.me();
        let others = self.placement.preference_list(partition).filter(|node| *node != me);
        for owner in others.filter(|node| self.placement.holds(*node, partition)) {
            self.anti_entropy.mark(partition, owner, context.now.instant);
        }
    }

    /// Gives up partitions that others hold now, and those that were held for others until these had them. To be called
    /// at every heartbeat: whether nobody needs them any more is told by others, and by hints that are delivered, and
    /// nothing waits for it. So it makes no difference through how many changes of the ring a node was down.
    pub(super) fn drop_what_moved_away(&mut self, context: &mut Context<'_>) {
        let me = self.placement.me();
        let replica = &context.replica;
        let is_full = |number: &u16| replica.partition(*number).cells.len() > 0;
        let moved = |number: &u16| {
            let holds = self.placement.holds(me, *number);
            !holds && !replica.has_hints_of(*number) && self.placement.may_drop(me, *number)
        };
        #[cfg(feature = "_planted_bugs")]
        let moved =
            |number: &u16| moved(number) || super::mistakes::drops_early(&self.placement, *number, replica);
        let is_idle = |number: &u16| !self.operations.concern(*number, replica);
        let full = (0..replica.config.partitions).filter(is_full);
        let dropped: Vec<u16> = full.filter(moved).filter(is_idle).collect();
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
