//! What a node that may take over needs done outside, and what becomes of that.

use core::time::Duration;

use crate::failover::stonith::NotFenced;
use crate::failover::supervisor::AskId;
use crate::failover::{Answer, Ask};
use crate::node::NodeId;

/// Something to be done outside so that a node may lead, or lead on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailoverTask {
    /// Ask the [coordinator](crate::failover::Coordinator): [`FailoverNews::Answer`]. When it takes too long, the
    /// answer matters no more.
    Ask {
        /// Which answer belongs to it.
        id: AskId,
        /// What.
        ask: Ask,
    },
    /// Stop a node that led, for good or until somebody starts it: [`FailoverNews::Stonith`].
    Stonith {
        /// Which.
        node: NodeId,
        /// How long it is waited for.
        timeout: Duration,
    },
}

/// What became of a [`FailoverTask`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailoverNews {
    /// The coordinator has answered, or could not be reached.
    Answer {
        /// Which question.
        id: AskId,
        /// What.
        answer: Answer,
    },
    /// The node has stopped, which is confirmed, or it may go on.
    Stonith(Result<(), NotFenced>),
}
