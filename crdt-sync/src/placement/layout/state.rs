//! What one version of the layout says, and which of two versions is the newer.

use core::cmp::Ordering;

use crdt_core::{codec, digest_of};
use serde::{Deserialize, Serialize};

use super::super::member::{Members, Shape};
use crate::node::NodeId;

/// One version: everything that decides who holds what. Nothing is known yet where the version is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in super::super) struct State {
    pub(in super::super) version: u64,
    /// A digest of what the cluster was founded with: layouts of other clusters are not joined.
    pub(in super::super) founded: u128,
    pub(in super::super) shape: Shape,
    pub(in super::super) members: Members,
    pub(in super::super) transition: Option<Transition>,
}

/// A change in progress.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in super::super) struct Transition {
    pub(in super::super) step: Step,
    /// Who proposed it.
    pub(in super::super) by: NodeId,
    pub(in super::super) next: Members,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in super::super) enum Step {
    Writing,
    Reading,
}

/// How far a change is. Every phase is one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No change is in progress: writes and reads ask the one ring there is.
    Stable,
    /// Writes reach their quorum in the old and in the new primaries, reads ask the old ones. New owners copy.
    Writing,
    /// Writes reach their quorum in both, reads ask the new primaries.
    Reading,
}

impl State {
    /// Which is the newer. Of two with one version, which are proposals made at the same time, the one of the greater
    /// digest: every node decides alike, and nobody gains by a lower name.
    pub(in super::super) fn compare(&self, other: &Self) -> Ordering {
        self.version.cmp(&other.version).then_with(|| {
            if self == other {
                return Ordering::Equal;
            }
            self.digest().cmp(&other.digest()).then_with(|| self.cmp(other))
        })
    }

    /// O(size).
    pub(in super::super) fn digest(&self) -> u128 {
        digest_of(&codec::encode_payload(self))
    }

    pub(in super::super) fn phase(&self) -> Phase {
        match &self.transition {
            None => Phase::Stable,
            Some(Transition { step: Step::Writing, .. }) => Phase::Writing,
            Some(Transition { step: Step::Reading, .. }) => Phase::Reading,
        }
    }

    /// Whether the node stands on the old or on the new ring.
    pub(in super::super) fn takes_part(&self, node: NodeId) -> bool {
        self.members.contains(node)
            || self.transition.as_ref().is_some_and(|change| change.next.contains(node))
    }

    /// The members of the old ring, and those that the new one adds.
    pub(in super::super) fn participants(&self) -> impl Iterator<Item = NodeId> {
        let added = self.transition.iter().flat_map(|change| change.next.nodes());
        self.members.nodes().chain(added.filter(|node| !self.members.contains(*node)))
    }
}
