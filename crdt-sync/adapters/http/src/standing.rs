//! What a node is, as those who send it traffic need to know it.

use crdt_sync::failover::Grant;

/// What a node is at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It was granted the right to lead.
    Primary,
    /// It follows somebody's log.
    Replica,
    /// Neither: it starts, stops, or has been told to stay out.
    None,
}

/// What a node says about itself when it is asked. The application makes it anew for every request, so that a lease
/// that has ended meanwhile is seen to have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it is.
    pub role: Role,
    /// Whether its lease lasts *now*, by its own clock and with all margins: without, a primary is none.
    pub leased: bool,
    /// The newest grant it knows.
    pub grant: Option<Grant>,
    /// How many bytes of the log it has not applied yet, if it knows.
    pub lag: Option<u64>,
    /// Where clients reach it: what a [`Directory`](crdt_sync::failover::Directory) is told.
    pub address: Option<String>,
    /// Whether its loop turns. If not, it is better started again.
    pub alive: bool,
}

impl Standing {
    /// Neither primary nor replica.
    pub const fn none() -> Self {
        Self { role: Role::None, leased: false, grant: None, lag: None, address: None, alive: true }
    }

    /// It leads by this grant, at this address, if its lease lasts.
    pub fn primary(grant: Grant, leased: bool, address: impl Into<String>) -> Self {
        let address = Some(address.into());
        Self { role: Role::Primary, leased, grant: Some(grant), lag: Some(0), address, ..Self::none() }
    }

    /// It follows, and is so many bytes behind.
    pub fn replica(lag: Option<u64>) -> Self {
        Self { role: Role::Replica, lag, ..Self::none() }
    }

    /// Whether it may be written to.
    pub fn leads(&self) -> bool {
        self.role == Role::Primary && self.leased && self.alive
    }

    /// Whether it follows closely enough. Where a bound is asked for, not to know is not enough.
    pub fn follows(&self, most: Option<u64>) -> bool {
        let close = most.is_none_or(|most| self.lag.is_some_and(|lag| lag <= most));
        self.role == Role::Replica && self.alive && close
    }
}
