//! Partial replicas: what they are sent of the entries of others.

use super::{MultiLeader, check_partition, renew_identity};
use crate::engine::{Context, PeerError};
use crate::node::NodeId;
use crate::replica::RunError;
use crate::wire::{Excerpt, Piece};

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
        if !self.is_taken(peer, whose) || !self.admits_entries(peer, whose, entries_of(excerpt), context)? {
            return Ok(());
        }
        let applied = match context.replica.apply_excerpt(excerpt, context.now.wall) {
            Err(RunError::Outrun) => {
                renew_identity(context);
                context.replica.apply_excerpt(excerpt, context.now.wall)
            }
            other => other,
        };
        self.conclude_run(peer, whose, applied, context)
    }
}

/// The entries of an excerpt with their sequences.
fn entries_of(excerpt: &Excerpt) -> impl Iterator<Item = (u64, &crate::bytes::Bytes)> {
    let sequenced = excerpt.pieces.iter().scan(excerpt.after.sequence, |last, piece| {
        *last = last.saturating_add(piece.count());
        Some((*last, piece))
    });
    sequenced.filter_map(|(sequence, piece)| match piece {
        Piece::Entry(bytes) => Some((sequence, bytes)),
        Piece::Skipped { .. } => None,
    })
}
