//! Who grants the right to lead, and what it is asked.

use alloc::string::String;
use core::future::Future;
use core::time::Duration;

use super::Grant;
use crate::node::NodeId;

/// Who leads, by which grant, as a coordinator has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenure {
    /// Who may lead.
    pub holder: NodeId,
    /// Its grant.
    pub grant: Grant,
}

/// What a node asks of a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    /// The right to lead for as long as a lease lasts, if nobody has it.
    Acquire {
        /// Who asks.
        candidate: NodeId,
        /// For how long, from when the coordinator decides.
        lease: Duration,
        /// The newest grant that was heard of: the new one is later.
        above: Option<Grant>,
    },
    /// To go on leading for another lease.
    Renew {
        /// Who holds what, as far as it knows.
        tenure: Tenure,
        /// For how long, from when the coordinator decides.
        lease: Duration,
    },
    /// To lead no more. For the length of a lease only `to` is granted the next one, if somebody is named.
    Release {
        /// Who holds what.
        tenure: Tenure,
        /// Who is to lead next.
        to: Option<NodeId>,
    },
    /// Who leads?
    Look,
}

/// What a coordinator answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Granted: to whoever asked. Its lease counts from when it *sent* the question.
    Granted(Grant),
    /// The lease is renewed, from when the question was sent.
    Renewed(Grant),
    /// It is given back, or was not held.
    Released,
    /// So it is now: who holds the right; `None` where nobody does. What was asked for was not done, or nothing was.
    Held(Option<Tenure>),
    /// The coordinator cannot decide, or could not be reached: nobody knows whether what was asked for was done.
    Unavailable {
        /// What it, or the way to it, says.
        why: String,
    },
}

/// Grants the right to lead to one node at a time, by grants that strictly grow, also over its own restarts.
///
/// What every implementation has to keep: no two grants are equal; a later one is granted only after the lease of the
/// one before has ended, by the coordinator's own clock, or it was given back; whoever lost it learns so at the
/// next renewal. `failover::conformance` checks that (feature `conformance`).
pub trait Coordinator: Send {
    /// Asks, and waits for the answer; the caller gives up by dropping it, and then nobody knows what was done.
    fn ask(&mut self, ask: Ask) -> impl Future<Output = Answer> + Send;

    /// Waits until somebody else holds the right than `known` says, or nobody any more, and returns who.
    fn changed(&mut self, known: Option<Tenure>) -> impl Future<Output = Option<Tenure>> + Send;
}
