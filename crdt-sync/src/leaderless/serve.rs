//! Answering coordinators: as a replica of a key, or in place of one.

use alloc::borrow::Cow;
use alloc::boxed::Box;

use replication_log::Lsn;

use super::Leaderless;
use super::coordinate::{Refusal, Wanted};
use super::operations::{Done, Own};
use crate::authorize::{Author, Op};
use crate::engine::{Context, Event, PeerError};
use crate::node::NodeId;
use crate::placement::Admission;
use crate::replica::RunError;
use crate::wire::{CarriedOut, Fetch, Found, Mint, Minted, Mutate, Quorum, Unminted};

impl Leaderless {
    /// A coordinator wants a write to be carried out here.
    pub(super) fn on_mint(&mut self, peer: NodeId, mint: &Mint, context: &mut Context<'_>) {
        let partition = context.replica.partition_of(mint.write.collection, &mint.write.key);
        let request = mint.request;
        if !self.carried.entry(peer).or_default().note(request) {
            return;
        }
        let refused = self.objection_to(peer, mint.ring, partition, mint.in_place_of, context);
        let outcome = match refused {
            Some(why) => Err(Unminted::Refused(why)),
            None if !may_write(peer, mint.write.collection, &mint.write.key, context) => {
                Err(Unminted::Refused(Refusal::Denied))
            }
            None => self.mint(mint, context),
        };
        let lsn = outcome.as_ref().map_or(Lsn::ZERO, |done| done.lsn);
        let outcome = outcome.map(|Done { written, told, removal, .. }| {
            let versions = written.versions;
            CarriedOut { versions, told, removal }
        });
        self.tell(peer, Quorum::Minted(Minted { request, outcome }), lsn, context);
    }

    /// A coordinator tells of a write, repairs what is behind, or brings a hint home.
    pub(super) fn on_mutate(
        &mut self,
        peer: NodeId,
        mutate: &Mutate,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let Mutate { request, ring, in_place_of, told, .. } = mutate;
        if told.partition != context.replica.partition_of(told.collection, &told.key) {
            return Err(PeerError::UnknownPartition { partition: told.partition });
        }
        let objection = self.objection_to(peer, *ring, told.partition, *in_place_of, context);
        let taken = match objection {
            Some(why) => Err(why),
            None if !may_write(peer, told.collection, &told.key, context) => {
                let (partition, collection, author) = (told.partition, told.collection, Author::Unknown);
                context.outbox.event(Event::Unauthorized { peer, partition, collection, author });
                Err(Refusal::Denied)
            }
            None => match self.take_part(mutate, context) {
                // It is asked again, and has seen more by then.
                Err(Untaken::Behind) => {
                    self.compare_soon(told.partition, context);
                    Err(Refusal::Behind)
                }
                Err(Untaken::Refused(why)) => Err(why),
                Err(Untaken::Wrong(error)) => return Err(error.into()),
                Ok(lsn) => Ok(lsn),
            },
        };
        #[cfg(feature = "_planted_bugs")]
        super::mistakes::resurrect(mutate, context);
        let (refused, lsn) = match taken {
            Ok(lsn) => (None, lsn),
            // It was taken in, and only not vouched for: whoever brings a hint home need not keep it.
            Err(Refusal::Behind) => (Some(Refusal::Behind), context.replica.journal.last()),
            Err(why) => (Some(why), Lsn::ZERO),
        };
        self.tell(peer, Quorum::Mutated { request: *request, refused }, lsn, context);
        Ok(())
    }

    /// A coordinator wants to know what is held under a key.
    pub(super) fn on_fetch(
        &mut self,
        peer: NodeId,
        fetch: &Fetch,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let Fetch { request, ring, item, wanted, died } = fetch;
        let may = context.replica.config.authorization.allows(peer, item.collection, Op::Read);
        // Whoever stands in for another has something to say of what it keeps, and otherwise that it has nothing.
        let partition = context.replica.partition_of(item.collection, &item.key);
        let refused = match self.admission_of(peer, *ring, context) {
            None if !may => Some(Refusal::Denied),
            None if self.is_being_filled(partition, context) => Some(Refusal::Filling),
            refused => refused,
        };
        let reading = context.replica.read_state(item)?;
        let lsn = reading.lsn;
        let found = match (refused, wanted) {
            (Some(why), _) => Found::Refused(why),
            (None, Wanted::Digest) => Found::Digest(reading.cell.map(|_| reading.digest)),
            (None, Wanted::Whole) => Found::Whole(super::reads::whole(item, died.as_ref(), context)?),
        };
        self.tell(peer, Quorum::Fetched { request: *request, found }, lsn, context);
        Ok(())
    }

    /// Another node took in what it was told, or refused.
    pub(super) fn on_mutated(
        &mut self,
        peer: NodeId,
        request: u64,
        refused: Option<Refusal>,
        context: &mut Context<'_>,
    ) {
        let now = context.now.instant;
        if let Some(writing) = self.operations.writes.get_mut(&request) {
            #[cfg(feature = "_planted_bugs")]
            if refused.is_none() {
                super::mistakes::count_wrongly(&mut writing.op, peer, now, context);
            }
            match refused {
                None => writing.op.acknowledged(peer, now),
                Some(Refusal::Behind) => writing.op.not_yet(peer, now),
                Some(why) => writing.op.refused(peer, why, now),
            }
            self.drive_write(request, context);
        } else if let Some(reading) = self.operations.reads.get_mut(&request) {
            match refused {
                None => reading.op.repaired(peer, now),
                Some(why) => reading.op.refused(peer, why, now),
            }
            self.drive_read(request, context);
        } else {
            self.on_handed_over(peer, request, refused, context);
        }
    }

