//! What clients and operators of a cluster with one leader are told.

use alloc::vec::Vec;

use replication_log::ship::Stage;
use replication_log::ship::commit::{AdmitError, Follower, GaveUp, Mode};
use replication_log::ship::lag::Lag;
use replication_log::{Epoch, Lsn};

use crate::node::NodeId;
use crate::replica::Written;
use crate::time::Instant;
use crate::wire::LogEnd;

/// What became of writes in a cluster with one leader.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitReply {
    /// They are committed, and readers of this node see them.
    Committed {
        /// What they became.
        written: Written,
        /// The epoch under which they are in the log.
        epoch: Epoch,
        /// Whether only the leader's disk vouches for them, because followers were missing for too long.
        degraded: bool,
    },
    /// They are in the log and nobody waits any longer for followers to have them. They may yet be committed, or be
    /// lost when another node leads: to write them anew may write them twice. [`Request::Fate`](crate::Request::Fate)
    /// tells later.
    NotReplicated {
        /// What they became.
        written: Written,
        /// The epoch under which they are in the log.
        epoch: Epoch,
        /// Whether they are on the leader's disk.
        durable_local: bool,
        /// Why nobody waits.
        reason: GaveUp,
    },
    /// They were refused before anything was written.
    NotAdmitted(AdmitError),
    /// So much waits to be committed that no more is taken; nothing was written.
    TooMuchUncommitted {
        /// Bytes of records that wait.
        bytes: usize,
        /// How many may.
        limit: usize,
    },
    /// This node is about to hand over to another one; nothing was written.
    HandingOver {
        /// Who leads next.
        to: NodeId,
    },
    /// This node does not lead; nothing was written.
    NotLeader {
        /// Who does, as far as this node knows.
        leader: Option<NodeId>,
        /// Under which epoch.
        epoch: Epoch,
    },
}

/// Whether a node leads that was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeadReply {
    /// It does, and that is durable.
    Leads {
        /// Under which epoch.
        epoch: Epoch,
        /// Its first record. It leads with everything before that is in its log.
        first: Lsn,
    },
    /// It does not: an epoch that is at least as new is promised, or has a leader.
    Fenced {
        /// The newest one known.
        newest: Epoch,
    },
    /// It is about to take over another log, or to lead. Ask again.
    Busy,
    /// It does not: in a cluster with [failover](crate::single_leader::SingleLeaderConfig::failover) the nodes see to
    /// that themselves.
    Supervised,
    /// It does not: it [does not count](crate::single_leader::SingleLeaderConfig::followers), and where the others have
    /// to promise an epoch only those who do may lead.
    NoCandidate,
    /// It does not: another node that promised the epoch has more, and should be asked to lead by a later grant.
    Lacks {
        /// Which node.
        node: NodeId,
        /// Where its log ends.
        end: LogEnd,
    },
    /// It did, and another node has everything it had. Nobody leads until that one is granted to.
    HandedOver {
        /// Who.
        to: NodeId,
        /// Where the log ends.
        end: LogEnd,
    },
    /// It does still: the other one did not get everything in time.
    StillLeads {
        /// Who.
        lacks: NodeId,
    },
    /// It does not: too few others have promised the epoch in time. What was acknowledged may be with the rest.
    TooFewPromised {
        /// How many have, this node among them.
        promised: usize,
        /// How many decide.
        of: usize,
    },
}

/// Where a node of a cluster with one leader stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeId>,
    /// Under which epoch.
    pub epoch: Epoch,
    /// Which records of this node's log were written under which epoch: the first one of each, ascending, of the newest
    /// 64.
    pub reigns: Vec<(Epoch, Lsn)>,
    /// The last record that readers of this node see.
    pub applied: Lsn,
    /// The last record that this node knows to be committed.
    pub committed: Lsn,
    /// Where this node leads: until when, if something ends that.
    pub leads_until: Option<Instant>,
    /// Whose log this node is sent, if it is now.
    pub follows: Option<NodeId>,
    /// The newest epoch that this node has promised: it takes nothing of an earlier one.
    pub promised: Epoch,
    /// Where this node's log ends, durable or not.
    pub end: LogEnd,
    /// The last record that readers of each connected peer see, as it said last, ascending by peer.
    pub readers_at: Vec<(NodeId, Lsn)>,
    /// Where this node leads: whether its policy holds.
    pub mode: Option<Mode>,
    /// Where this node leads: how far each follower is, ascending.
    pub followers: Vec<(NodeId, FollowerStatus)>,
}

/// How far a follower is, as its leader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerStatus {
    /// Whether it counts, how it is connected, and what it has acknowledged.
    pub follower: Follower,
    /// How far it is behind at each [`Stage`], from received to applied; nothing is known of one that was never there.
    pub lag: Option<[Lag; 4]>,
}

impl FollowerStatus {
    /// How far it is behind at a stage.
    pub fn lag_at(&self, stage: Stage) -> Option<Lag> {
        self.lag.map(|lag| lag[stage as usize])
    }
}
