//! Where a node stands, for people and for tests.

use alloc::vec::Vec;

use crdt_core::ReplicaId;
use replication_log::Lsn;

use crate::collection::CollectionId;
use crate::entry::Position;
use crate::membership::{HoldsBack, Membership};
use crate::merkle::Root;
use crate::node::NodeId;
use crate::replica::Partition;
use crate::single_leader::Leadership;

/// Where a node stands, for people and for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The node.
    pub node: NodeId,
    /// The identity it writes under now.
    pub replica: ReplicaId,
    /// The last durable record of its log.
    pub durable: Lsn,
    /// The last record handed to its log.
    pub appended: Lsn,
    /// Its partitions.
    pub partitions: Vec<PartitionStatus>,
    /// The peers it is connected to.
    pub peers: Vec<PeerStatus>,
    /// Merkle sessions that are open.
    pub sessions: usize,
    /// What it knows of the members of its cluster.
    pub members: Membership,
    /// Whether it was retired: it takes no writes and syncs with nobody.
    pub evicted: bool,
    /// Per partition what every Active member is known to have applied: of each origin the last sequence, ascending.
    pub stable: Vec<Vec<(ReplicaId, u64)>>,
    /// The members that this waits for: which of them to retire, if any, is the operator's to decide.
    pub held_back_by: Vec<HoldsBack>,
    /// Per partition what states showed beyond its heads and is still to come, of each origin the last sequence,
    /// ascending: deletions made since it was shown are not forgotten before. What was lost with a disk never comes; it
    /// is waited for until the node is retired that wrote it.
    pub awaited: Vec<Vec<(ReplicaId, u64)>>,
    /// In a cluster with one leader: who that is, and how far everybody is.
    pub leadership: Option<Leadership>,
}

/// A connected peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The peer.
    pub node: NodeId,
    /// Whether both sides have applied the same entries and compared what they hold, since either last changed as
    /// far as this node knows. Where one of them is a partial replica: whether it has all entries that the whole node
    /// has, and the whole node all that it wrote. What it holds of third nodes, which the whole one may lack, does not
    /// count.
    pub in_sync: bool,
}

/// Where a partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The digest and number of all keys.
    pub root: Root,
    /// How many keys are held.
    pub keys: usize,
    /// The last position of every origin, ascending.
    pub heads: Vec<(ReplicaId, Position)>,
    /// How many documents of each collection are in conflict, ascending by collection; those without any are left
    /// out.
    pub conflicts: Vec<(CollectionId, u64)>,
}

impl PartitionStatus {
    pub(super) fn of(partition: &Partition) -> Self {
        Self {
            root: partition.cells.root(),
            keys: partition.cells.len(),
            heads: partition.heads(),
            conflicts: partition.cells.conflicts.counts(),
        }
    }
}
