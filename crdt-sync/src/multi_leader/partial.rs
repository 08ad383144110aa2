//! Partial replicas: what they are sent of the entries of others, and what a session with them rests on.

use core::mem;

use super::{MultiLeader, Peer, apply, check_partition};
use crate::engine::{Context, PeerError};
use crate::node::NodeId;
use crate::reconcile::{self, Opening, Session, Terms};
use crate::scope::{Scope, ScopedContext};
use crate::wire::{Excerpt, Standing};

impl MultiLeader {
    /// Entries of some origin arrived, and word of others outside this node's scope.
    pub(super) fn on_excerpt(
        &mut self,
        peer: NodeId,
        excerpt: &Excerpt,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let whose = (excerpt.partition, excerpt.origin);
        check_partition(excerpt.partition, context)?;
        if context.replica.config.scope.is_everything() {
            return Err(PeerError::Unexpected { what: "an excerpt for a whole node" });
        }
        if !self.is_taken(peer, whose) || !self.admits_entries(peer, whose, excerpt.entries(), context)? {
            return Ok(());
        }
        let applied = apply(context, |replica, wall| replica.apply_excerpt(excerpt, wall));
        self.conclude_run(peer, whose, applied, context)
    }
}

/// What a session with a peer starts from. Of a partial replica and a whole node both show the part that the partial
/// one holds.
pub(super) fn photographed(
    (peer, scope): (NodeId, &Scope),
    id: u64,
    initiator: bool,
    partition: u16,
    context: &mut Context<'_>,
) -> Session {
    let opening = Opening { peer, partition, id, initiator, scope, terms: Terms::Frontiers };
    let mut session = reconcile::photograph(&opening, context);
    session.trusted = reconcile::may_vouch(peer, context);
    session
}

/// What of a peer's standing may be taken over: of a partial replica what it wrote itself, and of the dots of others,
/// of which it skipped some, those of keys within its scope. Among them are all that its writes took away, whether or
/// not their entries came here yet.
pub(super) fn within(mut standing: Standing, peer: &Peer, partition: u16) -> Option<Standing> {
    let lane = peer.lanes.get(usize::from(partition))?;
    if !lane.meeting.whole {
        standing.heads.retain(|(origin, _)| lane.holds_whole(*origin));
        standing.scoped = ScopedContext::new(peer.scope.clone(), &mem::take(&mut standing.context));
        for &(origin, head) in standing.heads.iter().filter(|(_, head)| head.sequence > 0) {
            standing.context.insert_range(origin, 1..=head.sequence);
        }
    }
    Some(standing)
}
