//! Hints: brought home when their owner is back, and deleted when it has them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use replication_log::Lsn;

use super::Leaderless;
use super::coordinate::Refusal;
use crate::engine::{Activity, Context, Event};
use crate::node::NodeId;
use crate::replica::ItemKey;
use crate::time::Instant;
use crate::wire::{Mutate, Quorum};

/// What is on its way home.
#[derive(Debug, Default)]
pub(super) struct Handoff {
    batches: BTreeMap<NodeId, Batch>,
}

/// Hints that were sent to their owner and not confirmed.
#[derive(Debug)]
struct Batch {
    sent: Instant,
    /// By the number of the message: which hint, and up to which record it was sent.
    waiting: BTreeMap<u64, OnItsWay>,
    /// Those that were confirmed: they are deleted together.
    delivered: Vec<(ItemKey, Lsn)>,
}

/// A hint that was sent.
#[derive(Debug)]
struct OnItsWay {
    /// To whom: the owner, or a node that keeps it from here on.
    to: NodeId,
    hint: (ItemKey, Lsn),
}

impl Handoff {
    /// Counts to whom something is on its way.
    pub(super) fn add_activity(&self, with: Option<NodeId>, activity: &mut Activity) {
        activity.handing_off += match with {
            None => self.batches.len(),
            Some(node) => usize::from(self.batches.contains_key(&node)),
        };
    }

    /// There is no way to a node any more: what was on its way is sent again when there is.
    pub(super) fn lost(&mut self, node: NodeId) {
        self.batches.remove(&node);
    }
}

impl Leaderless {
    /// Sends a node the next hints that are kept for it, if none are on their way. A node that is about to leave hands
    /// on those for one that cannot be reached to others, who keep them from here on.
    pub(super) fn hand_off_to(&mut self, owner: NodeId, context: &mut Context<'_>) {
        let (now, patience) = (context.now.instant, self.config.handoff_patience);
        if let Some(batch) = self.handoff.batches.get(&owner) {
            if now.since(batch.sent) < patience {
                return;
            }
            // What was confirmed is deleted; the rest has another turn.
            self.conclude_batch(owner, context);
        }
        let ring = self.placement.version();
        if ring == 0 || !(self.peers.contains_key(&owner) || self.is_leaving()) {
            return;
        }
        // Also of what was kept before a restart; and here none is let through that has to wait for its turn to go.
        Self::expire_hints(context);
        let (wall, lifetime) = (context.now.wall, context.replica.config.timing.hint_lifetime);
        let mut due = context.replica.hints_for(owner, self.config.handoff_batch);
        due.retain(|hint| hint.oldest.saturating_add(lifetime) > wall);
        let mut waiting = BTreeMap::new();
        for hint in due {
            let Some((to, in_place_of)) = self.addressee(owner, hint.delta.partition, now) else { continue };
            let request = self.operations.number();
            let item = ItemKey { collection: hint.delta.collection, key: hint.delta.key.clone() };
            let mutate = Mutate { request, ring, in_place_of, told: hint.delta, removal: None };
            if self.tell(to, Quorum::Mutate(mutate), hint.up_to, context) {
                waiting.insert(request, OnItsWay { to, hint: (item, hint.up_to) });
            }
        }
        #[cfg(feature = "_planted_bugs")]
        super::mistakes::delete_too_early(owner, waiting.values().map(|sent| &sent.hint), context);
        if !waiting.is_empty() {
            self.handoff.batches.insert(owner, Batch { sent: now, waiting, delivered: Vec::new() });
        }
    }

    /// Who gets a hint, and in whose place.
    fn addressee(&self, owner: NodeId, partition: u16, now: Instant) -> Option<(NodeId, Option<NodeId>)> {
        if self.peers.contains_key(&owner) {
            return Some((owner, None));
        }
        self.stand_in(owner, partition, now).map(|node| (node, Some(owner)))
    }

    /// Whoever was sent a hint has it durably, or does not take it.
    pub(super) fn on_handed_over(
        &mut self,
        peer: NodeId,
        request: u64,
        refused: Option<Refusal>,
        context: &mut Context<'_>,
    ) {
        let is_it = |batch: &Batch| batch.waiting.get(&request).is_some_and(|sent| sent.to == peer);
        let Some((&owner, batch)) = self.handoff.batches.iter_mut().find(|(_, batch)| is_it(batch)) else {
            return;
        };
        let Some(OnItsWay { hint, .. }) = batch.waiting.remove(&request) else { return };
        if refused.is_none() {
            batch.delivered.push(hint);
        }
        if batch.waiting.is_empty() {
            let went_on = !batch.delivered.is_empty();
            self.conclude_batch(owner, context);
            if went_on {
                self.hand_off_to(owner, context);
            }
        }
    }

    fn conclude_batch(&mut self, owner: NodeId, context: &mut Context<'_>) {
        let Some(batch) = self.handoff.batches.remove(&owner) else { return };
        let hints = context.replica.hints_delivered(owner, &batch.delivered);
        if hints > 0 {
            context
                .outbox
                .event_after(Event::HintsDelivered { owner, hints }, context.replica.journal.last());
            self.answer_barriers(context);
        }
    }

    /// Drops hints that have become too old: a deletion may have been forgotten since. Comparing trees brings what they
    /// would have brought.
    pub(super) fn expire_hints(context: &mut Context<'_>) {
        let lifetime = context.replica.config.timing.hint_lifetime;
        let expired = context.replica.expire_hints(context.now.wall, lifetime);
        if let Some(first) = expired.first() {
            let owner = first.owner;
            context.outbox.event(Event::HintsExpired { owner, hints: expired.len() });
        }
    }
}
