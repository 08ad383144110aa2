//! Why writes are not known to be committed.

use crdt_sync::NodeId;
use crdt_sync::single_leader::{CommitReply, LeadReply};
use replication_log::ship::commit::{AdmitError, GaveUp};
use replication_log::{Epoch, Lsn};
use thiserror::Error;

use crate::error::NodeError;

/// Why writes in a cluster with one leader are not known to be committed, and what is known of them.
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
    /// The node is about to take over another log, or to lead. Ask again.
    #[error("the node is about to take over another log, or to lead; ask again")]
    Busy,
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

/// What an answer that is no success says.
pub(crate) fn not_committed(reply: CommitReply) -> NodeError {
    NodeError::Commit(match reply {
        CommitReply::NotReplicated { written, epoch, durable_local, reason } => {
            CommitError::NotReplicated { epoch, lsn: written.lsn, durable_local, reason }
        }
        CommitReply::NotAdmitted(error) => CommitError::NotAdmitted(error),
        CommitReply::TooMuchUncommitted { bytes, limit } => CommitError::TooMuchUncommitted { bytes, limit },
        CommitReply::NotLeader { leader, epoch } => CommitError::NotLeader { leader, epoch },
        _ => return NodeError::AnotherAnswer,
    })
}

/// Why a node does not lead.
pub(crate) fn not_leading(reply: LeadReply) -> NodeError {
    NodeError::Commit(match reply {
        LeadReply::Fenced { newest } => CommitError::Fenced { newest },
        LeadReply::Busy => CommitError::Busy,
        _ => return NodeError::AnotherAnswer,
    })
}
