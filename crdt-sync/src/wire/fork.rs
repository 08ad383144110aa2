//! What nodes tell each other of forked identities.

use alloc::vec::Vec;

use crdt_core::ReplicaId;
use serde::{Deserialize, Serialize};

use super::Run;
use crate::bytes::Bytes;
use crate::collection::CollectionId;
use crate::entry::{Chain, Position};

/// A word about forks in one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fork {
    /// The partition.
    pub partition: u16,
    /// What is said.
    pub word: ForkWord,
}

/// What is said of forks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ForkWord {
    /// Some positions of the sender's history of an identity that seems to have two. Whoever can tell the last that
    /// is common from the first that is not names the cut; otherwise it answers with positions between the two.
    Trace {
        /// The identity.
        origin: ReplicaId,
        /// The positions, ascending.
        samples: Vec<Position>,
    },
    /// Everything the sender knows of forks, or a part of it.
    Known(KnownForks),
    /// The sender holds a history through a cut and lacks the entries to divide it.
    Ask {
        /// Under which identity it holds it.
        segment: ReplicaId,
        /// The entries above this sequence are asked for.
        after: u64,
        /// Up to the floor of the sender's history, above which it holds them.
        head: Position,
    },
    /// The entries that were asked for.
    Lesson {
        /// Who asked holds the history under this identity.
        segment: ReplicaId,
        /// The entries.
        run: Run,
    },
}

/// A position behind which one identity goes on in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cut {
    /// The last common position.
    pub after: Position,
    /// Under which identity the history was written.
    pub root: ReplicaId,
}

/// Where a branch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Under which identity it was written.
    pub root: ReplicaId,
    /// The sequence before its first entry.
    pub start: u64,
    /// The chain value after its first entry: its id follows from it, so that nobody's identity passes for a branch.
    pub chain: Chain,
}

impl Branch {
    /// The position of its first entry.
    pub(crate) fn first(&self) -> Position {
        Position { sequence: self.start + 1, chain: self.chain }
    }
}

/// What an identity had counted under a key where it was cut; nothing above it is its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// The collection.
    pub collection: CollectionId,
    /// The key.
    pub key: Bytes,
    /// The identity.
    pub segment: ReplicaId,
    /// Its increments.
    pub incremented: u64,
    /// Its decrements.
    pub decremented: u64,
}

/// Knowledge of forks. It only grows, and any two are joined without regard to order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KnownForks {
    /// The cuts, and the identities under whose names a history is known to pass through each.
    pub cuts: Vec<(Cut, Vec<ReplicaId>)>,
    /// The branches. Whoever names one names the cut where it begins in the same word, or has done so.
    pub branches: Vec<(ReplicaId, Branch)>,
    /// The ends of counts; of an identity no cut of which is known they are passed over.
    pub ceilings: Vec<Ceiling>,
}

impl KnownForks {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty() && self.branches.is_empty() && self.ceilings.is_empty()
    }
}
