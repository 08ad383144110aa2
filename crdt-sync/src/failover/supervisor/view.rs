//! What a node has heard of the others.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use replication_log::{Epoch, Position};

use super::super::election::{Candidate, is_ahead};
use super::super::{Detector, Grant};
use super::act::Standing;
use crate::node::NodeId;
use crate::time::Instant;

/// The last leader that was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leader {
    pub(super) node: NodeId,
    pub(super) epoch: Epoch,
}

/// Whether somebody leads, as far as this node hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// Somebody does, and is heard.
    Heard(NodeId),
    /// Somebody does, and has been silent for too long.
    Silent(NodeId),
    /// Nobody does: whoever did said so, or nobody was heard of. Since then.
    Vacant(Instant),
}

#[derive(Debug)]
pub(super) struct View {
    pub(super) detector: Detector,
    peers: BTreeMap<NodeId, Standing>,
    leader: Option<Leader>,
    vacant_since: Option<Instant>,
    newest: Option<Grant>,
    known_end: Position,
}

impl View {
    pub(super) fn new(detector: Detector, now: Instant) -> Self {
        let (leader, newest) = (None, None);
        Self {
            detector,
            peers: BTreeMap::new(),
            leader,
            vacant_since: Some(now),
            newest,
            known_end: Position::ORIGIN,
        }
    }

    pub(super) fn hear(&mut self, peer: NodeId, standing: Standing, now: Instant) {
        self.detector.heard(peer, now);
        self.peers.insert(peer, standing);
        self.note_end(standing.end);
        self.note_grant(Grant::of(standing.promised));
    }

    pub(super) fn note_end(&mut self, end: Position) {
        if is_ahead(end, self.known_end) {
            self.known_end = end;
        }
    }

    /// A peer's log ends there, as it said when it was asked for a promise.
    pub(super) fn note_end_of(&mut self, peer: NodeId, end: Position) {
        self.note_end(end);
        if let Some(standing) = self.peers.get_mut(&peer) {
            standing.end = end;
        }
    }

    pub(super) fn note_grant(&mut self, grant: Grant) {
        if grant >= Grant::FIRST {
            self.newest = self.newest.max(Some(grant));
        }
    }

    /// Somebody leads.
    pub(super) fn leads(&mut self, leader: Leader) {
        self.vacant_since = None;
        self.note_grant(Grant::of(leader.epoch));
        self.leader = Some(leader);
    }

    /// The leader said that it does not lead any more.
    pub(super) fn vacate(&mut self, now: Instant) {
        self.vacant_since.get_or_insert(now);
    }

    /// This process was not there: it waits as if nobody had led until now.
    pub(super) fn was_away(&mut self, now: Instant) {
        self.detector.was_away(now);
        self.vacant_since = self.vacant_since.map(|_| now);
    }

    /// Whether a peer is there and its log ahead of this end.
    pub(super) fn is_ahead(&self, peer: NodeId, of: Position, now: Instant) -> bool {
        let standing = self.peers.get(&peer).filter(|_| self.is_alive(peer, now));
        standing.is_some_and(|standing| is_ahead(standing.end, of))
    }

    pub(super) fn leader(&self) -> Option<Leader> {
        self.leader
    }

    pub(super) fn newest(&self) -> Option<Grant> {
        self.newest
    }

    pub(super) fn known_end(&self) -> Position {
        self.known_end
    }

    pub(super) fn lead(&self, me: NodeId, now: Instant) -> Lead {
        match (self.vacant_since, self.leader) {
            (Some(since), _) => Lead::Vacant(since),
            (None, Some(leader)) if leader.node == me || !self.detector.suspects(leader.node, now) => {
                Lead::Heard(leader.node)
            }
            (None, Some(leader)) => Lead::Silent(leader.node),
            (None, None) => Lead::Vacant(now),
        }
    }

    /// When the silence of the leader will have been too long.
    pub(super) fn suspected_at(&self, me: NodeId) -> Option<Instant> {
        let leader = self.leader.filter(|leader| self.vacant_since.is_none() && leader.node != me)?;
        Some(self.detector.suspected_at(leader.node))
    }

    /// To whom the last leader has handed over, and where its log ends.
    pub(super) fn handed_to(&self) -> Option<(NodeId, Position)> {
        let leader = self.leader.filter(|_| self.vacant_since.is_some())?;
        let standing = self.peers.get(&leader.node)?;
        Some((standing.hands_over?, standing.end))
    }

    pub(super) fn is_alive(&self, node: NodeId, now: Instant) -> bool {
        self.peers.contains_key(&node) && !self.detector.suspects(node, now)
    }

    pub(super) fn is_promotable(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|standing| standing.promotable)
    }

    /// The others that seem to be alive.
    pub(super) fn alive(&self, now: Instant) -> Vec<Candidate> {
        let alive = self.peers.iter().filter(|(node, _)| !self.detector.suspects(**node, now));
        alive
            .map(|(node, standing)| Candidate {
                node: *node,
                end: standing.end,
                promotable: standing.promotable,
                priority: standing.priority,
            })
            .collect()
    }

    /// How many of them hear that node as the leader.
    pub(super) fn followers_of(&self, leader: NodeId, now: Instant) -> usize {
        let follows = |(node, standing): &(&NodeId, &Standing)| {
            standing.follows == Some(leader) && self.is_alive(**node, now)
        };
        self.peers.iter().filter(follows).count()
    }
}
