//! What becomes of entries and states that others sent.

use crdt_core::codec::DecodeError;
use crdt_core::{Dot, ReplicaId};
use thiserror::Error;

use crate::cell::CellError;
use crate::collection::CollectionId;

/// What became of a run of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// This many entries were new and are applied.
    Applied(usize),
    /// The run starts above what is known of its origin; nothing was applied.
    Gap,
    /// The origin is retired, and the run goes beyond its final frontier; nothing was applied. Whoever sent it need
    /// not have heard of it yet.
    Retired,
    /// The next entry names a dot that is not known here: it is taken when that is.
    Early {
        /// How many entries before it were new, and are applied.
        applied: usize,
        /// The dot.
        missing: Dot,
    },
}

/// Why a run or a part of states was refused. Nothing of it was applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The peer named a partition that does not exist here.
    #[error("the peer named partition {partition}, which does not exist")]
    UnknownPartition {
        /// The number it named.
        partition: u16,
    },
    /// The peer named a collection that is not declared here.
    #[error("the peer named {collection:?}, which is not declared here")]
    UnknownCollection {
        /// The id it named.
        collection: CollectionId,
    },
    /// A key arrived in a partition it does not belong to.
    #[error("the peer put a key into partition {partition}, where it does not belong")]
    ForeignKey {
        /// The partition.
        partition: u16,
    },
    /// A key that lies outside the scope of one of the two sides.
    #[error("the peer named a key of {collection:?} that lies outside the scope of a partial replica")]
    OutOfScope {
        /// The collection.
        collection: CollectionId,
    },
    /// The entries do not hash to the chain value that came with them.
    #[error("entries of {origin} after {after} do not match the chain value they came with")]
    BrokenChain {
        /// Whose entries.
        origin: ReplicaId,
        /// The sequence before the first of them.
        after: u64,
    },
    /// Two histories exist under one identity.
    #[error("two different histories of {origin} exist: they differ at sequence {sequence} or before")]
    Forked {
        /// The identity with two pasts.
        origin: ReplicaId,
        /// Where the difference showed.
        sequence: u64,
    },
    /// Entries above the cut of a forked identity: they live on as a branch of their own.
    #[error("{origin} is burnt: it ends at sequence {end} for good")]
    Burnt {
        /// The identity.
        origin: ReplicaId,
        /// Where it ends.
        end: u64,
    },
    /// More forks than this node takes on.
    #[error("the partition knows of as many forks as it may, {limit}")]
    TooManyForks {
        /// The limit.
        limit: usize,
    },
    /// Words about forks that no history can have led to.
    #[error("the peer knows of a fork that there cannot be: {what}")]
    ImpossibleFork {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A branch that does not fit in one record.
    #[error("a branch of {bytes} bytes is too large to be divided from its root, {limit} are allowed")]
    BranchTooLarge {
        /// The bytes of its entries.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The peer named dots of this node's own identity that it never issued.
    #[error("the peer knows writes of this node's own identity that this node does not know")]
    Outrun,
    /// An entry names a dot of its own origin that was not given out when it was written.
    #[error("entry {sequence} of {origin} names a dot that its origin cannot have had")]
    ImpossibleDot {
        /// Whose entry.
        origin: ReplicaId,
        /// Which.
        sequence: u64,
    },
    /// A sequence that no origin can have reached.
    #[error("the peer named sequence {sequence}, which no origin can have reached")]
    ImpossibleSequence {
        /// The sequence.
        sequence: u64,
    },
    /// A standing that no honest peer could have.
    #[error("the peer's standing is out of order")]
    BadStanding,
    /// A standing with more origins, or more ranges, than this node takes on. No session can rest on it.
    #[error("the peer's standing is too large to be taken over")]
    StandingTooLarge,
    /// The partition's causal context has as many holes as it may, and this would make more of them.
    #[error("the causal context of the partition would have more than {limit} ranges")]
    ContextFull {
        /// The limit.
        limit: usize,
    },
    /// The partition follows as many origins as it may.
    #[error("the partition follows {limit} origins already")]
    TooManyOrigins {
        /// The limit.
        limit: usize,
    },
    /// An entry is not the encoding of an entry.
    #[error("malformed entry: {0}")]
    Malformed(#[from] DecodeError),
    /// An entry's delta or a state is not one of its collection's kind.
    #[error(transparent)]
    Cell(#[from] CellError),
}

impl RunError {
    /// Whether the partition has no room for what the peer showed. An honest one may have so much, so that it is not
    /// cut off for it; but no session can rest on it.
    pub(crate) fn is_want_of_room(&self) -> bool {
        matches!(self, Self::ContextFull { .. } | Self::TooManyOrigins { .. })
    }
}
