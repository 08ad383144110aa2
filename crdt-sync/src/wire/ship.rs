//! What nodes of a cluster with one leader say to each other.

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::node::NodeId;

/// A word among nodes of a cluster with one leader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ship {
    /// Whom the sender follows, and how far it is. Said when nodes meet, when it changes, and as a sign of life.
    Standing(ShipStanding),
    /// A frame of a follower to whom it follows; see `replication_log::ship::wire`.
    ToLeader(Bytes),
    /// A frame of somebody who is followed.
    ToFollower(Bytes),
}

/// Whom a node follows, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipStanding {
    /// The newest epoch that the sender knows to have a leader, and who that is.
    pub leader: Option<(u64, NodeId)>,
    /// The last record that readers of the sender see.
    pub applied: u64,
}
