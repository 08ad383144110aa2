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
    /// Whoever leads asks that nobody else be promised an epoch for another lease.
    Renew(RenewAsked),
    /// So it is.
    Renewed {
        /// The epoch.
        epoch: u64,
        /// In which round it was asked.
        round: u64,
    },
    /// Whoever led does not any more, and nobody need wait for the end of its lease.
    Release {
        /// The epoch.
        epoch: u64,
        /// Who may be promised one meanwhile, if somebody is named.
        to: Option<NodeId>,
    },
    /// Where the sender stands, for those who may take over.
    Beat(Beat),
}

/// A node that is to lead asks the others to promise its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromiseAsked {
    /// The epoch.
    pub epoch: u64,
    /// How long nobody else is to be promised a later one, in microseconds; 0 where nobody waits.
    pub lease: u64,
}

/// Whether it was promised, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PromiseAnswer {
    /// It is.
    Given {
        /// The epoch that was asked for.
        epoch: u64,
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

/// A leader asks for another lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewAsked {
    /// Its epoch.
    pub epoch: u64,
    /// Which answer belongs to it.
    pub round: u64,
    /// How long the lease lasts, in microseconds.
    pub lease: u64,
}

/// Where a node stands that may take over; [`Standing`](crate::failover::supervisor::Standing) on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Where its durable log ends.
    pub end: LogEnd,
    /// The newest epoch it promised.
    pub promised: u64,
    /// Under which epoch it leads.
    pub leads: Option<u64>,
    /// Whom it hears as the leader.
    pub follows: Option<NodeId>,
    /// To whom it has handed the lead.
    pub hands_over: Option<NodeId>,
    /// Whether it may lead.
    pub promotable: bool,
    /// The higher, the sooner.
    pub priority: u32,
    /// The last failover it knows of: the number of its grant, and how many microseconds ago that was.
    pub failover: Option<(u64, u64)>,
    /// The number of the grant of the last failover that somebody has looked at.
    pub acknowledged: Option<u64>,
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
}
