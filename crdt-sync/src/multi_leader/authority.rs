//! What a peer may have merged here: the questions of [`crate::authorize`], asked where data comes in.

use crdt_core::{ReplicaId, codec};

use super::MultiLeader;
use crate::authorize::{Author, Op};
use crate::bytes::Bytes;
use crate::engine::{Context, Event, PeerError};
use crate::entry::Entry;
use crate::node::NodeId;
use crate::replica::RunError;
use crate::scope::Scope;

impl MultiLeader {
    /// Whether entries of an origin, with their sequences, may be merged. The answer about entries of the sender's own
    /// is an error: they end its link.
    pub(super) fn admits_entries<'r>(
        &mut self,
        peer: NodeId,
        (number, origin): (u16, ReplicaId),
        entries: impl Iterator<Item = (u64, &'r Bytes)>,
        context: &mut Context<'_>,
    ) -> Result<bool, PeerError> {
        if context.replica.config.authorization.is_open() {
            return Ok(true);
        }
        // What the sender's own is, its frontier says; that was lost or overtaken, and is said again.
        let Some(writer) = self.peers.get(&peer).and_then(|peer| peer.writer) else {
            self.lane(peer, number, |lane| lane.must_rewind = true);
            return Ok(false);
        };
        if self.lane(peer, number, |lane| lane.refused.contains(&origin)) == Some(true) {
            return Ok(false);
        }
        let author = if writer == origin { Author::Sender } else { Author::Relayed(origin) };
        let head = context.replica.partition(number).histories.head(origin).sequence;
        let new = entries.filter(|(sequence, _)| *sequence > head).map(|(_, bytes)| bytes);
        let Some(entry) = first_refused(peer, author, new, context) else {
            return Ok(true);
        };
        let collection = entry.collection;
        if author == Author::Sender {
            return Err(PeerError::Unauthorized { origin, collection });
        }
        let limit = context.replica.config.limits.max_origins;
        if self.lane(peer, number, |lane| lane.refused.len() >= limit) == Some(true) {
            return Err(RunError::TooManyOrigins { limit }.into());
        }
        self.lane(peer, number, |lane| lane.refused.insert(origin));
        context.outbox.event(Event::Unauthorized { peer, partition: number, collection, author });
        self.advertise(peer, number, context);
        Ok(false)
    }
}

/// Whether a peer may be sent everything in its scope.
pub(crate) fn may_read(peer: NodeId, scope: &Scope, context: &Context<'_>) -> bool {
    let authorization = &context.replica.config.authorization;
    let mut all = context.replica.registry.ids().into_iter().filter(|id| scope.touches(*id));
    authorization.is_open() || all.all(|collection| authorization.allows(peer, collection, Op::Read))
}

/// The first of these entries that is not allowed. What cannot be read is for others to complain about.
fn first_refused<'r>(
    peer: NodeId,
    author: Author,
    mut entries: impl Iterator<Item = &'r Bytes>,
    context: &Context<'_>,
) -> Option<Entry> {
    let config = &context.replica.config;
    let limits = config.limits.codec();
    let entries = core::iter::from_fn(|| codec::decode_payload::<Entry>(entries.next()?, &limits).ok());
    let mut entries = entries.fuse();
    entries.find(|entry| {
        !config.authorization.allows(peer, entry.collection, Op::Write { key: &entry.key, author })
    })
}
