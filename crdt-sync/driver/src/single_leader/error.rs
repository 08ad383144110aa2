//! Why writes are not known to be committed.

use crdt_sync::NodeId;
use crdt_sync::single_leader::{CommitReply, LeadReply};
use replication_log::ship::commit::{AdmitError, GaveUp};
use replication_log::{Epoch, Lsn};
use thiserror::Error;

use crate::error::NodeError;

/// Why writes in a cluster with one leader are not known to be committed, and what is known of them; or why a node does
/// not lead that was to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// They are in the log, and nobody waits any longer for followers to have them. They may yet be committed, or be
    /// lost when another node leads: to write them anew may write them twice.
    /// [`Commits::fate`](crate::Commits::fate) tells later.
    #[error(
        "record {lsn} of epoch {epoch} is not known to be with enough followers{}",
        if *.durable_local { "; it is on the leader's disk" } else { "" }
    )]
    NotReplicated {
        /// The epoch under which they are in the log.
        epoch: Epoch,
        /// The last of their records.
        lsn: Lsn,
        /// Whether they are on the leader's disk.
        durable_local: bool,
        /// Why nobody waits.
        reason: GaveUp,
    },
    /// They were refused before anything was written.
    #[error(transparent)]
    NotAdmitted(AdmitError),
    /// So much waits to be committed that no more is taken; nothing was written.
    #[error("{bytes} bytes wait to be committed, {limit} may; nothing was written")]
    TooMuchUncommitted {
        /// Bytes of records that wait.
        bytes: usize,
        /// How many may.
        limit: usize,
    },
    /// The node does not lead; nothing was written.
    #[error("{}; nothing was written", told(*.leader))]
    NotLeader {
        /// Who does, as far as the node knows.
        leader: Option<NodeId>,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// The node does not lead, although it was asked to: an epoch that is at least as new is promised, or has a leader.
    #[error("the node does not lead: epoch {newest} is known")]
    Fenced {
        /// The newest epoch known.
        newest: Epoch,
    },
    /// The node is about to take over another log, to lead, or to hand over. Ask again.
    #[error("the node is about to take over another log, to lead, or to hand over; ask again")]
    Busy,
    /// The node is about to hand over to another one; nothing was written.
    #[error("{to} leads next; nothing was written")]
    HandingOver {
        /// Who leads next.
        to: NodeId,
    },
    /// The nodes of this cluster see to it themselves who leads: [`Node::failover`](crate::Node::failover) is for their
    /// operators.
    #[error("the nodes of this cluster see to it themselves who leads")]
    Supervised,
    /// The node does not lead: by its configuration it does not count, and only nodes that do may lead.
    #[error("the node does not count, and so never leads")]
    NoCandidate,
    /// The node does not lead: another one that promised the epoch has more, and should be made to lead by a later
    /// grant.
    #[error("the node does not lead: {node} has record {lsn} of epoch {epoch}")]
    Lacks {
        /// Which node has more.
        node: NodeId,
        /// The epoch of its last record.
        epoch: Epoch,
        /// Its last record.
        lsn: Lsn,
    },
    /// The node leads still: the other one did not get everything in time.
    #[error("the node leads still: {lacks} did not get everything in time")]
    StillLeads {
        /// Who lacks something.
        lacks: NodeId,
    },
    /// The node does not lead: too few others have promised the epoch in time.
    #[error("the node does not lead: {promised} of {of} nodes have promised the epoch in time")]
    TooFewPromised {
        /// How many have, the node among them.
        promised: usize,
        /// How many decide.
        of: usize,
    },
    /// The lead was not handed over to the node that was named, as far as is known by now.
    #[error("the lead was not handed over: {}", told_now(*.leader))]
    NotSwitched {
        /// Who leads now, as far as the node that was asked knows.
        leader: Option<NodeId>,
    },
}

impl CommitError {
    /// Whether the writes are certainly nowhere. Otherwise they may yet be committed.
    pub fn is_nowhere(&self) -> bool {
        !matches!(self, Self::NotReplicated { .. })
    }
}

fn told(leader: Option<NodeId>) -> String {
    match leader {
        Some(leader) => format!("this node does not lead, {leader} does"),
        None => "this node does not lead, and has not heard who does".to_owned(),
    }
}

fn told_now(leader: Option<NodeId>) -> String {
    match leader {
        Some(leader) => format!("{leader} leads now"),
        None => "nobody is known to lead now".to_owned(),
    }
}

/// What an answer that is no success says.
pub(crate) fn not_committed(reply: CommitReply) -> NodeError {
    NodeError::Commit(match reply {
        CommitReply::NotReplicated { written, epoch, durable_local, reason } => {
            CommitError::NotReplicated { epoch, lsn: written.lsn, durable_local, reason }
        }
        CommitReply::NotAdmitted(error) => CommitError::NotAdmitted(error),
        CommitReply::TooMuchUncommitted { bytes, limit } => CommitError::TooMuchUncommitted { bytes, limit },
        CommitReply::HandingOver { to } => CommitError::HandingOver { to },
        CommitReply::NotLeader { leader, epoch } => CommitError::NotLeader { leader, epoch },
        _ => return NodeError::AnotherAnswer,
    })
}

/// Why a node does not lead.
pub(crate) fn not_leading(reply: LeadReply) -> NodeError {
    NodeError::Commit(match reply {
        LeadReply::Fenced { newest } => CommitError::Fenced { newest },
        LeadReply::Busy => CommitError::Busy,
        LeadReply::Supervised => CommitError::Supervised,
        LeadReply::NoCandidate => CommitError::NoCandidate,
        LeadReply::Lacks { node, end } => {
            CommitError::Lacks { node, epoch: Epoch::new(end.epoch), lsn: Lsn::new(end.lsn) }
        }
        LeadReply::StillLeads { lacks } => CommitError::StillLeads { lacks },
        LeadReply::TooFewPromised { promised, of } => CommitError::TooFewPromised { promised, of },
        _ => return NodeError::AnotherAnswer,
    })
}
