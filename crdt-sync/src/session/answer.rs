//! Answering requests of sessions.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use replication_log::Lsn;

use super::covered::Reach;
use super::error::TokenError;
use super::token::{Causal, SessionToken};
use super::waits::{Parked, Waits};
use crate::bytes::Bytes;
use crate::collection::CollectionId;
use crate::engine::{self, Context, Reply, Request, RequestId};
use crate::replica::{ItemKey, Replica, Write};
use crate::time::Instant;

/// What one more origin adds to a token at most: its identity, and in a partition its place and a sequence.
const ORIGIN_BYTES: usize = 16 + 5 + 9;
/// What a partition and the latest stamp add at most, besides.
const PARTITION_BYTES: usize = 3 + 9 + 9 + 5;

/// A request that looks and changes nothing.
#[derive(Clone, Debug)]
pub(super) enum Look {
    Read { item: ItemKey, deadline: Instant },
    Show { item: ItemKey, deadline: Instant },
    Scan { collection: CollectionId, from: Bytes, limit: usize, deadline: Instant },
}

/// Answers a request in a session, or has it wait for what the session depends on.
pub(crate) fn answer(
    id: RequestId,
    token: &[u8],
    request: Request,
    waits: &mut Waits,
    context: &mut Context<'_>,
) {
    let answered = open(token, context.replica).and_then(|token| match request {
        Request::Write(writes) => write(id, token, &writes, context),
        Request::Read { item, deadline } => look(id, token, Look::Read { item, deadline }, waits, context),
        Request::Show { item, deadline } => look(id, token, Look::Show { item, deadline }, waits, context),
        Request::Scan { collection, from, limit, deadline } => {
            look(id, token, Look::Scan { collection, from, limit, deadline }, waits, context)
        }
        Request::InSession { .. }
        | Request::Retire { .. }
        | Request::QuorumWrite { .. }
        | Request::QuorumRead { .. }
        | Request::AwaitHints { .. }
        | Request::ChangeRing(_)
        | Request::Commit { .. }
        | Request::Fate { .. }
        | Request::Lead { .. }
        | Request::Extend { .. }
        | Request::HandOver { .. }
        | Request::Failover(_)
        | Request::DeclareDead { .. } => Err(TokenError::Nested),
    });
    refuse_if(answered, id, context);
}

/// After something arrived: answers the reads that waited for it.
pub(crate) fn wake(waits: &mut Waits, context: &mut Context<'_>) {
    for (id, Parked { token, look: again }) in waits.take_arrived(context.replica) {
        let answered = look(id, token, again, waits, context);
        refuse_if(answered, id, context);
    }
}

/// Answers the reads whose deadline has come with what this node lacks.
pub(crate) fn expire(waits: &mut Waits, context: &mut Context<'_>) {
    for (id, Parked { token, look }) in waits.take_expired(context.now.instant) {
        let answered = behind(id, token, &look, context);
        refuse_if(answered, id, context);
    }
}

fn refuse_if(answered: Result<(), TokenError>, id: RequestId, context: &mut Context<'_>) {
    if let Err(error) = answered {
        context.outbox.reply(id, Reply::TokenRefused(error), Lsn::ZERO);
    }
}

fn open(token: &[u8], replica: &Replica) -> Result<Causal, TokenError> {
    if token.is_empty() {
        return Ok(Causal::default());
    }
    match SessionToken::decode(token, &replica.config.cluster, &replica.config.limits)? {
        SessionToken::Causal(token) => Ok(token),
        SessionToken::SingleLeader { .. } => Err(TokenError::OtherTopology),
    }
}

fn look(
    id: RequestId,
    mut token: Causal,
    look: Look,
    waits: &mut Waits,
    context: &mut Context<'_>,
) -> Result<(), TokenError> {
    let awaited = token.first_awaited(look.reach(context.replica), context.replica);
    #[cfg(feature = "_planted_bugs")]
    let awaited = awaited.filter(|_| !context.replica.has_bug(crate::PlantedBug::SessionTokenIgnored));
    if let Some(awaited) = awaited {
        if look.deadline() <= context.now.instant {
            return behind(id, token, &look, context);
        }
        waits.park(id, awaited, Parked { token, look });
        return Ok(());
    }
    let deadline = look.deadline();
    let (reply, lsn) = look.carry_out(&mut token, context.replica);
    let reply = in_session(token, reply, context.replica)?;
    context.outbox.reply_by(id, reply, lsn, deadline);
    Ok(())
}

fn behind(id: RequestId, token: Causal, look: &Look, context: &mut Context<'_>) -> Result<(), TokenError> {
    let missing = token.missing(look.reach(context.replica), context.replica);
    let reply = in_session(token, Reply::Behind { missing }, context.replica)?;
    context.outbox.reply(id, reply, Lsn::ZERO);
    Ok(())
}

