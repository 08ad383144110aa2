//! What a cluster with failover is told, the same at all nodes.

use alloc::vec::Vec;
use core::time::Duration;

use thiserror::Error;

use super::election::{Policy, QuorumRule};
use super::stonith::{Flapping, Stonith};
use super::{Detection, LeaseTerms};
use crate::node::NodeId;

/// More members than that are refused.
pub const MAX_MEMBERS: usize = 255;

/// Who grants the right to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantedBy {
    /// Something outside that is asked: a [`Coordinator`](super::Coordinator).
    Coordinator {
        /// When it cannot be reached: whether the leader goes on for as long as *all* members acknowledge it. Without
        /// that it steps down at the end of its lease.
        failsafe: bool,
    },
    /// A majority of the members, by their promises: [`voter`](super::voter).
    Promises,
}

/// The settings of failover. Change what you want of [`FailoverConfig::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverConfig {
    /// All data nodes.
    pub members: Vec<NodeId>,
    /// Who grants the right to lead.
    pub granted_by: GrantedBy,
    /// How often every node says where it stands: 5 seconds.
    pub heartbeat: Duration,
    /// When silence is too long: after 30 seconds.
    pub detection: Detection,
    /// By how much the host may wake a node too late before that counts as having been away: a second.
    pub tolerance: Duration,
    /// How long the right to lead lasts: 30 seconds.
    pub lease: LeaseTerms,
    /// Who asks first: whoever is furthest.
    pub policy: Policy,
    /// With [`Policy::Priority`]: after how long a leader hands over to a node that comes before it in the list and is
    /// about as far, and how long it waits between two attempts. `None`: it does not, and the list counts where
    /// somebody is elected only.
    pub makes_way: Option<Duration>,
    /// How many entries of what is known a node may lack and be elected: 1,000. `None`: any number.
    pub most_lag: Option<u64>,
    /// For commits that fewer than a majority acknowledge: how many of those that do have to be found first.
    pub quorum: Option<QuorumRule>,
    /// Whether an old leader that is not heard is stopped first: nothing is done.
    pub stonith: Option<Stonith>,
    /// So long after a failover no other one begins, unless somebody acknowledges the first: an hour.
    pub flapping: Duration,
    /// How long an answer of the coordinator is waited for: 5 seconds.
    pub ask_timeout: Duration,
    /// How long a node waits for each that comes before it, and after an attempt that failed: 2 seconds.
    pub turn: Duration,
    /// Of the random delays. With the node's own id, so that nodes differ.
    pub seed: u64,
}

/// Settings that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// This node is none of the members.
    #[error("this node is no member")]
    NoMember,
    /// There are too many.
    #[error("more than {MAX_MEMBERS} members")]
    TooManyMembers,
    /// A member is named twice, and would be counted twice.
    #[error("a member is named twice")]
    NamedTwice,
    /// A leader could not renew its lease twice before it ends.
    #[error("a lease of {held:?} is too short to be renewed and to ask twice, which takes up to {needed:?}")]
    LeaseTooShort {
        /// How long the holder has it.
        held: Duration,
        /// How long two renewals may take, and to stop.
        needed: Duration,
    },
    /// A lost heartbeat or a host that is late would look like death.
    #[error("silence of {patience:?} is too short: with heartbeats it has to be {needed:?} at least")]
    PatienceTooShort {
        /// How long silence is borne.
        patience: Duration,
        /// Two heartbeats and the tolerance.
        needed: Duration,
    },
    /// It has to take some time.
    #[error("heartbeats, turns and the time before a leader makes way must take some time")]
    NoTime,
}

impl FailoverConfig {
    /// Failover among these nodes, which grant the right to lead by their own promises, with the defaults.
    pub fn new(members: impl IntoIterator<Item = NodeId>) -> Self {
        let mut members: Vec<NodeId> = members.into_iter().collect();
        members.sort_unstable();
        members.dedup();
        Self {
            members,
            granted_by: GrantedBy::Promises,
            heartbeat: Duration::from_secs(5),
            detection: Detection::DEFAULT,
            tolerance: Duration::from_secs(1),
            lease: LeaseTerms::DEFAULT,
            policy: Policy::default(),
            makes_way: None,
            most_lag: Some(1_000),
            quorum: None,
            stonith: None,
            flapping: Flapping::DEFAULT_WINDOW,
            ask_timeout: Duration::from_secs(5),
            turn: Duration::from_secs(2),
            seed: 0,
        }
    }

    /// Whether node `me` can go by it.
    pub fn check(&self, me: NodeId) -> Result<(), ConfigError> {
        if !self.members.contains(&me) {
            return Err(ConfigError::NoMember);
        }
        if self.members.len() > MAX_MEMBERS {
            return Err(ConfigError::TooManyMembers);
        }
        if (1..self.members.len()).any(|place| self.members[..place].contains(&self.members[place])) {
            return Err(ConfigError::NamedTwice);
        }
        let takes_no_time = |span: Duration| span.is_zero();
        if [self.heartbeat, self.turn].into_iter().chain(self.makes_way).any(takes_no_time) {
            return Err(ConfigError::NoTime);
        }
        // Patroni's rule: loop_wait + 2 * retry_timeout <= ttl.
        let asked_twice = self.ask_timeout.saturating_mul(2);
        let needed = self.lease.renewed_every().saturating_add(asked_twice).saturating_add(self.lease.margin);
        if needed > self.lease.held() {
            return Err(ConfigError::LeaseTooShort { held: self.lease.held(), needed });
        }
        let needed = self.heartbeat.saturating_mul(2).saturating_add(self.tolerance);
        let patience = match self.detection {
            Detection::Fixed { timeout } => timeout,
            Detection::Accrual(settings) => settings.expected.saturating_add(settings.pause),
        };
        if patience < needed {
            return Err(ConfigError::PatienceTooShort { patience, needed });
        }
        Ok(())
    }

    /// More than half of the members.
    pub(crate) fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// So many members have to agree that a lease goes on: a majority, or all where the coordinator does not say so.
    pub(crate) fn agreeing(&self) -> usize {
        match self.granted_by {
            GrantedBy::Promises => self.majority(),
            GrantedBy::Coordinator { .. } => self.members.len(),
        }
    }
}
