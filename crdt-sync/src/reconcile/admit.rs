//! What of a peer's data is let in, and what becomes of this node's identity when it shows another past.

use super::Session;
use crate::authorize::{Author, Op};
use crate::engine::{Context, Event};
use crate::node::NodeId;
use crate::replica::{Replica, RunError};
use crate::time::WallTime;
use crate::wire::StatesPart;

impl Session {
    /// What of a part of states may be merged; the session cannot end with what the peer has seen if that is not all.
    pub(crate) fn admit(&mut self, number: u16, part: StatesPart, context: &mut Context<'_>) -> StatesPart {
        let authorization = &context.replica.config.authorization;
        if authorization.is_open() {
            return part;
        }
        let (peer, collection, author) = (self.peer, part.collection, Author::Unknown);
        let before = part.items.len();
        let items = part.items.into_iter();
        let allowed =
            items.filter(|item| authorization.allows(peer, collection, Op::Write { key: &item.key, author }));
        let part = StatesPart { items: allowed.collect(), ..part };
        if part.items.len() < before {
            self.trusted = false;
            if self.refused.insert(collection) {
                context.outbox.event(Event::Unauthorized { peer, partition: number, collection, author });
            }
        }
        part
    }
}

/// Whether what a peer says it has seen may be taken over.
pub(crate) fn may_vouch(peer: NodeId, context: &Context<'_>) -> bool {
    let authorization = &context.replica.config.authorization;
    let vouches = |collection| authorization.allows(peer, collection, Op::Vouch);
    authorization.is_open() || context.replica.registry.ids().into_iter().all(vouches)
}

/// Applies what a peer sent. When it shows writes of this node's identity that this node does not know, the node takes
/// a fresh one, and they are another's.
pub(crate) fn apply<T>(
    context: &mut Context<'_>,
    sent: impl Fn(&mut Replica, WallTime) -> Result<T, RunError>,
) -> Result<T, RunError> {
    let wall = context.now.wall;
    match sent(context.replica, wall) {
        Err(RunError::Outrun) => {
            renew_identity(context);
            sent(context.replica, wall)
        }
        applied => applied,
    }
}

/// Somebody knows writes of this node that it does not know itself.
pub(crate) fn renew_identity(context: &mut Context<'_>) {
    let old = context.replica.id;
    let new = context.replica.renew_identity();
    context.outbox.event(Event::IdentityRenewed { old, new });
}
