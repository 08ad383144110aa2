//! How far a change is, what it moves, and what may be dropped.

use alloc::vec::Vec;

use super::super::layout::Phase;
use super::Placement;
use crate::node::NodeId;

/// How far a change is, for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The version of the present phase.
    pub version: u64,
    /// The phase.
    pub phase: Phase,
    /// Partitions that have other primaries afterwards.
    pub moving: usize,
    /// Copies that are to be made: one for each partition that a node gains; where a partition has fewer primaries
    /// afterwards, one for each of those.
    pub copies: usize,
    /// How many of those are reported as made.
    pub copied: usize,
    /// Who has not acknowledged the phase, or does not know all that were declared dead. A dead one among them blocks
    /// the change until [`declare_dead`](Placement::declare_dead) says so.
    pub unacknowledged: Vec<NodeId>,
    /// Who still has partitions to copy.
    pub copying: Vec<NodeId>,
    /// Who was declared dead and stands on the ring still, before or after the change in progress.
    pub dead: Vec<NodeId>,
    /// Partitions of which W or more primaries were declared dead: writes that were acknowledged by those alone
    /// are lost.
    pub uncovered: usize,
    /// Partitions that the node which was asked holds and is being filled with: it does not answer reads of them yet.
    pub filling: usize,
}

/// A partition that a change moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The partition.
    pub partition: u16,
    /// Who holds it afterwards, and not before.
    pub gains: Vec<NodeId>,
    /// Who holds it before, and not afterwards.
    pub loses: Vec<NodeId>,
}

impl Placement {
    /// How far the change in progress is. O(partitions x N).
    pub fn progress(&self) -> Progress {
        let missing = |node: &NodeId| self.not_copied(*node).count();
        let copies = self.gained.values().map(Vec::len).sum();
        Progress {
            version: self.version(),
            phase: self.phase(),
            moving: self.moves().count(),
            copies,
            copied: copies - self.gained.keys().map(missing).sum::<usize>(),
            unacknowledged: self.unacknowledged().collect(),
            copying: self.gained.keys().filter(|node| missing(node) > 0).copied().collect(),
            dead: self.layout.state.participants().filter(|node| self.layout.is_fenced(*node)).collect(),
            uncovered: self.uncovered(),
            filling: 0,
        }
    }

    /// What the change in progress moves, by partition, ascending. O(partitions x N).
    pub fn moves(&self) -> impl Iterator<Item = Move> {
        let rings = self.old.as_ref().zip(self.new.as_ref()).map(|(old, new)| (&old.ring, &new.ring));
        rings.into_iter().flat_map(|(old, new)| {
            (0..old.partitions()).filter_map(move |partition| {
                let gains: Vec<NodeId> =
                    new.primaries(partition).filter(|node| !old.is_primary(*node, partition)).collect();
                let loses: Vec<NodeId> =
                    old.primaries(partition).filter(|node| !new.is_primary(*node, partition)).collect();
                (!gains.is_empty() || !loses.is_empty()).then_some(Move { partition, gains, loses })
            })
        })
    }

    /// Whether the node may drop what it holds of the partition: it is neither a primary before nor after the change in
    /// progress, and no participant can be at a version in which it was. Hints that it keeps for others are another
    /// matter. O(nodes).
    pub fn may_drop(&self, node: NodeId, partition: u16) -> bool {
        let known = self.version() > 0;
        known && !self.holds(node, partition) && (self.phase() == Phase::Reading || self.is_settled())
    }

    fn uncovered(&self) -> usize {
        let partitions = 0..self.layout.shape().partitions;
        if self.layout.fenced.is_empty() {
            return 0;
        }
        partitions
            .filter(|partition| {
                let (living, needed) = self.sources(*partition);
                living.len() < needed
            })
            .count()
    }
}
