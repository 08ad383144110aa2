//! What a write gives back, and why one is refused.

use crdt_core::{CausalContext, Dot, DotsExhausted, ReplicaId};

use super::Siblings;
use crate::limits::{CROWDED_SIBLINGS, MAX_SIBLINGS};

/// What a write to [`Siblings`] gives back.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiblingWrite<V> {
    /// The name of the write.
    pub dot: Dot,
    /// What other replicas merge.
    pub delta: Siblings<V>,
    /// Whether the values have become too many.
    pub crowding: Crowding,
}

impl<V> SiblingWrite<V> {
    /// What the client has seen now: all it had seen before, and its own write. Its next write with
    /// this supersedes its last one, and no sibling of that.
    ///
    /// A client that never reads and goes on like this while others write gathers two bytes for each
    /// of its writes; what it reads next has them in one range again.
    pub const fn context(&self) -> &CausalContext {
        self.delta.context()
    }
}

/// How near the number of siblings is to the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Crowding {
    /// Fewer than [`CROWDED_SIBLINGS`].
    Normal,
    /// Still accepted, but somebody writes without reading, or nobody resolves.
    Crowded,
    /// [`MAX_SIBLINGS`] or more: writes that supersede nothing are refused.
    Full,
}

impl Crowding {
    pub(super) const fn of(siblings: usize) -> Self {
        if siblings >= MAX_SIBLINGS {
            Self::Full
        } else if siblings >= CROWDED_SIBLINGS {
            Self::Crowded
        } else {
            Self::Normal
        }
    }
}

/// A write or deletion was refused. The siblings are as they were.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiblingWriteError {
    /// The write would add a value to too many. The client is to read first, and to write with the
    /// context of what it read.
    #[error(
        "{siblings} concurrent values are there, the limit is {limit}, and the write supersedes none; nothing \
         was written: read, resolve, and write with the context read"
    )]
    TooMany {
        /// How many values there are.
        siblings: usize,
        /// The limit.
        limit: usize,
    },
    /// The client has seen writes of this replica that the replica does not know of. Its state is an
    /// old copy or was lost, or somebody else writes under its id. Take a fresh id
    /// ([`Replica::rename`](crdt_core::Replica::rename)) and write again.
    #[error(
        "{replica} has made {issued} writes here and the client has seen {claimed}: this state is an old copy, \
         or the id is in use elsewhere; nothing was written, go on under a fresh replica id"
    )]
    OwnWritesClaimed {
        /// The writer.
        replica: ReplicaId,
        /// The number of the last of its writes that the client has seen.
        claimed: u64,
        /// The number of the last that is known here.
        issued: u64,
    },
    /// The writer has no numbers left for its writes.
    #[error(transparent)]
    Exhausted(#[from] DotsExhausted),
}
