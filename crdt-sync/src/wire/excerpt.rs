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

/// Pieces with the sequence of the first entry that each stands for; what is before them ends at `after`.
pub(crate) fn sequenced(after: u64, pieces: &[Piece]) -> impl Iterator<Item = (u64, &Piece)> {
    pieces.iter().scan(after, |last, piece| {
        let first = last.saturating_add(1);
        *last = last.saturating_add(piece.count());
        Some((first, piece))
    })
}

impl Excerpt {
    /// The entries that are told, with their sequences.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, &Bytes)> {
        sequenced(self.after.sequence, &self.pieces).filter_map(|(sequence, piece)| match piece {
            Piece::Entry(bytes) => Some((sequence, bytes)),
            Piece::Skipped { .. } => None,
        })
    }

    /// The bytes of its entries.
    pub(crate) fn bytes(&self) -> usize {
        self.entries().map(|(_, bytes)| bytes.len()).sum()
    }

    /// The position behind its last entry.
    pub(crate) fn last(&self) -> Position {
        let whose = (self.partition, self.origin);
        self.pieces.iter().fold(self.after, |at, piece| piece.behind(at, whose).unwrap_or(at))
    }
}