    /// Takes in a state, as one of its replicas or in place of one. Returns the record that this rests on.
    pub(super) fn take_part(&mut self, mutate: &Mutate, context: &mut Context<'_>) -> Result<Lsn, Untaken> {
        let owner = mutate.in_place_of.filter(|owner| *owner != self.placement.me());
        if owner.is_some() && !self.may_stand_in(self.placement.me()) {
            return Err(Untaken::Refused(Refusal::NotAReplica));
        }
        let told = match &mutate.removal {
            Some(removal) => Cow::Owned(context.replica.with_what_it_removes(&mutate.told, removal)),
            None => Cow::Borrowed(&mutate.told),
        };
        let removes = mutate.removal.as_ref().map(|removal| &removal.element);
        let taken = super::take_in_removal(&told, removes, context)?;
        let Some(owner) = owner else {
            return match &mutate.removal {
                Some(removal) if !context.replica.has_seen_all(told.partition, &removal.before) => {
                    Err(Untaken::Behind)
                }
                None if context.replica.misses_the_past_of(&told) => Err(Untaken::Behind),
                // When the last of what it rests on was seen, nobody knows any more.
                Some(_) => Ok(context.replica.journal.last()),
                None => Ok(taken),
            };
        };
        if let Ok(kept) = self.keep_for(owner, &told, context) {
            Ok(taken.max(kept))
        } else {
            context.outbox.event(Event::HintRefused { owner, partition: told.partition });
            Err(Untaken::Refused(Refusal::Overloaded))
        }
    }

    /// Why a request is not carried out here.
    pub(super) fn objection_to(
        &mut self,
        peer: NodeId,
        ring: u64,
        partition: u16,
        in_place_of: Option<NodeId>,
        context: &mut Context<'_>,
    ) -> Option<Refusal> {
        let refused = self.admission_of(peer, ring, context);
        let may = match in_place_of {
            Some(_) => self.may_stand_in(self.placement.me()),
            None => self.placement.holds(self.placement.me(), partition),
        };
        refused.or_else(|| (!may).then_some(Refusal::NotAReplica))
    }

    /// Whether the rings of both sides are close enough; whoever is behind is told.
    fn admission_of(&mut self, peer: NodeId, ring: u64, context: &mut Context<'_>) -> Option<Refusal> {
        match self.placement.admits(peer, ring) {
            Admission::Accepted => None,
            Admission::Fenced => Some(Refusal::Denied),
            Admission::Outdated | Admission::Ahead | Admission::Stranger => {
                // It answers with what it knows, if that is more.
                let layout = Box::new(self.placement.layout().clone());
                self.tell(peer, Quorum::Layout(layout), context.replica.journal.last(), context);
                Some(Refusal::OtherRing)
            }
        }
    }

    /// Says what was waiting for the disk.
    pub(super) fn now_durable(&mut self, context: &mut Context<'_>) {
        let (me, now) = (self.placement.me(), context.now.instant);
        while let Some((number, own)) = self.operations.take_durable(context.outbox.durable()) {
            for said in own {
                match said {
                    Own::Acknowledged => {
                        if let Some(writing) = self.operations.writes.get_mut(&number) {
                            writing.op.acknowledged(me, now);
                        }
                    }
                    Own::Whole(state) => {
                        if let Some(reading) = self.operations.reads.get_mut(&number) {
                            reading.op.whole(me, *state, now);
                        }
                    }
                    Own::Repaired => {
                        if let Some(reading) = self.operations.reads.get_mut(&number) {
                            reading.op.repaired(me, now);
                        }
                    }
                }
            }
            self.drive_write(number, context);
            self.drive_read(number, context);
        }
    }

    /// Time has passed: for operations that wait for somebody.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        let now = context.now.instant;
        for number in self.operations.due(now) {
            for node in self.operations.tick(number, now) {
                self.detector.timed_out(node, now);
            }
            self.drive_write(number, context);
            self.drive_read(number, context);
        }
    }

    /// There is no way to a node any more.
    pub(super) fn lose(&mut self, node: NodeId, context: &mut Context<'_>) {
        let now = context.now.instant;
        for number in self.operations.numbers() {
            let is_lost =
                |writing: &super::operations::Writing| writing.minter == node && writing.minted.is_none();
            if self.operations.writes.get(&number).is_some_and(is_lost) {
                self.lose_write(number, context);
                continue;
            }
            self.operations.unreachable(number, node, now);
            self.drive_write(number, context);
            self.drive_read(number, context);
        }
    }
}

/// Why something that was told was not taken in.
#[derive(Debug)]
pub(super) enum Untaken {
    /// There is no room for it now.
    Refused(Refusal),
    /// Not enough was seen here yet to vouch for it.
    Behind,
    /// It is wrong.
    Wrong(RunError),
}

impl Untaken {
    /// What to tell whoever is not told that it did something wrong.
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Refused(why) => why,
            Self::Behind => Refusal::Behind,
            Self::Wrong(_) => Refusal::TooLarge,
        }
    }
}

impl From<RunError> for Untaken {
    fn from(error: RunError) -> Self {
        match error {
            RunError::ContextFull { .. } => Self::Refused(Refusal::Overloaded),
            error => Self::Wrong(error),
        }
    }
}

/// A state is the work of all who wrote to its key: whoever brings it must be allowed to write there.
pub(super) fn may_write(
    peer: NodeId,
    collection: crate::collection::CollectionId,
    key: &[u8],
    context: &Context<'_>,
) -> bool {
    let author = Author::Unknown;
    context.replica.config.authorization.allows(peer, collection, Op::Write { key, author })
}
