//! Why nobody can be asked.

use replication_log::Epoch;
use thiserror::Error;

use super::lineage::Loss;
use crate::node::NodeId;

/// What is missing for a request to be sent anywhere. None of these changes the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoRoute {
    /// Nobody is known to lead, or only somebody whose epoch is over. Ask any node who does, and
    /// [say so](super::Fleet::redirected).
    #[error("nobody is known to lead (newest epoch heard of: {newest:?})")]
    NoLeader {
        /// The newest epoch that was heard of.
        newest: Option<Epoch>,
    },
    /// The node that leads was never [added](super::Fleet::add).
    #[error("{leader} leads in epoch {epoch}, and is not among the nodes known here")]
    UnknownLeader {
        /// Who leads.
        leader: NodeId,
        /// Since when.
        epoch: Epoch,
    },
    /// The node that leads cannot be reached: wait, or for a new leader.
    #[error("{leader} leads in epoch {epoch} and is not reachable")]
    LeaderUnreachable {
        /// Who leads.
        leader: NodeId,
        /// Since when.
        epoch: Epoch,
    },
    /// No node at all is reachable.
    #[error("no node is reachable")]
    NobodyReachable,
    /// All that is reachable is for analytics, and the read is not.
    #[error("only nodes for analytics are reachable")]
    OnlyAnalytics,
    /// No node for analytics is reachable, and no other one will do.
    #[error("no node for analytics is reachable")]
    NoAnalytics,
    /// No reachable node is known to be as fresh as was asked for.
    #[error("of {reachable} reachable nodes none is known to be fresh enough, of {unknown} nothing is known")]
    TooFarBehind {
        /// How many could be asked.
        reachable: usize,
        /// Of how many of these the lag is not known.
        unknown: usize,
    },
    /// What the session rests on was lost when the leader changed. Tell the user, then
    /// [accept](super::Session::accept) it, or begin a new session.
    #[error("{0}")]
    Lost(Loss),
}
