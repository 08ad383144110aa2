//! Why a read or a write that several nodes take part in did not succeed.

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{OptionsError, Refusal, Report, Unmet};
use crdt_sync::{NodeId, RunError};
use thiserror::Error;

use crate::error::NodeError;

/// Why an operation of a leaderless cluster did not reach its level, and what is known of it all the same.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// Too few nodes answered. A write is *not* taken back: who has it keeps it, and a later read may show it.
    #[error("{0}")]
    Unmet(Unmet<NodeId>),
    /// Too few nodes seem to be alive for the level, and nothing was begun.
    #[error("too few nodes seem to be alive for {}, and nothing was begun", .0.report().level())]
    NotBegun(Unmet<NodeId>),
    /// None of the nodes that might carry out the write seems to be alive; nothing was begun.
    #[error("none of the nodes that might carry out the write seems to be alive")]
    NobodyLive,
    /// The options can never be met; nothing was begun.
    #[error(transparent)]
    Options(OptionsError),
    /// The node that was to carry out the write did not; nobody has it.
    #[error("{by} did not carry out the write: {why}")]
    Refused {
        /// Which node.
        by: NodeId,
        /// Why.
        why: Refusal,
    },
    /// The node that was to carry out the write can no longer be reached: whether it did is not known.
    #[error("{by} was to carry out the write and can no longer be reached; whether it did is not known")]
    Lost {
        /// Which node.
        by: NodeId,
    },
    /// This node is on no ring yet; nothing was begun.
    #[error("this node is on no ring yet")]
    NoRing,
    /// This node is on the ring no more, or not yet; nothing was begun.
    #[error("this node is not on the ring; {} others are, and can be asked", ask.len())]
    NotOnRing {
        /// Who is on it, ascending.
        ask: Vec<NodeId>,
    },
    /// The collection is not declared here.
    #[error(transparent)]
    Unreadable(RunError),
}

impl QuorumError {
    /// What was reached, where nodes were asked or counted at all.
    pub fn report(&self) -> Option<&Report<NodeId>> {
        match self {
            Self::Unmet(unmet) | Self::NotBegun(unmet) => Some(unmet.report()),
            _ => None,
        }
    }

    /// Whether the write is certainly nowhere. Otherwise it may show up later, so that doing it again counts twice
    /// where it counts.
    pub fn is_nowhere(&self) -> bool {
        !matches!(self, Self::Unmet(_) | Self::Lost { .. })
    }
}

/// What an answer that is no success says.
pub(crate) fn refused(reply: QuorumReply) -> NodeError {
    NodeError::Quorum(match reply {
        QuorumReply::Unmet(unmet) => QuorumError::Unmet(unmet),
        QuorumReply::NotBegun(unmet) => QuorumError::NotBegun(unmet),
        QuorumReply::NobodyLive => QuorumError::NobodyLive,
        QuorumReply::Options(error) => QuorumError::Options(error),
        QuorumReply::Refused { by, why } => QuorumError::Refused { by, why },
        QuorumReply::Lost { by } => QuorumError::Lost { by },
        QuorumReply::NoRing => QuorumError::NoRing,
        QuorumReply::NotOnRing { ask } => QuorumError::NotOnRing { ask },
        QuorumReply::Unreadable(error) => QuorumError::Unreadable(error),
        QuorumReply::Written { .. } | QuorumReply::Read { .. } => return NodeError::AnotherAnswer,
    })
}
