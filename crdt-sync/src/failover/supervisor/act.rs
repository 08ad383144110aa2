//! What a supervisor is told and what it wants done.

use core::time::Duration;

use replication_log::{Epoch, Position};
use thiserror::Error;

use super::super::election::NotElectable;
use super::super::stonith::NotFenced;
use super::super::{Ask, Grant, Tenure};
use crate::node::NodeId;
use crate::time::Instant;

/// Where a node stands, as it tells all others with every heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where its durable log ends.
    pub end: Position,
    /// The newest epoch that its log promised.
    pub promised: Epoch,
    /// Under which epoch it leads, if it does.
    pub leads: Option<Epoch>,
    /// Whose heartbeats it hears as the leader's.
    pub follows: Option<NodeId>,
    /// To whom it has handed the lead.
    pub hands_over: Option<NodeId>,
    /// `false` for a node that never leads.
    pub promotable: bool,
    /// The higher, the sooner, among nodes that are as far.
    pub priority: u32,
    /// The last failover that it knows of.
    pub failover: Option<Failover>,
    /// The failover that gave this grant was acknowledged, as were those before.
    pub acknowledged: Option<Grant>,
}

/// That somebody leads because the one before failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// The grant by which it did so first.
    pub grant: Grant,
    /// How long ago that was.
    pub ago: Duration,
}

/// What the host knows of its own node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnStanding {
    /// Where its durable log ends.
    pub end: Position,
    /// The newest epoch that its log promised.
    pub promised: Epoch,
    /// `false` for a node that is never to lead.
    pub promotable: bool,
    /// The higher, the sooner, among nodes that are as far.
    pub priority: u32,
}

/// Why a node did not begin to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotPromoted {
    /// One of those that promised has a log that is ahead.
    #[error("{node} is ahead")]
    Behind {
        /// Which.
        node: NodeId,
        /// Where its log ends.
        end: Position,
    },
    /// No majority promised in time.
    #[error("no majority promised")]
    NoQuorum,
    /// A later grant was promised somewhere.
    #[error("grant {} was promised", newest.number())]
    Fenced {
        /// The newest that was heard of.
        newest: Grant,
    },
}

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The leader is to hand over to another node, without losing anything.
    SwitchOver {
        /// To whom.
        to: NodeId,
        /// If it is not done by then, the old leader goes on.
        deadline: Instant,
    },
    /// Somebody has looked at the last failover: the next one may come. All nodes hear of it.
    AcknowledgeFailover,
    /// This node does not ask to lead any more. A leader goes on, for as long as it renews its lease.
    Pause,
    /// It does again.
    Resume,
}

/// Names a question to the coordinator, so that its answer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub(super) u64);

/// Names a round of renewals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round(pub u64);

/// What the host is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// Ask the coordinator, and answer by [`answer`](super::Supervisor::answer).
    Ask(AskId, Ask),
    /// Stop that node, and answer by [`fenced`](super::Supervisor::fenced).
    Stonith {
        /// Which.
        node: NodeId,
        /// How long it is waited for.
        timeout: Duration,
    },
    /// Have a majority of the members promise the grant's epoch, durably, this node among them; see that none of their
    /// logs is ahead; then lead, and answer by [`promoted`](super::Supervisor::promoted).
    Lead {
        /// The grant.
        grant: Grant,
        /// Nothing that depends on leading leaves after that, unless the lease was extended.
        lease_until: Instant,
    },
    /// The lease lasts longer.
    ExtendLease {
        /// Nothing that depends on leading leaves after that.
        until: Instant,
    },
    /// Have all members renew the lease of the grant, this node among them, and report each that does by
    /// [`renewed`](super::Supervisor::renewed).
    Renew {
        /// Of this round.
        round: Round,
        /// The grant.
        grant: Grant,
    },
    /// Tell all members that the grant was given back.
    Release {
        /// The grant.
        grant: Grant,
        /// Who alone may come for the length of a lease, if somebody is named.
        to: Option<NodeId>,
    },
    /// Lead no more, at once; a promotion that goes on is given up.
    StepDown {
        /// Why.
        why: WhyStepDown,
    },
    /// Take no more writes, wait until `to` has all there are, and answer by
    /// [`handed_over`](super::Supervisor::handed_over).
    HandOver {
        /// To whom.
        to: NodeId,
        /// It is given up then.
        deadline: Instant,
    },
    /// The handover is off: take writes again.
    KeepLeading,
    /// Tell all members where this node stands.
    Beat(Standing),
    /// Tell whoever watches.
    Event(Event),
}

/// Why a leader leads no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyStepDown {
    /// Its lease ends, and was not renewed.
    LeaseEnded,
    /// The coordinator says that this node does not hold it any more.
    Lost {
        /// Who does.
        now: Option<Tenure>,
    },
    /// A later grant was heard of.
    Overtaken {
        /// Which.
        by: Grant,
    },
    /// It has handed over.
    HandedOver {
        /// To whom.
        to: NodeId,
    },
    /// The promotion took longer than a lease, or ended when nobody waited for it any more.
    TooLate,
}

/// What happened, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The leader has been silent for too long.
    Suspects {
        /// Which.
        leader: NodeId,
    },
    /// This node would ask to lead, and does not.
    Refused(Refused),
    /// This node asks to lead.
    ElectionStarted {
        /// Whether the lead was handed to it.
        planned: bool,
    },
    /// The hook did not confirm that the old leader stopped.
    NotFenced(NotFenced),
    /// This node did not begin to lead.
    NotPromoted(NotPromoted),
    /// This node leads.
    Leads {
        /// Under which epoch.
        epoch: Epoch,
        /// Nobody knows whether the old leader stopped.
        unfenced: Option<NotFenced>,
    },
    /// Another node leads.
    Follows {
        /// Which.
        leader: NodeId,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// This node leads no more.
    SteppedDown {
        /// Why.
        why: WhyStepDown,
    },
    /// A lease is not being renewed.
    Degraded {
        /// When it ends.
        lease_until: Instant,
    },
    /// It was renewed after all.
    Renewed,
    /// A handover was not begun, or given up.
    SwitchOverFailed {
        /// To whom it was to be.
        to: NodeId,
    },
    /// This process was not there for so long, or its clock jumped.
    WasAway {
        /// How long.
        span: Duration,
    },
}

/// Why a node does not ask to lead, though nobody leads as far as it hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// It hears too few others.
    #[error("{alive} of {needed} nodes are heard")]
    NoMajority {
        /// So many, itself among them.
        alive: usize,
        /// A majority.
        needed: usize,
    },
    /// Others hear the leader: it is this node that does not.
    #[error("{by} nodes still hear {leader}")]
    StillHeard {
        /// The leader.
        leader: NodeId,
        /// So many do.
        by: usize,
    },
    /// A node that is heard has more than this one, and said so when it was asked for its promise: to ask again would
    /// be in vain, and keep that one from leading.
    #[error("{node} is ahead, and there")]
    Behind {
        /// Which.
        node: NodeId,
    },
    /// The last failover was just now, and nobody acknowledged it.
    #[error("the last failover was just now")]
    Flapping {
        /// Until when.
        until: Instant,
    },
    /// It may not, or is not the one.
    #[error(transparent)]
    NotElectable(#[from] NotElectable),
    /// The coordinator says that somebody else holds it, or may come next.
    #[error("the coordinator did not grant it")]
    Held(Option<Tenure>),
    /// The coordinator could not be asked.
    #[error("the coordinator is unavailable")]
    Unavailable,
}
