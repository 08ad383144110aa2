//! Writes: carried out by one replica, told to the others.

use alloc::collections::VecDeque;

use replication_log::Lsn;

use super::Leaderless;
use super::QuorumReply;
use super::again::{self, Begun};
use super::coordinate::{Refusal, WriteAction, WriteOp, WriteOptions};
use super::operations::{Asked, Done, Own, Seen, Writing};
use super::serve::Untaken;
use crate::engine::{Context, Event, Reply, RequestId};
use crate::node::NodeId;
use crate::replica::{HintError, Mutation, Write, Written};
use crate::wire::{CarriedOut, Mint, Minted, Mutate, Quorum, Unminted};

impl Leaderless {
    /// Begins a write. `seen` is what a read found before it.
    pub(super) fn begin_write(
        &mut self,
        client: RequestId,
        write: Write,
        options: WriteOptions,
        seen: Seen,
        context: &mut Context<'_>,
    ) {
        let partition = context.replica.partition_of(write.collection, &write.key);
        let replicas = self.writers_of(partition, &options, context);
        let Some(minter) = self.first_live(partition, options.fallbacks, context) else {
            return refuse_write(client, WriteOp::new(replicas, options, context.now.instant), context);
        };
        let until = context.now.instant + options.timeout;
        let asked = Asked { write: write.clone(), options, seen: seen.clone(), until };
        let op = match WriteOp::new(replicas.coordinated_by(minter), options, context.now.instant) {
            Ok(op) if op.outcome() != quorum::Outcome::Impossible => op,
            refused => return refuse_write(client, refused, context),
        };
        let number = self.operations.number();
        let ring = (self.placement.version(), self.placement.generation());
        let mut writing = Writing {
            op,
            client: Some(client),
            ring,
            minter,
            minted: None,
            held_back: VecDeque::new(),
            asked,
            is_told_again: false,
        };
        let mut in_place_of = None;
        while let Some(action) = writing.op.poll() {
            if let WriteAction::Ask { node, in_place_of: owner } = action
                && node == minter
            {
                in_place_of = owner;
            }
            writing.held_back.push_back(action);
        }
        self.operations.writes.insert(number, writing);
        let Seen { state: seen, before } = seen;
        let mint = Mint { request: number, ring: ring.0, in_place_of, seen, before, write };
        if minter == self.placement.me() {
            let outcome = self.mint(&mint, context);
            self.minted(number, outcome, context);
        } else if !self.tell(minter, Quorum::Mint(mint), Lsn::ZERO, context) {
            self.lose_write(number, context);
        }
    }

    /// Carries out a write here, be it for a client or for another coordinator.
    pub(super) fn mint(&mut self, mint: &Mint, context: &mut Context<'_>) -> Result<Done, Unminted> {
        if let Some(seen) = &mint.seen {
            // It may cover dots of all elements.
            super::take_in(seen, context)
                .map_err(|error| Unminted::Refused(Untaken::from(error).refusal()))?;
        }
        let partition = context.replica.partition_of(mint.write.collection, &mint.write.key);
        // Whoever stands in for a replica is compared with nobody, and promises less.
        if mint.in_place_of.is_none() && !context.replica.has_seen_all(partition, &mint.before) {
            self.compare_soon(partition, context);
            return Err(Unminted::Refused(Refusal::Behind));
        }
        let rests_on_a_read = mint.seen.is_some();
        if mint.in_place_of.is_none()
            && !rests_on_a_read
            && mint.write.action.is_judged_by_what_is_there()
            && self.is_being_filled(partition, context)
        {
            return Err(Unminted::Refused(Refusal::Filling));
        }
        let Mutation { written, told, removal, .. } =
            context.replica.write_mutation(&mint.write, context.now.wall).map_err(Unminted::Impossible)?;
        let mut lsn = written.lsn.max(context.replica.journal.last());
        if let Some(owner) = mint.in_place_of {
            // It is here and may spread, but does not count: nobody may be told that it is nowhere.
            let kept = self.keep_for(owner, &told, context);
            lsn = lsn.max(kept.map_err(|_| Unminted::NotKept)?);
        }
        Ok(Done { written, told, removal, lsn })
    }

