//! What a partial replica is sent of an origin's entries.

use alloc::vec::Vec;

use crdt_core::ReplicaId;
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::entry::{Chain, Position};

/// Consecutive entries of one origin, in order and without gaps, except that those outside the receiver's scope are
/// only counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Excerpt {
    /// The partition the entries belong to.
    pub partition: u16,
    /// Who wrote them.
    pub origin: ReplicaId,
    /// The position before the first of them.
    pub after: Position,
    /// The entries.
    pub pieces: Vec<Piece>,
    /// The chain after the last of them.
    pub chain: Chain,
}

/// A piece of an [`Excerpt`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Piece {
    /// An encoded entry.
    Entry(Bytes),
    /// Entries outside the receiver's scope.
    Skipped {
        /// How many, at least one.
        count: u64,
        /// The chain after the last of them.
        chain: Chain,
    },
}

impl Piece {
    /// How many entries it stands for.
    pub(crate) const fn count(&self) -> u64 {
        match self {
            Self::Entry(_) => 1,
            Self::Skipped { count, .. } => *count,
        }
    }

    /// The position behind it; `None` when there cannot be one.
    pub(crate) fn behind(&self, at: Position, (partition, origin): (u16, ReplicaId)) -> Option<Position> {
        let sequence = at.sequence.checked_add(self.count()).filter(|last| *last > at.sequence)?;
        let chain = match self {
            Self::Entry(bytes) => at.chain.then(origin, partition, bytes),
            Self::Skipped { chain, .. } => *chain,
        };
        Some(Position { sequence, chain })
    }
}

impl Excerpt {
    /// The bytes of its entries.
    pub(crate) fn bytes(&self) -> usize {
        let entries = self.pieces.iter().map(|piece| match piece {
            Piece::Entry(bytes) => bytes.len(),
            Piece::Skipped { .. } => 0,
        });
        entries.sum()
    }

    /// The position behind its last entry.
    pub(crate) fn last(&self) -> Position {
        let whose = (self.partition, self.origin);
        self.pieces.iter().fold(self.after, |at, piece| piece.behind(at, whose).unwrap_or(at))
    }
}
