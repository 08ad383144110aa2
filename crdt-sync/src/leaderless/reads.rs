//! Reads: what replicas hold, compared, united and repaired.

use replication_log::Lsn;

use super::Leaderless;
use super::QuorumReply;
use super::again::{self, Begun};
use super::coordinate::{Answer, Digest, Permit, ReadAction, ReadOp, ReadOptions, Refusal, Repair, Wanted};
use super::found::{KeyAnswer, Place};
use super::operations::{Own, Purpose, Reading, Seen};
use crate::bytes::Bytes;
use crate::engine::{Context, PeerError, Reply};
use crate::node::NodeId;
use crate::replica::{ItemKey, RunError};
use crate::wire::{Fetch, Found, KeyState, MergedState, Mutate, Quorum};

impl Leaderless {
    /// Begins a read.
    pub(super) fn begin_read(
        &mut self,
        item: ItemKey,
        mut options: ReadOptions,
        purpose: Purpose,
        context: &mut Context<'_>,
    ) {
        // Two that do not hold an element may not know equally well that it is gone.
        options.digests &= purpose.removes().is_none();
        let partition = context.replica.partition_of(item.collection, &item.key);
        if place_of(&item, context).is_none() {
            let error = RunError::UnknownCollection { collection: item.collection };
            return answer(&purpose, QuorumReply::Unreadable(error), context);
        }
        let replicas = self.readers_of(partition, &options, context);
        let op = match ReadOp::new(replicas, options, context.now.instant) {
            Ok(op) => op,
            Err(error) => return answer(&purpose, QuorumReply::Options(error), context),
        };
        let number = self.operations.number();
        let ring = (self.placement.version(), self.placement.generation());
        let until = context.now.instant + options.timeout;
        self.operations.reads.insert(number, Reading { op, item, purpose, ring, options, until });
        self.drive_read(number, context);
    }

    /// Does what a read asks for.
    pub(super) fn drive_read(&mut self, number: u64, context: &mut Context<'_>) {
        while let Some(action) = self.operations.reads.get_mut(&number).and_then(|reading| reading.op.poll())
        {
            match action {
                ReadAction::Ask { node, wanted, .. } => self.ask_to_read(number, node, wanted, context),
                ReadAction::Repair { node, delta } => self.repair(number, node, &delta, context),
                ReadAction::Reply(reached) => {
                    let Some(reading) = self.operations.reads.get_mut(&number) else { return };
                    let purpose = core::mem::replace(&mut reading.purpose, Purpose::Repairs);
                    match (reached, purpose) {
                        (Ok(read), Purpose::Answer(client)) => {
                            let reply = QuorumReply::Read { cell: read.data.cell(), report: read.report };
                            context.outbox.reply(client, Reply::Quorum(reply), Lsn::ZERO);
                        }
                        (Ok(read), Purpose::Write { client, write, options }) => {
                            let state = self.missing_where_it_is_written(&read.data, context);
                            let seen = Seen { state, before: read.data.died().before };
                            self.begin_write(client, write, options, seen, context);
                        }
                        (Err(unmet), purpose)
                            if again::met_another_ring(&unmet) && again::may_wait(reading.until, context) =>
                        {
                            let (version, options, until) = (reading.ring.0, reading.options, reading.until);
                            let begun = Begun::Read { item: reading.item.clone(), options, until, purpose };
                            self.operations.reads.remove(&number);
                            self.begin_again(version, begun, context);
                        }
                        (Err(unmet), purpose) => answer(&purpose, QuorumReply::Unmet(unmet), context),
                        (Ok(_), Purpose::Repairs) => {}
                    }
                }
                ReadAction::Over => {
                    self.operations.reads.remove(&number);
                }
            }
        }
    }

    /// What was read that the node which carries out the write may not hold.
    fn missing_where_it_is_written(&self, read: &KeyAnswer, context: &Context<'_>) -> Option<MergedState> {
        let place = read.place();
        let is_here = self.placement.holds(self.placement.me(), place.partition);
        let there = if is_here && !self.is_being_filled(place.partition, context) {
            context.replica.whole_state(&place.item).ok()?
        } else {
            // Another node carries it out, which may hold nothing.
            KeyState::default()
        };
        let lacking = read.lacking(&KeyAnswer::read(place, there).ok()?).map(|lacking| lacking.told());
        let died = read.died().lately;
        if died.is_empty() {
            return lacking;
        }
        let mut told = lacking.unwrap_or_else(|| place.nothing());
        told.removed.extend(died);
        told.removed.sort_unstable();
        told.removed.dedup();
        Some(told)
    }

