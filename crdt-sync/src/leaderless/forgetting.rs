//! Deleted documents: forgotten when all replicas hold the same deletion, and nothing older can come any more.
//!
//! What a document was is remembered for as long as somebody might still bring an older version of it. That can be a
//! replica that missed the deletion, so all of them have to hold it, the very same one, which its digest says. Or it
//! can be a hint, so the deletion has to be older than [`tombstone_horizon`](crate::Timing::tombstone_horizon), which
//! is longer than hints live. Only owners of a partition are replicas; a fallback drops what it held for them when it
//! keeps no hint of the partition any more.
//!
//! The first primary of a partition asks the others in two turns:
//!
//! ```text
//! Tombstones {documents}          ->   to all others: is it these that you hold?
//!                                 <-   TombstonesHeld {objections}
//! Tombstones {documents, forget}  ->   to all others, without those that somebody objected to
//!                                 <-   TombstonesHeld {objections}, durable
//! ```
//!
//! It forgets them itself **last**, when all others said that they have. A node that holds nothing agrees: it forgot
//! already, or never heard of the document, and then nothing that it may still hear of it is older than the deletion.
//! So what was lost on the way is made up for by the next round. What a read or a comparison brings back to one of the
//! others meanwhile, from the asker or from one that was not told yet, is forgotten by that round as well, for age
//! counts at the asker alone. Only what such a repair carries across the very end of a round comes back for good, as a
//! deletion and never as a document, and is forgotten one horizon later.
//!
//! A primary that is down therefore holds up forgetting in its partitions until it is back or taken out of the ring.
//! While the ring changes nothing is forgotten at all: new owners copy then, from some of the old ones.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::Leaderless;
use super::serve::may_write;
use crate::engine::{Context, Event, PeerError};
use crate::node::NodeId;
use crate::replica::ItemKey;
use crate::time::{Instant, WallTime};
use crate::wire::{Quorum, Tombstones};

/// So many documents are asked about at a time.
const MAX_DOCUMENTS: usize = 256;

/// What is to be forgotten.
#[derive(Debug, Default)]
pub(super) struct Forgetting {
    round: Option<Round>,
    /// The partition whose turn it is.
    next: u16,
}

/// All other primaries of a partition are being asked, or told.
#[derive(Debug)]
struct Round {
    begun: Instant,
    /// That of the ring by which it was begun.
    generation: u64,
    asked: Tombstones,
    waiting: BTreeSet<NodeId>,
    /// Places of documents that somebody objected to.
    objections: BTreeSet<u32>,
}

impl Forgetting {
    /// There is no way to a node any more.
    pub(super) fn lost(&mut self, node: NodeId) {
        self.round.take_if(|round| round.waiting.contains(&node));
    }
}

impl Leaderless {
    /// Begins another round, if none is under way. To be called at every heartbeat.
    pub(super) fn forget_old_deletions(&mut self, context: &mut Context<'_>) {
        if !context.replica.config.collects_deletions {
            return;
        }
        context.replica.note_time(context.now.wall);
        let (now, patience) = (context.now.instant, self.config.handoff_patience);
        self.forgetting.round.take_if(|round| now.since(round.begun) >= patience);
        if self.forgetting.round.is_some() || !self.is_at_rest() {
            return;
        }
        let partitions = context.replica.config.partitions;
        let first = self.forgetting.next;
        let mut turns = (first..partitions).chain(0..first.min(partitions));
        let next = turns.find_map(|partition| {
            let documents = old_deletions(partition, context);
            let others = self.others_to_forget(partition, &documents)?;
            Some((partition, documents, others))
        });
        if let Some((partition, documents, others)) = next {
            self.forgetting.next = partition + 1;
            self.ask_to_forget(partition, documents, others, false, context);
        }
    }

    /// Who has to agree; none where there is nothing to forget, where it is not this node's to ask, or in vain.
    fn others_to_forget(&self, partition: u16, documents: &[(ItemKey, u128)]) -> Option<BTreeSet<NodeId>> {
        let mut primaries = self.placement.read_set(partition);
        if documents.is_empty() || primaries.next() != Some(self.placement.me()) {
            return None;
        }
        let others: BTreeSet<NodeId> = primaries.collect();
        others.iter().all(|node| self.peers.contains_key(node)).then_some(others)
    }

    fn ask_to_forget(
        &mut self,
        partition: u16,
        documents: Vec<(ItemKey, u128)>,
        others: BTreeSet<NodeId>,
        forget: bool,
        context: &mut Context<'_>,
    ) {
        let (request, ring) = (self.operations.number(), self.placement.version());
        let asked = Tombstones { request, ring, partition, forget, documents };
        let mut is_told = true;
        for node in &others {
            let after = context.replica.journal.last();
            is_told &= self.tell(*node, Quorum::Tombstones(asked.clone()), after, context);
        }
        let (begun, generation) = (context.now.instant, self.placement.generation());
        let (waiting, objections) = (others, BTreeSet::new());
        self.forgetting.round = is_told.then_some(Round { begun, generation, asked, waiting, objections });
        self.conclude_round(context);
    }