    /// Another node carried out a write, or did not.
    pub(super) fn on_minted(&mut self, peer: NodeId, minted: Minted, context: &mut Context<'_>) {
        let Minted { request, outcome } = minted;
        let expected = self.operations.writes.get(&request);
        if !expected.is_some_and(|writing| writing.minter == peer && writing.minted.is_none()) {
            return;
        }
        let outcome = outcome.map(|CarriedOut { versions, told, removal }| {
            let written = Written { versions, lsn: Lsn::ZERO };
            Done { written, told, removal, lsn: Lsn::ZERO }
        });
        self.minted(request, outcome, context);
    }

    fn minted(&mut self, number: u64, outcome: Result<Done, Unminted>, context: &mut Context<'_>) {
        match outcome {
            Ok(done) => {
                let Some(writing) = self.operations.writes.get_mut(&number) else { return };
                let lsn = done.lsn;
                writing.minted = Some(done);
                if writing.minter == self.placement.me() {
                    self.operations.when_durable(lsn, number, Own::Acknowledged);
                } else {
                    writing.op.acknowledged(writing.minter, context.now.instant);
                }
                self.drive_write(number, context);
                // Where nothing was to be written, no disk will report.
                self.now_durable(context);
            }
            Err(unminted) => {
                let Some(writing) = self.operations.writes.remove(&number) else { return };
                if let Unminted::Refused(why) = unminted
                    && (again::is_for_the_ring(why) || matches!(why, Refusal::Behind | Refusal::Filling))
                    && again::may_wait(writing.asked.until, context)
                    && let Some(client) = writing.client
                {
                    let begun = Begun::Write { client, asked: writing.asked };
                    return self.begin_again(writing.ring.0, begun, context);
                }
                let reply = match unminted {
                    Unminted::Impossible(error) => Reply::Refused(error),
                    Unminted::Refused(why) => Reply::Quorum(QuorumReply::Refused { by: writing.minter, why }),
                    Unminted::NotKept => Reply::Quorum(QuorumReply::Lost { by: writing.minter }),
                };
                if let Some(client) = writing.client {
                    context.outbox.reply(client, reply, Lsn::ZERO);
                }
            }
        }
    }

    /// Does what a write asks for.
    pub(super) fn drive_write(&mut self, number: u64, context: &mut Context<'_>) {
        while let Some(action) = self.next_of_write(number) {
            match action {
                WriteAction::Ask { node, in_place_of } => {
                    self.ask_to_write(number, node, in_place_of, context);
                }
                WriteAction::Hint { owner } => self.keep_own_hint(number, owner, context),
                WriteAction::Reply(reached) => {
                    let Some(writing) = self.operations.writes.get_mut(&number) else { return };
                    let Some(client) = writing.client.take() else { continue };
                    if let (Err(unmet), Some(done)) = (&reached, &writing.minted)
                        && again::met_another_ring(unmet)
                        && again::may_wait(writing.asked.until, context)
                    {
                        let (version, minter, done) = (writing.ring.0, writing.minter, done.clone());
                        let begun = Begun::Told { client, asked: writing.asked.clone(), minter, done };
                        self.operations.writes.remove(&number);
                        return self.begin_again(version, begun, context);
                    }
                    let reply = match (reached, &writing.minted) {
                        (Ok(report), Some(done)) => {
                            QuorumReply::Written { written: done.written.clone(), report }
                        }
                        (Err(unmet), _) => QuorumReply::Unmet(unmet),
                        // Nobody can have acknowledged what was not carried out.
                        (Ok(_), None) => QuorumReply::Lost { by: writing.minter },
                    };
                    context.outbox.reply(client, Reply::Quorum(reply), Lsn::ZERO);
                }
                WriteAction::Over => {
                    self.operations.writes.remove(&number);
                }
            }
        }
    }

