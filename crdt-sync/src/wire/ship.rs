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
    /// Whoever is to lead asks that nothing of an earlier epoch be taken any more.
    Promise(PromiseAsked),
    /// What became of that.
    Promised(PromiseAnswer),
    /// A leader leads no longer, in favour of another node.
    HandedOver(HandedOver),
}

/// A node that is to lead asks the others to promise its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromiseAsked {
    /// The epoch.
    pub epoch: u64,
    /// How often the sender has asked.
    pub round: u64,
}

/// Whether it was promised, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PromiseAnswer {
    /// It is.
    Given {
        /// The epoch that was asked for.
        epoch: u64,
        /// The last time it was asked for that was heard.
        round: u64,
        /// Where the log ends of which nothing is added any more by anybody of before.
        end: LogEnd,
    },
    /// It is not: an epoch that is at least as new is promised, or has a leader.
    Refused {
        /// The epoch that was asked for.
        epoch: u64,
        /// The newest one.
        newest: u64,
    },
}

/// A leader leads no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOver {
    /// Under which epoch it led.
    pub epoch: u64,
    /// Who has everything it had, and may be promised an epoch at once.
    pub to: NodeId,
}

/// Where a log ends. Of two copies of one log the later end has everything of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogEnd {
    /// The epoch under which its last record was written.
    pub epoch: u64,
    /// The last record.
    pub lsn: u64,
}

/// Whom a node follows, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipStanding {
    /// The newest epoch that the sender knows to have a leader, and who that is.
    pub leader: Option<(u64, NodeId)>,
    /// The last record that readers of the sender see.
    pub applied: u64,
    /// Where its log ends, durable or not.
    pub end: LogEnd,
    /// The newest epoch that it has promised: it takes nothing of an earlier one.
    pub promised: u64,
    /// How often the sender said so as the leader of its epoch; one that does not lead, the last it has heard from its
    /// leader.
    pub round: u64,
}