    /// Another node is asked, or told to forget.
    pub(super) fn on_tombstones(
        &mut self,
        peer: NodeId,
        asked: &Tombstones,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        check(asked, context)?;
        let &Tombstones { request, ring, partition, forget, ref documents } = asked;
        let refused = self.objection_to(peer, ring, partition, None, context).is_some();
        let objections = if refused || !context.replica.config.collects_deletions {
            None
        } else if forget {
            let mut may_go = documents.clone();
            may_go.retain(|(item, _)| may_write(peer, item.collection, &item.key, context));
            forget_here(partition, &may_go, context);
            Some(places(documents, |item, _| holds_nothing(partition, item, context)))
        } else {
            Some(places(documents, |item, digest| {
                holds_nothing(partition, item, context) || holds_deleted(partition, item, digest, context)
            }))
        };
        let after = context.replica.journal.last();
        self.tell(peer, Quorum::TombstonesHeld { request, objections }, after, context);
        Ok(())
    }

    /// Another primary said what it holds, or that it forgot.
    pub(super) fn on_tombstones_held(
        &mut self,
        peer: NodeId,
        request: u64,
        objections: Option<Vec<u32>>,
        context: &mut Context<'_>,
    ) {
        let Some(round) = &mut self.forgetting.round else { return };
        if round.asked.request != request || !round.waiting.remove(&peer) {
            return;
        }
        let Some(objections) = objections else {
            self.forgetting.round = None;
            return;
        };
        if !objections.is_empty() {
            // The two do not hold the same.
            self.anti_entropy.mark(round.asked.partition, peer, context.now.instant);
        }
        round.objections.extend(objections);
        self.conclude_round(context);
    }

    /// Takes the next turn when all have answered.
    fn conclude_round(&mut self, context: &mut Context<'_>) {
        let Some(round) = self.forgetting.round.take_if(|round| round.waiting.is_empty()) else { return };
        if round.generation != self.placement.generation() || !self.is_at_rest() {
            return;
        }
        let Round { asked: Tombstones { partition, forget, documents, .. }, objections, .. } = round;
        let numbered = (0..).zip(documents);
        let agreed = numbered.filter(|(place, _)| !objections.contains(place)).map(|(_, document)| document);
        let agreed: Vec<_> = agreed.collect();
        if forget {
            forget_here(partition, &agreed, context);
        } else if let Some(others) = self.others_to_forget(partition, &agreed) {
            self.ask_to_forget(partition, agreed, others, true, context);
        }
    }
}

/// The deletions of a partition that are old enough, some of them, ascending.
fn old_deletions(partition: u16, context: &Context<'_>) -> Vec<(ItemKey, u128)> {
    let config = &context.replica.config;
    let horizon = u64::try_from(config.timing.tombstone_horizon.as_millis()).unwrap_or(u64::MAX);
    let Some(until) = context.now.wall.as_millis().checked_sub(horizon) else { return Vec::new() };
    let limit = MAX_DOCUMENTS.min(config.limits.max_writes);
    let mut old = context.replica.deleted_older_than(partition, WallTime::from_millis(until), limit);
    old.sort_unstable();
    old
}

/// What is wrong with what a peer asks.
fn check(asked: &Tombstones, context: &Context<'_>) -> Result<(), PeerError> {
    let Tombstones { partition, documents, .. } = asked;
    let is_there = |item: &ItemKey| context.replica.partition_of(item.collection, &item.key) == *partition;
    if *partition >= context.replica.config.partitions || !documents.iter().all(|(item, _)| is_there(item)) {
        return Err(PeerError::UnknownPartition { partition: *partition });
    }
    let ascends = documents.is_sorted_by(|(item, _), (next, _)| item < next);
    let in_order = ascends && documents.len() <= MAX_DOCUMENTS;
    in_order.then_some(()).ok_or(PeerError::Disorder { what: "the list of deleted documents" })
}

fn forget_here(partition: u16, documents: &[(ItemKey, u128)], context: &mut Context<'_>) {
    let documents = context.replica.forget_deleted(partition, documents);
    if documents > 0 {
        let event = Event::DeletionsCollected { partition, documents };
        context.outbox.event_after(event, context.replica.journal.last());
    }
}

/// The places of those that are not as they should be.
fn places(documents: &[(ItemKey, u128)], is_well: impl Fn(&ItemKey, u128) -> bool) -> Vec<u32> {
    let numbered = (0..).zip(documents);
    numbered.filter(|(_, (item, digest))| !is_well(item, *digest)).map(|(place, _)| place).collect()
}

fn holds_nothing(partition: u16, item: &ItemKey, context: &Context<'_>) -> bool {
    context.replica.partition(partition).cells.get(item).is_none()
}

fn holds_deleted(partition: u16, item: &ItemKey, digest: u128, context: &Context<'_>) -> bool {
    let held = context.replica.partition(partition).cells.get(item);
    held.is_some_and(|held| held.digest == digest && held.cell.is_deleted())
}
