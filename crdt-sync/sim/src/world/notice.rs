//! What happened in a world that its caller may want to know.

use crdt_core::ReplicaId;
use crdt_sync::{Event, PartitionStatus, Position, Reply, RequestId};

/// What the caller may want to know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// A request was answered.
    Replied {
        /// By which node.
        node: usize,
        /// Which request.
        id: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// An engine said something.
    Said {
        /// Which node.
        node: usize,
        /// What.
        event: Event,
    },
    /// A node went down; requests it has not answered will not be answered.
    Down {
        /// Which node.
        node: usize,
    },
    /// A node came up again, with what it had made durable.
    Up {
        /// Which node.
        node: usize,
        /// What it holds. The node may be down again, and its disk gone, by the time this is read.
        held: Vec<PartitionStatus>,
    },
    /// The disk of a node rotted, and the operator emptied the node: it comes up as a new one and catches up from the
    /// others. Comes before its next [`Up`](Self::Up).
    Rotted {
        /// Which node.
        node: usize,
        /// What may be gone with it.
        lost: Vec<Loss>,
    },
    /// The operator put an older copy of a node's disk in the place of its disk, which comes before its next
    /// [`Up`](Self::Up); or took a clone away.
    Restored {
        /// Which node.
        node: usize,
        /// What may be gone by this. The rest of what the node forgot comes back to it from the others.
        lost: Vec<Loss>,
    },
    /// A node of a leaderless world that had lost its disk, or a part of it, has back what the others hold.
    Mended {
        /// Which node.
        node: usize,
    },
}

/// Entries that may be gone although they were acknowledged or shown: no other node had made them durable when the
/// only disk they were on was lost or replaced.
///
/// They need not be gone: another node may have had them in memory. They are gone for good when the nodes have agreed
/// and know fewer entries of the origin, or when the origin gives their numbers to other entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// The partition.
    pub partition: usize,
    /// Whose entries.
    pub origin: ReplicaId,
    /// The last of them.
    pub head: Position,
    /// The entries up to this number are somewhere else, too, and durable there. Those after it may be gone.
    pub lost_above: u64,
}