    /// The next thing to do for a write; what needs what is to be told waits for it.
    fn next_of_write(&mut self, number: u64) -> Option<WriteAction<NodeId>> {
        let writing = self.operations.writes.get_mut(&number)?;
        if writing.minted.is_some()
            && let Some(action) = writing.held_back.pop_front()
        {
            return Some(action);
        }
        loop {
            let action = writing.op.poll()?;
            let waits = matches!(action, WriteAction::Ask { .. } | WriteAction::Hint { .. });
            if writing.minted.is_some() || !waits {
                return Some(action);
            }
            writing.held_back.push_back(action);
        }
    }

    fn ask_to_write(
        &mut self,
        number: u64,
        node: NodeId,
        in_place_of: Option<NodeId>,
        context: &mut Context<'_>,
    ) {
        let Some(writing) = self.operations.writes.get(&number) else { return };
        let Some(done) = &writing.minted else { return };
        // Who carried it out has it, and was told whose place it takes.
        if node == writing.minter && !writing.is_told_again {
            return;
        }
        let (told, removal, lsn, ring) = (done.told.clone(), done.removal.clone(), done.lsn, writing.ring.0);
        let mutate = Mutate { request: number, ring, in_place_of, told, removal };
        if node == self.placement.me() {
            return self.take_own_part(&mutate, context);
        }
        if !self.tell(node, Quorum::Mutate(mutate), lsn, context)
            && let Some(writing) = self.operations.writes.get_mut(&number)
        {
            writing.op.unreachable(node, context.now.instant);
        }
    }

    /// This node is asked by itself, for a write that another one carried out.
    fn take_own_part(&mut self, mutate: &Mutate, context: &mut Context<'_>) {
        let (me, now, number) = (self.placement.me(), context.now.instant, mutate.request);
        let taken = self.take_part(mutate, context);
        let Some(writing) = self.operations.writes.get_mut(&number) else { return };
        match taken {
            Ok(lsn) => {
                self.operations.when_durable(lsn, number, Own::Acknowledged);
                self.now_durable(context);
            }
            Err(Untaken::Behind) => {
                writing.op.not_yet(me, now);
                self.compare_soon(mutate.told.partition, context);
            }
            Err(untaken) => writing.op.refused(me, untaken.refusal(), now),
        }
    }

    /// A primary has not got the write, and nobody keeps it for it.
    fn keep_own_hint(&mut self, number: u64, owner: NodeId, context: &mut Context<'_>) {
        // A primary that is this node itself took no part; the next comparison brings it what it missed.
        if owner == self.placement.me() {
            return;
        }
        let done = self.operations.writes.get(&number).and_then(|writing| writing.minted.as_ref());
        let Some(told) = done.map(|done| done.told.clone()) else { return };
        if !self.may_stand_in(self.placement.me()) {
            let partition = told.partition;
            return context.outbox.event(Event::HintRefused { owner, partition });
        }
        if let Err(HintError::Full { .. }) = self.keep_for(owner, &told, context) {
            context.outbox.event(Event::HintRefused { owner, partition: told.partition });
        }
    }

    /// The node that was to carry out a write is gone: nobody knows whether it did.
    pub(super) fn lose_write(&mut self, number: u64, context: &mut Context<'_>) {
        if let Some(writing) = self.operations.writes.remove(&number)
            && let Some(client) = writing.client
        {
            let reply = Reply::Quorum(QuorumReply::Lost { by: writing.minter });
            context.outbox.reply(client, reply, Lsn::ZERO);
        }
    }
}

/// A write that cannot reach its level, whoever answers, is not begun.
fn refuse_write(
    client: RequestId,
    refused: Result<WriteOp<NodeId>, super::coordinate::OptionsError>,
    context: &mut Context<'_>,
) {
    let reply = match refused {
        Err(error) => QuorumReply::Options(error),
        Ok(mut op) => {
            let replied = core::iter::from_fn(|| op.poll()).find_map(|action| match action {
                WriteAction::Reply(Err(unmet)) => Some(unmet),
                _ => None,
            });
            replied.map_or(QuorumReply::NobodyLive, QuorumReply::NotBegun)
        }
    };
    context.outbox.reply(client, Reply::Quorum(reply), Lsn::ZERO);
}
