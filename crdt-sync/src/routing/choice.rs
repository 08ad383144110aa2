//! Which of several nodes that would do.

use core::cmp::Reverse;

use crdt_core::digest_of;

use super::lineage::Holds;
use crate::node::NodeId;

/// A node that may be asked.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) node: NodeId,
    pub(super) distance: usize,
    pub(super) leads: bool,
    /// Whether it has what the session needs, as far as is known.
    pub(super) holds: Holds,
}

impl Candidate {
    pub(super) fn has_it(&self) -> bool {
        self.holds == Holds::Yes
    }
}

/// One of the nearest, a follower where there is one: reads are what followers take from a leader.
pub(super) fn nearest(candidates: impl Iterator<Item = Candidate>, draw: Draw) -> Option<Candidate> {
    candidates.min_by_key(|candidate| (candidate.distance, candidate.leads, Reverse(draw.of(candidate.node))))
}

/// One of the nearest, first those that need not wait.
pub(super) fn nearest_that_has_it(
    candidates: impl Iterator<Item = Candidate>,
    draw: Draw,
) -> Option<Candidate> {
    let rank = |c: &Candidate| (c.distance, !c.has_it(), c.leads, Reverse(draw.of(c.node)));
    candidates.min_by_key(rank)
}

/// Rendezvous hashing (Thaler and Ravishankar, *Using name-based mappings to increase hit rates*, 1998): every node
/// draws a number, the highest wins. Whoever draws with the same numbers finds the same node, without being told; each
/// node wins equally often; and when one leaves, only those it had won move, spread over all the others.
#[derive(Clone, Copy)]
pub(super) struct Draw {
    pub(super) seed: u64,
    pub(super) turn: u64,
}

impl Draw {
    fn of(self, node: NodeId) -> u128 {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.turn.to_le_bytes());
        bytes[16..].copy_from_slice(node.as_bytes());
        digest_of(&bytes)
    }
}
