//! A node's view: the layout it knows, and the rings that follow from it.

mod learn;
mod progress;
mod protocol;
mod refill;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

pub use learn::{Admission, LearnError, Learned, Lost};
pub use progress::{Move, Progress};
pub use protocol::{CopyError, CopyPermit};
pub use refill::Refill;

use super::layout::{Layout, Phase};
use super::member::Members;
use super::ring::{Nodes, Ring};
use crate::node::NodeId;

/// Where everything is, as one node knows it: the [`Layout`] and the rings that follow from it.
///
/// Methods change it in memory; the caller writes [`layout`](Self::layout) down, and nothing that follows from it (a
/// request by its version, the layout itself) leaves the node before it is durable. After a restart it is built from
/// what was written down.
///
/// Memory: the rings of the layout, see [`Ring`]; 2 bytes for each copy that is moving. Building it costs what building
/// the rings does; the phases of a change build none anew.
#[derive(Clone, Debug)]
pub struct Placement {
    me: NodeId,
    layout: Layout,
    /// The rings of the layout, with the members they were built from. None while nothing is known.
    old: Option<Known>,
    new: Option<Known>,
    /// Which partitions a node has to copy for the change in progress, ascending.
    gained: BTreeMap<NodeId, Vec<u16>>,
    /// How often the state of the layout changed here.
    generation: u64,
}

#[derive(Clone, Debug)]
struct Known {
    members: Members,
    ring: Ring,
}

/// Where a write must reach its quorum: in each set that is there.
#[derive(Clone, Debug)]
pub struct WriteSets<'a> {
    /// The primaries that reads ask, too.
    pub first: Nodes<'a>,
    /// While the partition moves, its other primaries: those of the new ring first, those of the old one later.
    pub second: Option<Nodes<'a>>,
}

impl Placement {
    /// The view of the node `me`, which knows this layout; [`Layout::default`] if it is to join.
    pub fn new(me: NodeId, layout: Layout) -> Self {
        let mut view = Self { me, layout, old: None, new: None, gained: BTreeMap::new(), generation: 0 };
        view.rebuild();
        view
    }

    /// Whose view it is.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// What is written down, and told to others.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The version that requests of this node carry.
    pub fn version(&self) -> u64 {
        self.layout.version()
    }

    /// How far a change is.
    pub fn phase(&self) -> Phase {
        self.layout.phase()
    }

    /// A number that changes with every other version, and with every other proposal of the same version. It is
    /// counted here and since the start: operations remember the one they began in, see
    /// [`acknowledge`](Self::acknowledge).
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The ring that reads ask; none while nothing is known.
    pub fn ring(&self) -> Option<&Ring> {
        let known = if self.phase() == Phase::Reading { &self.new } else { &self.old };
        known.as_ref().map(|known| &known.ring)
    }

    /// The other ring, while a change is in progress.
    fn other_ring(&self) -> Option<&Ring> {
        let known = if self.phase() == Phase::Reading { &self.old } else { &self.new };
        known.as_ref().map(|known| &known.ring)
    }

    /// Whom reads ask. Empty while nothing is known. O(1).
    pub fn read_set(&self, partition: u16) -> Nodes<'_> {
        self.ring().map(|ring| ring.primaries(partition)).unwrap_or_default()
    }

    /// Where writes must reach their quorum. A node that is in both sets counts in both. O(N).
    pub fn write_sets(&self, partition: u16) -> WriteSets<'_> {
        let first = self.read_set(partition);
        let second = self.other_ring().map(|ring| ring.primaries(partition));
        let differs = |second: &Nodes<'_>| {
            second.len() != first.len()
                || second.clone().any(|node| !first.clone().any(|other| other == node))
        };
        WriteSets { second: second.filter(differs), first }
    }

    /// Whether the node holds the partition, be it before or after the change in progress. O(N).
    pub fn holds(&self, node: NodeId, partition: u16) -> bool {
        let is_primary = |ring: &Ring| ring.is_primary(node, partition);
        self.ring().is_some_and(is_primary) || self.other_ring().is_some_and(is_primary)
    }

    /// All nodes that are not known to be dead, in the order in which to try them: those that reads ask, those that the
    /// change adds, and those that stand in. O(nodes).
    pub fn preference_list(&self, partition: u16) -> impl Iterator<Item = NodeId> {
        let sets = self.write_sets(partition);
        let second: Vec<NodeId> = sets.second.into_iter().flatten().collect();
        let mut list: Vec<NodeId> = Vec::new();
        for node in sets.first.chain(second).chain(self.others(partition)) {
            if !list.contains(&node) && !self.layout.is_fenced(node) {
                list.push(node);
            }
        }
        list.into_iter()
    }

    /// Who stands in for primaries that are down, in this order: nodes that hold the partition neither before nor after
    /// the change in progress, and are not known to be dead. O(nodes x N).
    pub fn fallbacks(&self, partition: u16) -> impl Iterator<Item = NodeId> {
        self.preference_list(partition).filter(move |node| !self.holds(*node, partition))
    }

    fn others(&self, partition: u16) -> impl Iterator<Item = NodeId> {
        [self.ring(), self.other_ring()].into_iter().flatten().flat_map(move |ring| ring.fallbacks(partition))
    }

    /// Brings the rings up to the layout. A ring is built only for members that none was built for.
    fn rebuild(&mut self) {
        let state = &self.layout.state;
        let mut known: Vec<Known> = self.old.take().into_iter().chain(self.new.take()).collect();
        let mut of = |members: &Members| match known.iter().position(|known| known.members == *members) {
            Some(at) => known.swap_remove(at),
            None => Known { members: members.clone(), ring: Ring::of(members, state.shape) },
        };
        self.old = (state.version > 0).then(|| of(&state.members));
        self.new = state.transition.as_ref().map(|change| of(&change.next));
        self.gained = self.gains();
    }

    /// Who has to copy which partitions, ascending: who gains one; and everybody where a partition has fewer primaries
    /// afterwards. Fewer answer a read then than before, and need not meet a write that others had.
    fn gains(&self) -> BTreeMap<NodeId, Vec<u16>> {
        let mut gained: BTreeMap<NodeId, Vec<u16>> = BTreeMap::new();
        let (Some(old), Some(new)) = (&self.old, &self.new) else { return gained };
        for partition in 0..old.ring.partitions() {
            let fewer = new.ring.primaries(partition).len() < old.ring.primaries(partition).len();
            let copies = |node: &NodeId| fewer || !old.ring.is_primary(*node, partition);
            for node in new.ring.primaries(partition).filter(copies) {
                gained.entry(node).or_default().push(partition);
            }
        }
        gained
    }
}
