//! Who asks to lead, and in which order. Who *leads* is decided by the coordinator, and by the promises of a majority.
//!
//! All policies let only those ask who may be elected: no node that is tagged not to, none that lacks more than the lag
//! gate allows. What a node lacks it knows from what it heard last of where the leader's log ended, and the others'.
//! The gate is on unless it is taken away: a replica that has been broken for two days does not get elected because
//! nobody else is left.
//!
//! Logs are compared as Raft does: the one whose last record has the later epoch is ahead, then the longer one.

#[cfg(test)]
mod tests;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Reverse;

use replication_log::Position;
use thiserror::Error;

use crate::node::NodeId;

/// Who asks first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Whose log is furthest. Among equals the higher priority, then the lower id.
    #[default]
    MostUpToDate,
    /// The first of the list, then as [`MostUpToDate`](Self::MostUpToDate). What it lacks, within the lag gate, it
    /// fetches or loses.
    Priority(Vec<NodeId>),
    /// Whoever comes first: all ask after a random delay, and the coordinator decides.
    Consensus,
}

/// A node that could be elected, as it said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub node: NodeId,
    /// Where its log ends.
    pub end: Position,
    /// `false` for a node that never leads, whoever is left.
    pub promotable: bool,
    /// The higher, the sooner, among nodes that are as far.
    pub priority: u32,
}

/// Why a node does not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotElectable {
    /// It is tagged so, or unknown.
    #[error("it is not to lead")]
    NotPromotable,
    /// It is too far behind.
    #[error("it lacks {lacks} entries, and may lack {most}")]
    LagsTooFar {
        /// So many entries that somebody is known to have had.
        lacks: u64,
        /// So many it may lack.
        most: u64,
    },
    /// A node that can be reached is ahead.
    #[error("{node} is ahead")]
    Behind {
        /// Which.
        node: NodeId,
    },
    /// Too few of those that might have what was acknowledged can be reached.
    #[error("{votes} of {needed} votes")]
    TooFewVotes {
        /// So many can, and are not ahead; -1 if even this node is none of them.
        votes: i64,
        /// So many are needed.
        needed: usize,
    },
}

/// One election: who could be elected, as one node sees it.
#[derive(Clone, Copy, Debug)]
pub struct Election<'a> {
    /// Who asks first.
    pub policy: &'a Policy,
    /// How many entries of what is known a node may lack; `None`: any number.
    pub most_lag: Option<u64>,
    /// The furthest end that anybody was heard to have, the last leader above all.
    pub known_end: Position,
    /// The nodes that seem to be alive.
    pub candidates: &'a [Candidate],
}

impl Election<'_> {
    /// Who may be elected, the first to ask first. O(n log n).
    ///
    /// ```
    /// use crdt_sync::NodeId;
    /// use crdt_sync::failover::election::{Candidate, Election, Policy};
    /// use replication_log::{Epoch, Lsn, Position};
    ///
    /// let at = |lsn| Position { lsn: Lsn::new(lsn), epoch: Epoch::new(1), checksum: 0 };
    /// let named = |node, lsn| {
    ///     Candidate { node: NodeId::from_u128(node), end: at(lsn), promotable: true, priority: 0 }
    /// };
    /// let (a, b, c) = (named(0xa, 1_000), named(0xb, 1_050), named(0xc, 1_020));
    /// let election = Election {
    ///     policy: &Policy::MostUpToDate,
    ///     most_lag: Some(100),
    ///     known_end: at(1_050),
    ///     candidates: &[a, b, c],
    /// };
    /// assert_eq!(election.order(), [b.node, c.node, a.node]);
    /// ```
    pub fn order(&self) -> Vec<NodeId> {
        let mut order: Vec<&Candidate> =
            self.candidates.iter().filter(|candidate| self.check(candidate).is_ok()).collect();
        order.sort_by_key(|candidate| {
            let place = match self.policy {
                Policy::Priority(list) => list.iter().position(|node| *node == candidate.node),
                Policy::MostUpToDate | Policy::Consensus => None,
            };
            let end = (candidate.end.epoch, candidate.end.lsn);
            (place.unwrap_or(usize::MAX), Reverse((end, candidate.priority)), candidate.node)
        });
        order.into_iter().map(|candidate| candidate.node).collect()
    }

    /// Behind how many others the node waits for its turn, or why it does not ask at all. O(n log n).
    pub fn turn(&self, node: NodeId) -> Result<usize, NotElectable> {
        let candidate = self.candidates.iter().find(|candidate| candidate.node == node);
        self.check(candidate.ok_or(NotElectable::NotPromotable)?)?;
        match self.policy {
            Policy::Consensus => Ok(0),
            _ => self.order().iter().position(|other| *other == node).ok_or(NotElectable::NotPromotable),
        }
    }

    fn check(&self, candidate: &Candidate) -> Result<(), NotElectable> {
        if !candidate.promotable {
            return Err(NotElectable::NotPromotable);
        }
        let lacks = lacks(candidate.end, self.known_end);
        match self.most_lag {
            Some(most) if lacks > most => Err(NotElectable::LagsTooFar { lacks, most }),
            _ => Ok(()),
        }
    }
}

/// Whether a log that ends at `end` is ahead of one that ends at `other`.
pub fn is_ahead(end: Position, other: Position) -> bool {
    (end.epoch, end.lsn) > (other.epoch, other.lsn)
}

/// How many entries a log that ends at `end` lacks of one that ends at `known`. At least one where that one is ahead,
/// even by its epoch only: what is beyond the point where they part is not known here.
pub fn lacks(end: Position, known: Position) -> u64 {
    if !is_ahead(known, end) {
        return 0;
    }
    known.lsn.get().saturating_sub(end.lsn.get()).max(1)
}

/// How many of those that acknowledge synchronously have to be found before one of them is promoted, for commits that
/// fewer than a majority acknowledge.
///
/// Patroni's rule (`quorum.py`): with a leader, `voters` that may have acknowledged, and commits that `acks` of them
/// acknowledged, whoever is promoted must have found `voters - acks` others, none of them ahead of it. Then at least
/// one of those found, or it itself, has what was acknowledged.
///
/// ```
/// use crdt_sync::NodeId;
/// use crdt_sync::failover::election::QuorumRule;
///
/// let voters = [1, 2, 3, 4].map(NodeId::from_u128);
/// assert_eq!(QuorumRule::new(voters, 2).needed(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumRule {
    voters: BTreeSet<NodeId>,
    needed: usize,
}

impl QuorumRule {
    /// Commits are acknowledged by any `acks` of the voters, besides the leader.
    pub fn new(voters: impl IntoIterator<Item = NodeId>, acks: usize) -> Self {
        let voters: BTreeSet<NodeId> = voters.into_iter().collect();
        let needed = voters.len().saturating_sub(acks);
        Self { voters, needed }
    }

    /// So many votes are needed besides the candidate's own.
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Whether `me` may be promoted, with a log that ends at `end`, of the others that can be reached. O(n log n).
    pub fn check(
        &self,
        me: NodeId,
        end: Position,
        others: impl IntoIterator<Item = (NodeId, Position)>,
    ) -> Result<(), NotElectable> {
        let mut votes: i64 = if self.voters.contains(&me) { 0 } else { -1 };
        for (node, others_end) in others {
            if is_ahead(others_end, end) {
                return Err(NotElectable::Behind { node });
            }
            votes += i64::from(node != me && self.voters.contains(&node));
        }
        let enough = usize::try_from(votes).is_ok_and(|votes| votes >= self.needed);
        if enough { Ok(()) } else { Err(NotElectable::TooFewVotes { votes, needed: self.needed }) }
    }
}
