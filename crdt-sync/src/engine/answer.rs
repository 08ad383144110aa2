//! Answers from what this node holds.

use alloc::vec::Vec;

use replication_log::Lsn;

use super::{Context, Reply, Request, RequestId};
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::CollectionId;
use crate::replica::{ItemKey, Replica, Write};
use crate::session::{self, Waits};

/// Answers a request that concerns this node alone.
pub(super) fn answer(id: RequestId, request: Request, waits: &mut Waits, context: &mut Context<'_>) {
    if context.outbox.waiting() + waits.len() >= context.replica.config.limits.max_waiting {
        return context.outbox.reply(id, Reply::Overloaded, Lsn::ZERO);
    }
    if is_out_of_scope(&request, context.replica) {
        return context.outbox.reply(id, Reply::OutOfScope, Lsn::ZERO);
    }
    match request {
        Request::Write(writes) => {
            let (reply, lsn) = write(&writes, context);
            context.outbox.reply(id, reply, lsn);
        }
        Request::Read { item, deadline } => {
            let (value, lsn) = read(context.replica, &item);
            context.outbox.reply_by(id, value, lsn, deadline);
        }
        Request::Show { item, deadline } => {
            let (reply, lsn) = show(context.replica, &item);
            context.outbox.reply_by(id, reply, lsn, deadline);
        }
        Request::Scan { collection, from, limit, deadline } => {
            let (cells, lsn) = scan(context.replica, collection, &from, limit);
            context.outbox.reply_by(id, cells, lsn, deadline);
        }
        Request::InSession { token, request } => session::answer(id, &token, *request, waits, context),
        // Handled before, by the topology that has a use for it.
        Request::QuorumWrite { .. }
        | Request::QuorumRead { .. }
        | Request::AwaitHints { .. }
        | Request::DeclareDead { .. }
        | Request::Commit { .. }
        | Request::Fate { .. }
        | Request::Lead { .. }
        | Request::Extend { .. }
        | Request::HandOver { .. }
        | Request::Failover(_)
        | Request::ChangeRing(_) => {
            context.outbox.reply(id, Reply::OtherTopology, Lsn::ZERO);
        }
        Request::Retire { .. } => {}
    }
}

/// Whether nobody can be told here what is asked. A scan tells what is held; in a session it must tell all.
fn is_out_of_scope(request: &Request, replica: &Replica) -> bool {
    let scope = &replica.config.scope;
    let lies_outside = |item: &ItemKey| !scope.contains(item.collection, &item.key);
    match request {
        Request::Read { item, .. } | Request::Show { item, .. } => lies_outside(item),
        Request::InSession { request, .. } => match &**request {
            Request::Read { item, .. } | Request::Show { item, .. } => lies_outside(item),
            Request::Scan { collection, .. } => !scope.contains(*collection, &[]),
            _ => false,
        },
        _ => false,
    }
}

/// The state of a key, and the record that must be durable before anybody is told.
pub(crate) fn read(replica: &Replica, item: &ItemKey) -> (Reply, Lsn) {
    let partition = replica.partition_of(item.collection, &item.key);
    let held = replica.partition(partition).cells.get(item);
    // A key that is not held may have been removed by a record that is not durable yet.
    let lsn = held.map_or_else(|| replica.applied(), |held| held.lsn);
    (Reply::Value(held.map(|held| held.cell.clone())), lsn)
}

/// A document as its collection's rule shows it, and the record that must be durable before anybody is told.
pub(crate) fn show(replica: &Replica, item: &ItemKey) -> (Reply, Lsn) {
    match replica.show(item) {
        Ok((reading, lsn)) => (Reply::Shown(reading), lsn.unwrap_or_else(|| replica.applied())),
        Err(error) => (Reply::NotShown(error), Lsn::ZERO),
    }
}

/// The first `limit` keys of all partitions, in key order, and the record that must be durable.
pub(crate) fn scan(replica: &Replica, collection: CollectionId, from: &Bytes, limit: usize) -> (Reply, Lsn) {
    let mut found: Vec<(&Bytes, &Cell)> = Vec::new();
    for partition in &replica.partitions {
        let cells = partition.cells.scan(collection, from.clone());
        found.extend(cells.take(limit).map(|(key, held)| (key, &held.cell)));
    }
    found.sort_unstable_by_key(|(key, _)| *key);
    let found = found.into_iter().take(limit).map(|(key, cell)| (key.clone(), cell.clone()));
    (Reply::Cells(found.collect()), replica.applied())
}

/// Writes, and says after which record that may be told.
pub(crate) fn write(writes: &[Write], context: &mut Context<'_>) -> (Reply, Lsn) {
    match context.replica.write(writes, context.now.wall) {
        Ok(mut written) => {
            // A write that changed nothing rests on what made it unnecessary.
            let rests_on = written.lsn.max(context.replica.journal.last());
            written.lsn = written.lsn.max(rests_on);
            (Reply::Written(written), rests_on)
        }
        Err(error) => (Reply::Refused(error), Lsn::ZERO),
    }
}
