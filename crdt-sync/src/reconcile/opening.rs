//! What a session starts from.

use rand_core::Rng;

use super::{Session, Terms};
use crate::engine::Context;
use crate::merkle;
use crate::node::NodeId;
use crate::scope::Scope;
use crate::wire::Standing;

/// With whom a session is held, and about what.
pub(crate) struct Opening<'o> {
    pub(crate) peer: NodeId,
    pub(crate) partition: u16,
    pub(crate) id: u64,
    pub(crate) initiator: bool,
    /// The keys that both sides show.
    pub(crate) scope: &'o Scope,
    pub(crate) terms: Terms,
}

/// Everything a session starts from, taken at one moment: the tree, the heads and the context.
pub(crate) fn photograph(opening: &Opening<'_>, context: &mut Context<'_>) -> Session {
    let mut nonce = [0; 16];
    context.replica.rng.fill_bytes(&mut nonce);
    let limits = context.replica.config.limits.merkle;
    let partition = context.replica.partition_mut(opening.partition);
    let stood = match opening.terms {
        Terms::Frontiers => partition.standing(),
        Terms::Dots => partition.standing_by_dots(),
    };
    let (snapshot, root) = partition.cells.photograph(opening.scope);
    let scoped = stood.scoped.within(opening.scope);
    let ours = Standing { scoped, root: (root.digest, root.count), ..stood };
    let tree = if opening.initiator {
        merkle::Session::initiate(snapshot, nonce, limits)
    } else {
        merkle::Session::accept(snapshot, nonce, limits)
    };
    let (since, now) = (context.replica.journal.last(), context.now.instant);
    Session::new(opening, (ours, since), tree, now)
}
