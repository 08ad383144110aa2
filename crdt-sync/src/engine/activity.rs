//! What a node is in the middle of, for those who watch it or want to disturb it.

use super::links::Links;
use super::{Engine, LinkId};
use crate::node::NodeId;

/// What a node, or one connection of it, is in the middle of. All zero when it rests.
///
/// ```
/// use crdt_sync::time::{Instant, Now, WallTime};
/// use crdt_sync::{ClusterKey, Config, Engine, NodeId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::new(NodeId::from_u128(1), ClusterKey::from_bytes([7; 16]), [42; 32]);
/// let now = Now { instant: Instant::from_micros(0), wall: WallTime::from_millis(1_700_000_000_000) };
/// let engine = Engine::open(config, Vec::<(_, Vec<u8>)>::new(), now)?;
/// let activity = engine.activity();
/// assert_eq!((activity.unsynced, activity.greeting), (2, 0)); // a new node has its founding to write
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// Records that are appended and not durable.
    pub unsynced: u64,
    /// Connections whose other side has not said who it is.
    pub greeting: usize,
    /// Peers and partitions to which entries were sent that are not acknowledged.
    pub shipping: usize,
    /// Merkle sessions that were asked for and to which the peer has not agreed.
    pub opening: usize,
    /// Merkle sessions in which trees are compared.
    pub comparing: usize,
    /// Merkle sessions in which states are on their way.
    pub exchanging: usize,
    /// Merkle sessions in which this side sent all its states.
    pub concluding: usize,
    /// Quorum writes that nobody has carried out yet.
    pub minting: usize,
    /// Quorum writes that were carried out, and of which not everybody has said that it has them.
    pub acknowledging: usize,
    /// Quorum reads that are not answered.
    pub reading: usize,
    /// Quorum reads that repair those whom they found behind.
    pub repairing: usize,
    /// Nodes that were sent what they had missed, and have not confirmed it.
    pub handing_off: usize,
    /// Conversations in which a follower has asked for the log and does not get it yet.
    pub asking: usize,
    /// Conversations in which a follower gets what it missed.
    pub catching_up: usize,
    /// Conversations in which a follower that gets each record as it comes has not got the last ones.
    pub streaming: usize,
    /// Whether this node leads, and has records that are not committed.
    pub committing: bool,
    /// Whether this node leads, and commits without the followers that it should wait for.
    pub degraded: bool,
    /// Partitions in which deletions wait until all members are known to have them. Not counted for a single
    /// connection.
    pub forgetting: usize,
    /// Hints that are kept for other nodes. Not counted for a single connection.
    pub hints: usize,
}

impl Engine {
    /// What this node is in the middle of. O(connections · partitions).
    pub fn activity(&self) -> Activity {
        let mut activity = Activity {
            greeting: self.links.strangers(),
            hints: self.replica.hints_size().0,
            ..self.disk_activity()
        };
        self.topology.add_activity(None, &mut activity);
        activity
    }

    /// What this node is in the middle of with the peer at the other end of a connection. O(partitions).
    pub fn activity_on(&self, link: LinkId) -> Activity {
        let mut activity = self.disk_activity();
        match self.links.peer_of(link) {
            None => activity.greeting = 1,
            peer @ Some(_) => self.topology.add_activity(peer, &mut activity),
        }
        activity
    }

    fn disk_activity(&self) -> Activity {
        let appended = self.replica.journal.last().get();
        Activity { unsynced: appended.saturating_sub(self.outbox.durable().get()), ..Activity::default() }
    }
}

impl Links {
    /// Connections on which nobody has greeted.
    fn strangers(&self) -> usize {
        self.links.values().filter(|link| link.peer.is_none()).count()
    }

    fn peer_of(&self, link: LinkId) -> Option<NodeId> {
        self.links.get(&link)?.peer
    }
}