fn write(
    id: RequestId,
    mut token: Causal,
    writes: &[Write],
    context: &mut Context<'_>,
) -> Result<(), TokenError> {
    check_room(&token, writes, context.replica)?;
    context.replica.observe(token.latest(), context.now.wall);
    let before = held_before(writes, context.replica);
    let (reply, lsn) = engine::write(writes, context);
    if matches!(reply, Reply::Written(_)) {
        let replica = &*context.replica;
        for ((number, item), before) in before {
            let partition = replica.partition(number);
            let held = partition.cells.get(&item);
            match (held, before) {
                // Somebody else had written the same: a read elsewhere must find that.
                (Some(held), Some((digest, changed))) if held.digest == digest => {
                    token.show_cell(partition, &held.cell, changed);
                }
                (None, None) => token.show_all(partition),
                _ => token.touch(number, replica.id, partition.histories.head(replica.id).sequence),
            }
        }
        token.see(replica.latest_stamp());
    }
    let reply = in_session(token, reply, context.replica)?;
    context.outbox.reply(id, reply, lsn);
    Ok(())
}

/// What is held under the keys of a command: the digest, and the record that changed it last.
fn held_before(writes: &[Write], replica: &Replica) -> BTreeMap<(u16, ItemKey), Option<(u128, Lsn)>> {
    let held = |write: &Write| {
        let item = ItemKey { collection: write.collection, key: write.key.clone() };
        let number = replica.partition_of(item.collection, &item.key);
        let held = replica.partition(number).cells.get(&item).map(|held| (held.digest, held.lsn));
        ((number, item), held)
    };
    writes.iter().map(held).collect()
}

/// Once something is written it cannot be refused any more because of the token, so it is before.
fn check_room(token: &Causal, writes: &[Write], replica: &Replica) -> Result<(), TokenError> {
    let limit = replica.config.limits.max_token;
    let numbers: BTreeSet<u16> =
        writes.iter().map(|write| replica.partition_of(write.collection, &write.key)).collect();
    let origins = |number: &u16| {
        let partition = replica.partition(*number);
        PARTITION_BYTES + ORIGIN_BYTES * (1 + partition.histories.iter().count() + partition.ahead.len())
    };
    let found = SessionToken::Causal(token.clone()).encoded_len();
    if found + numbers.iter().map(origins).sum::<usize>() <= limit {
        return Ok(());
    }
    // It may be near, so it is counted exactly: as if all was there before.
    let mut worst = token.clone();
    for (number, item) in held_before(writes, replica).into_keys() {
        worst.show(replica.partition(number), &item);
        worst.touch(number, replica.id, u64::MAX >> 16);
    }
    let found = SessionToken::Causal(worst).encoded_len() + PARTITION_BYTES;
    if found <= limit { Ok(()) } else { Err(TokenError::Overflow { found, limit }) }
}

fn in_session(token: Causal, reply: Reply, replica: &Replica) -> Result<Reply, TokenError> {
    let token = SessionToken::Causal(token).encode(&replica.config.cluster);
    let (found, limit) = (token.len(), replica.config.limits.max_token);
    if found > limit {
        return Err(TokenError::Overflow { found, limit });
    }
    Ok(Reply::InSession { token: token.into(), reply: Box::new(reply) })
}

impl Look {
    pub(super) fn deadline(&self) -> Instant {
        match self {
            Self::Read { deadline, .. } | Self::Show { deadline, .. } | Self::Scan { deadline, .. } => {
                *deadline
            }
        }
    }

    /// What of the token this node must have before it may answer.
    fn reach(&self, replica: &Replica) -> Reach {
        match self {
            Self::Read { item, .. } | Self::Show { item, .. } => {
                Reach::Partition(replica.partition_of(item.collection, &item.key))
            }
            Self::Scan { .. } => Reach::Everything,
        }
    }

    /// The answer, the record that must be durable before it is told, and in the token what it shows.
    fn carry_out(self, token: &mut Causal, replica: &Replica) -> (Reply, Lsn) {
        match self {
            Self::Read { item, .. } => {
                token.show(replica.partition(replica.partition_of(item.collection, &item.key)), &item);
                engine::read(replica, &item)
            }
            Self::Show { item, .. } => {
                token.show(replica.partition(replica.partition_of(item.collection, &item.key)), &item);
                engine::show(replica, &item)
            }
            Self::Scan { collection, from, limit, .. } => {
                replica.partitions.iter().for_each(|partition| token.show_all(partition));
                let (reply, lsn) = engine::scan(replica, collection, &from, limit);
                if let Reply::Cells(cells) = &reply {
                    let stamps = cells.iter().filter_map(|(_, cell)| cell.latest_stamp());
                    stamps.for_each(|stamp| token.see(stamp));
                }
                (reply, lsn)
            }
        }
    }
}
