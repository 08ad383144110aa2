//! Hints: brought home when their owner is back, and deleted when it has them.
//!
//! A hint that gets too old, or whose owner was declared dead, is not needed where the node that keeps it holds the
//! partition itself: comparisons bring to the others what is in it. Where it does not, the hint and the copy beside it
//! may be all that there is of a write that only fallbacks took. So it goes to any replica of now that can be reached,
//! which takes it in as it would a write, and the others get it from there. While there is none it is kept, with two
//! exceptions, which are said ([`Event::HintsLost`]): where deletions are forgotten, a document that is too old might
//! bring back what was deleted, and is given up half-way between the lifetime of hints and the time at which deletions
//! are forgotten; and a node that is on no ring any more, to which nobody listens, gives up what is too old.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use replication_log::Lsn;

use super::Leaderless;
use super::coordinate::Refusal;
use crate::collection::Kind;
use crate::engine::{Activity, Context, Event};
use crate::node::NodeId;
use crate::placement::Admission;
use crate::replica::ItemKey;
use crate::time::{Instant, WallTime};
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
        if ring == 0 {
            return;
        }
        let is_old = is_too_old(context);
        let seeks_another = self.placement.layout().is_fenced(owner)
            || context.replica.pending_hints(owner).is_some_and(|pending| is_old(pending.oldest));
        if !(self.peers.contains_key(&owner) || self.is_leaving() || seeks_another) {
            return;
        }
        let due = context.replica.hints_for(owner, self.config.handoff_batch);
        let mut waiting = BTreeMap::new();
        for hint in due {
            let partition = hint.delta.partition;
            let to = if is_old(hint.oldest) || self.placement.layout().is_fenced(owner) {
                self.any_replica(partition, now).map(|node| (node, None))
            } else {
                self.addressee(owner, partition, now)
            };
            let Some((to, in_place_of)) = to else { continue };
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

    /// Hands on what is kept for nodes that cannot be reached, where that must not wait for them.
    pub(super) fn hand_on_what_cannot_wait(&mut self, context: &mut Context<'_>) {
        let away = context.replica.hint_owners().filter(|owner| !self.peers.contains_key(owner));
        for owner in away.collect::<Vec<NodeId>>() {
            self.hand_off_to(owner, context);
        }
    }

    /// A replica of a partition that this node does not hold.
    fn any_replica(&self, partition: u16, now: Instant) -> Option<NodeId> {
        let me = self.placement.me();
        if self.placement.holds(me, partition) {
            return None;
        }
        let mut living = self.placement.read_set(partition);
        living.find(|node| !self.placement.layout().is_fenced(*node) && self.is_live(*node, now))
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
        if refused.is_none_or(|why| why == Refusal::Behind) {
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

    /// Drops hints that have become too old, where comparing trees brings what they would have brought; and those that
    /// might bring back what was deleted.
    pub(super) fn expire_hints(&self, context: &mut Context<'_>) {
        let (wall, timing, me) = (context.now.wall, context.replica.config.timing, self.placement.me());
        let holds = |partition: u16| self.placement.holds(me, partition);
        let expired =
            context.replica.expire_hints(wall, timing.hint_lifetime, |partition, _| holds(partition));
        if let Some(first) = expired.first() {
            let owner = first.owner;
            context.outbox.event(Event::HintsExpired { owner, hints: expired.len() });
        }
        let is_listened_to = self.placement.admits(me, self.placement.version()) == Admission::Accepted;
        let collects = context.replica.config.collects_deletions;
        let last_call = if is_listened_to {
            (timing.hint_lifetime + timing.tombstone_horizon) / 2
        } else {
            timing.hint_lifetime
        };
        let may_go = |_, kind| !is_listened_to || (collects && kind == Kind::Document);
        let lost = context.replica.expire_hints(wall, last_call, may_go);
        if let Some(first) = lost.first() {
            let (owner, after) = (first.owner, context.replica.journal.last());
            context.outbox.event_after(Event::HintsLost { owner, hints: lost.len() }, after);
        }
    }
}

/// Whether what was kept then should have been brought home by now.
fn is_too_old(context: &Context<'_>) -> impl Fn(WallTime) -> bool + use<> {
    let (wall, lifetime) = (context.now.wall, context.replica.config.timing.hint_lifetime);
    move |oldest| oldest.saturating_add(lifetime) <= wall
}
