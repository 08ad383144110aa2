//! From whom a replica that lost what it held is filled again.

use alloc::vec::Vec;

use super::Placement;
use crate::node::NodeId;

/// From whom a node takes over what it may have held of a partition and does not hold any more.
///
/// A write that was acknowledged at the write quorum W reached W of N primaries. Of those at most W - 1 may have lost
/// it, or it is gone; say that L of the N have lost what they held, this node among them. Then the write is on at least
/// W - L of the N - L others, and whoever takes over everything from N - W + 1 of these meets it: N - W + 1 and W - L
/// are more than N - L together. The number does not depend on L, and there are so many as long as L is less than W.
/// It is the number from which a new owner copies.
///
/// Afterwards the node holds all that was acknowledged, so that it is a replica like any other, and reads and writes of
/// which R + W > N overlap again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refill {
    /// The primaries that reads ask, without the node itself and without those that were declared dead.
    pub sources: Vec<NodeId>,
    /// Of how many of them everything is to be taken over, provided that they hold what they acknowledged: N - W + 1.
    /// Where there are fewer sources, all of them hold all that is left.
    pub needed: usize,
    /// How many primaries of the partition that were founded together hold nothing before that is taken for the
    /// beginning of the cluster: W, and at least 2 where there are as many. If it were the loss of so many,
    /// acknowledged writes were lost with them.
    pub founders: usize,
}

impl Placement {
    /// From whom this node takes over what it may have held of a partition. O(N).
    pub fn refill(&self, partition: u16) -> Refill {
        let primaries = self.read_set(partition);
        let n = primaries.len();
        let quorum = usize::from(self.layout.shape().write_quorum).min(n);
        let living = primaries.filter(|node| *node != self.me && !self.layout.is_fenced(*node));
        Refill { sources: living.collect(), needed: n - quorum + 1, founders: quorum.max(2).min(n) }
    }
}