    fn ask_to_read(&mut self, number: u64, node: NodeId, wanted: Wanted, context: &mut Context<'_>) {
        let Some(reading) = self.operations.reads.get(&number) else { return };
        let (item, ring, died) = (reading.item.clone(), reading.ring.0, reading.purpose.removes().cloned());
        if node == self.placement.me() {
            return self.read_here(number, &item, died.as_ref(), context);
        }
        let fetch = Fetch { request: number, ring, item, wanted, died };
        if !self.tell(node, Quorum::Fetch(fetch), Lsn::ZERO, context)
            && let Some(reading) = self.operations.reads.get_mut(&number)
        {
            reading.op.unreachable(node, context.now.instant);
        }
    }

    /// This node asks itself. What it holds counts as soon as it is durable.
    fn read_here(&mut self, number: u64, item: &ItemKey, died: Option<&Bytes>, context: &mut Context<'_>) {
        let Some(place) = place_of(item, context) else { return };
        if self.is_being_filled(place.partition, context) {
            return self.refuse_read(number, self.placement.me(), Refusal::Filling, context);
        }
        let here = whole(item, died, context).ok();
        let Some(here) = here.and_then(|state| KeyAnswer::read(&place, state).ok()) else { return };
        let lsn = context.replica.rests_on(place.partition, item);
        self.operations.when_durable(lsn, number, Own::Whole(here.into()));
        self.now_durable(context);
    }

    /// A replica is behind.
    fn repair(&mut self, number: u64, node: NodeId, delta: &KeyAnswer, context: &mut Context<'_>) {
        let Some(reading) = self.operations.reads.get(&number) else { return };
        let (ring, now) = (reading.ring.0, context.now.instant);
        let told = delta.told();
        #[cfg(feature = "_planted_bugs")]
        let told = super::mistakes::stale(told, delta.place(), context);
        let key = crdt_core::digest_of(&told.key);
        let version = crdt_core::digest_of(&told.state);
        let is_awaited = reading.options.repair == Repair::Before;
        if !is_awaited && self.repairs.permit(key, version, node, now) != Permit::Granted {
            if let Some(reading) = self.operations.reads.get_mut(&number) {
                reading.op.refused(node, Refusal::Overloaded, now);
            }
            return;
        }
        context.outbox.counters.read_repairs += 1;
        if node == self.placement.me() {
            match super::take_in(&told, context) {
                Ok(lsn) => self.operations.when_durable(lsn, number, Own::Repaired),
                Err(_) => self.refuse_read(number, node, Refusal::TooLarge, context),
            }
            return self.now_durable(context);
        }
        let mutate = Mutate { request: number, ring, in_place_of: None, told, removal: None };
        if !self.tell(node, Quorum::Mutate(mutate), Lsn::ZERO, context)
            && let Some(reading) = self.operations.reads.get_mut(&number)
        {
            reading.op.unreachable(node, now);
        }
    }

    /// Another node said what it holds.
    pub(super) fn on_fetched(
        &mut self,
        peer: NodeId,
        request: u64,
        found: Found,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let now = context.now.instant;
        let Some(reading) = self.operations.reads.get_mut(&request) else { return Ok(()) };
        match found {
            Found::Digest(digest) => {
                #[cfg(feature = "_planted_bugs")]
                let digest = super::mistakes::trust(&reading.op, digest, context);
                reading.op.digest(peer, digest.map_or(Digest::NotFound, Digest::Of), now);
            }
            Found::Refused(why) => reading.op.refused(peer, why, now),
            Found::Whole(state) => {
                let Some(place) = place_of(&reading.item, context) else { return Ok(()) };
                let whole = KeyAnswer::read(&place, state).map_err(RunError::from)?;
                reading.op.whole(peer, whole, now);
            }
        }
        self.drive_read(request, context);
        Ok(())
    }

    pub(super) fn refuse_read(&mut self, number: u64, node: NodeId, why: Refusal, context: &mut Context<'_>) {
        if let Some(reading) = self.operations.reads.get_mut(&number) {
            reading.op.refused(node, why, context.now.instant);
        }
    }
}

/// What this node holds of a key, and what died of an element, if so asked.
pub(super) fn whole(
    item: &ItemKey,
    died: Option<&Bytes>,
    context: &Context<'_>,
) -> Result<KeyState, RunError> {
    match died {
        Some(element) => context.replica.whole_state_and_what_died(item, element),
        None => context.replica.whole_state(item),
    }
}

/// Tells whoever waits for a read.
fn answer(purpose: &Purpose, reply: QuorumReply, context: &mut Context<'_>) {
    match purpose {
        Purpose::Answer(client) | Purpose::Write { client, .. } => {
            context.outbox.reply(*client, Reply::Quorum(reply), Lsn::ZERO);
        }
        Purpose::Repairs => {}
    }
}

/// Where a key is; none where its collection is not declared.
pub(super) fn place_of(item: &ItemKey, context: &Context<'_>) -> Option<Place> {
    let kind = context.replica.registry.get(item.collection)?.kind;
    Some(Place {
        partition: context.replica.partition_of(item.collection, &item.key),
        item: item.clone(),
        kind,
        limits: context.replica.config.limits.codec(),
    })
}
