//! The ring: which nodes hold which partition, and who stands in for them.

mod assign;
mod share;
mod tokens;

use alloc::vec::Vec;
use core::slice;

use super::member::{Member, Members, RingError, Shape};
use crate::node::NodeId;

/// Consistent hashing with bounded loads: a pure function of the members and the shape, the same on every platform and
/// in every release.
///
/// Each member has 128 tokens on a circle of 2^64 positions for each unit of its weight. A partition has a position,
/// too, and the nodes whose tokens follow it, each once, are its ring order. Its primaries are the first N in that
/// order that stand in distinct racks (as distinct as N and the racks allow) and do not yet carry an eighth more than
/// their share; all others follow as fallbacks, in ring order.
///
/// **Balance and movement**, as `ring_balance` in the tests measures them, N = 3, members of equal weight spread evenly
/// over racks, 50 partitions for each node (64 at least). *Movement* is how many copies somebody has to make when one
/// node joins or leaves, against the minimum: the even share of one node in the larger ring.
///
/// | nodes, racks | max / mean | movement, join | movement, leave |
/// |---|---|---|---|
/// | 3, 3 | 1.000 | 0.71 | 0 |
/// | 5, 5 | 1.046 | 0.82 | 0.99 |
/// | 10, 3 | 1.126 | 0.94 | 1.05 |
/// | 10, 10 | 1.126 | 0.96 | 1.13 |
/// | 20, 4 | 1.126 | 1.09 | 1.04 |
/// | 30, 3 | 1.126 | 1.11 | 1.17 |
/// | 30, 30 | 1.126 | 0.89 | 1.03 |
/// | 64, 8 | 1.126 | 1.13 | 0.98 |
/// | 100, 5 | 1.126 | 1.12 | 1.02 |
/// | 100, 100 | 1.126 | 1.16 | 0.94 |
///
/// Below 1 the node that came or went carries less than its even share. With weights or racks of unequal size the same
/// bound holds of what weight and racks allow.
///
/// **Costs.** Building O(partitions x (walk + N x nodes)), where the walk meets nodes x ln(nodes) tokens or so;
/// looking up is O(1). Memory: one byte for each pair of partition and node, at most 16 MiB (65,535 partitions, 256
/// nodes); 10 KiB for 1,024 partitions and 10 nodes. The tokens are dropped once the lists stand.
///
/// Sources: Karger et al., "Consistent Hashing and Random Trees" (1997); "Dynamo: Amazon's Highly Available Key-value
/// Store" (2007), §4.2 and §6.2, for fixed partitions and preference lists; Mirrokni, Thorup, Zadimoghaddam,
/// "Consistent Hashing with Bounded Loads" (2018).
///
/// ```
/// use crdt_sync::NodeId;
/// use crdt_sync::placement::{Member, Ring, Shape};
///
/// let members: Vec<Member> =
///     (1..=4).map(|n| Member::new(NodeId::from_u128(n), if n < 3 { "left" } else { "right" })).collect();
/// let ring = Ring::new(&members, Shape { partitions: 256, replicas: 2, write_quorum: 2 })?;
/// for partition in 0..256 {
///     let racks: Vec<bool> = ring.primaries(partition).map(|node| node < NodeId::from_u128(3)).collect();
///     assert_ne!(racks[0], racks[1]);
///     assert_eq!(ring.preference_list(partition).len(), 4);
/// }
/// # Ok::<(), crdt_sync::placement::RingError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// In ascending order.
    nodes: Vec<NodeId>,
    partitions: u16,
    /// Primaries of each partition: N, or all nodes where there are fewer.
    width: usize,
    /// The preference lists one behind the other, as places in `nodes`.
    lists: Vec<u8>,
}

impl Ring {
    /// The ring of these members.
    pub fn new(members: &[Member], shape: Shape) -> Result<Self, RingError> {
        shape.check()?;
        let members = Members::new(members.to_vec())?;
        if members.is_empty() {
            return Err(RingError::Empty);
        }
        Ok(Self::of(&members, shape))
    }

    /// The ring of members that were checked.
    pub(super) fn of(members: &Members, shape: Shape) -> Self {
        let nodes: Vec<NodeId> = members.nodes().collect();
        let width = usize::from(shape.replicas).min(nodes.len());
        let lists = assign::lists(members, shape.partitions, width);
        Self { nodes, partitions: shape.partitions, width, lists }
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// All members, ascending.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// All nodes, each once: the primaries, then the fallbacks. Of a partition that does not exist: none. O(1).
    pub fn preference_list(&self, partition: u16) -> Nodes<'_> {
        self.part(partition, 0, self.nodes.len())
    }

    /// The nodes that hold the partition. O(1).
    pub fn primaries(&self, partition: u16) -> Nodes<'_> {
        self.part(partition, 0, self.width)
    }

    /// Who stands in for primaries that are down, in this order. O(1).
    pub fn fallbacks(&self, partition: u16) -> Nodes<'_> {
        self.part(partition, self.width, self.nodes.len())
    }

    /// Whether the node holds the partition. O(N).
    pub fn is_primary(&self, node: NodeId, partition: u16) -> bool {
        self.primaries(partition).any(|primary| primary == node)
    }

    /// The partitions that the node holds, ascending. O(partitions x N) for all of them.
    pub fn partitions_of(&self, node: NodeId) -> impl Iterator<Item = u16> {
        (0..self.partitions).filter(move |partition| self.is_primary(node, *partition))
    }

    fn part(&self, partition: u16, from: usize, to: usize) -> Nodes<'_> {
        let start = usize::from(partition) * self.nodes.len();
        let places = self.lists.get(start + from..start + to).unwrap_or_default();
        Nodes { nodes: &self.nodes, places: places.iter() }
    }
}

/// Nodes of a preference list, in its order.
#[derive(Clone, Debug, Default)]
pub struct Nodes<'a> {
    nodes: &'a [NodeId],
    places: slice::Iter<'a, u8>,
}

impl Iterator for Nodes<'_> {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        self.places.next().map(|place| self.nodes[usize::from(*place)])
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl ExactSizeIterator for Nodes<'_> {}
