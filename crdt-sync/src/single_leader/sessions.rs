//! Requests of clients' sessions: reads that wait for a record.
//!
//! A session's token is the place in the log that it depends on. A node answers when it has applied that much, by
//! whatever way the session came to it; and says so when the record is not there and never will be, because the next
//! leader did not have it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use replication_log::{Epoch, Lsn};

use super::leading::in_session;
use crate::engine::{self, Context, Reply, Request, RequestId};
use crate::replica::Replica;
use crate::session::{SessionToken, TokenError};
use crate::time::Instant;

/// Reads that wait until what their session depends on is applied.
#[derive(Debug, Default)]
pub(super) struct Reads {
    waiting: BTreeMap<(Lsn, RequestId), (SessionToken, Request, Instant)>,
    deadlines: BTreeSet<(Instant, Lsn, RequestId)>,
}

/// The token of a request, as this topology has them: no bytes begin a session.
pub(super) fn open(token: &[u8], replica: &Replica) -> Result<SessionToken, TokenError> {
    if token.is_empty() {
        return Ok(SessionToken::default());
    }
    let token = SessionToken::decode(token, &replica.config.cluster, &replica.config.limits)?;
    match &token {
        SessionToken::Causal(causal) if !causal.is_empty() => Err(TokenError::OtherTopology),
        _ => Ok(token),
    }
}

/// The place in the log that a session depends on.
pub(super) fn place(token: &SessionToken) -> (Epoch, Lsn) {
    match token {
        SessionToken::SingleLeader { epoch, lsn } => (Epoch::new(*epoch), Lsn::new(*lsn)),
        _ => (Epoch::ZERO, Lsn::ZERO),
    }
}

/// What this node can say of a place.
enum Here {
    Applied,
    NotYet,
    Lost,
}

fn look_for((epoch, lsn): (Epoch, Lsn), replica: &Replica) -> Here {
    #[cfg(feature = "_planted_bugs")]
    let lsn = if replica.has_bug(crate::PlantedBug::SessionTokenIgnored) { Lsn::ZERO } else { lsn };
    if lsn == Lsn::ZERO {
        return Here::Applied;
    }
    if lsn > replica.applied() {
        return Here::NotYet;
    }
    #[cfg(feature = "_planted_bugs")]
    if replica.has_bug(crate::PlantedBug::LostSessionAnswered) {
        return Here::Applied;
    }
    match replica.epoch_of(lsn) {
        Some(here) if here > epoch => Here::Lost,
        // This node has yet to hear of the epoch, and of what it makes of the record.
        Some(here) if here < epoch => Here::NotYet,
        // Of the oldest reigns it is not known any more which of them wrote what: all of that is committed.
        Some(_) | None => Here::Applied,
    }
}

impl Reads {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Answers a read of a session, or has it wait.
    pub(super) fn read(
        &mut self,
        id: RequestId,
        token: SessionToken,
        request: Request,
        context: &mut Context<'_>,
    ) {
        let deadline = match &request {
            Request::Read { deadline, .. }
            | Request::Show { deadline, .. }
            | Request::Scan { deadline, .. } => *deadline,
            _ => return context.outbox.reply(id, Reply::TokenRefused(TokenError::Nested), Lsn::ZERO),
        };
        let (epoch, lsn) = place(&token);
        match look_for((epoch, lsn), context.replica) {
            Here::Applied => answer(id, token, request, context),
            Here::Lost => context.outbox.reply(id, Reply::Lost { epoch, lsn }, Lsn::ZERO),
            Here::NotYet if deadline <= context.now.instant => {
                context.outbox.reply(id, Reply::NotYetVisible { lsn }, Lsn::ZERO);
            }
            Here::NotYet => {
                self.deadlines.insert((deadline, lsn, id));
                self.waiting.insert((lsn, id), (token, request, deadline));
            }
        }
    }

    /// More is applied: answers the reads that waited for it.
    pub(super) fn wake(&mut self, context: &mut Context<'_>) {
        let applied = context.replica.applied();
        let due: Vec<_> =
            self.waiting.range(..=(applied, RequestId(u64::MAX))).map(|(key, _)| *key).collect();
        for (lsn, id) in due {
            if let Some((token, request, deadline)) = self.waiting.remove(&(lsn, id)) {
                self.deadlines.remove(&(deadline, lsn, id));
                self.read(id, token, request, context);
            }
        }
    }

    /// Tells the reads whose deadline has come that they waited in vain.
    pub(super) fn expire(&mut self, context: &mut Context<'_>) {
        while let Some(&(deadline, lsn, id)) = self.deadlines.first()
            && deadline <= context.now.instant
        {
            self.deadlines.pop_first();
            self.waiting.remove(&(lsn, id));
            context.outbox.reply(id, Reply::NotYetVisible { lsn }, Lsn::ZERO);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, ..)| *deadline)
    }

    pub(super) fn fail(&mut self, context: &mut Context<'_>) {
        self.deadlines.clear();
        for (_, id) in core::mem::take(&mut self.waiting).into_keys() {
            context.outbox.reply(id, Reply::Ended, Lsn::ZERO);
        }
    }
}

/// What is shown is as of the last applied record, and from now on the session depends on that.
fn answer(id: RequestId, mut token: SessionToken, request: Request, context: &mut Context<'_>) {
    let replica = &*context.replica;
    let (reply, _) = match request {
        Request::Read { item, .. } => engine::read(replica, &item),
        Request::Show { item, .. } => engine::show(replica, &item),
        Request::Scan { collection, from, limit, .. } => engine::scan(replica, collection, &from, limit),
        _ => return,
    };
    let applied = replica.applied();
    if let Some(epoch) = replica.epoch_of(applied) {
        let seen = SessionToken::SingleLeader { epoch: epoch.get(), lsn: applied.get() };
        let _ = token.merge(&seen);
    }
    let reply = in_session(reply, Some(&token), context);
    context.outbox.reply(id, reply, Lsn::ZERO);
}
