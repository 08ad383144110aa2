//! The data nodes themselves as the coordinator: what each of them promises, and how long it keeps it.
//!
//! Who is promised a grant by a majority of the members has it, for as long as a lease lasts; it is renewed as the
//! majority says so again. That is the first half of Lamport's Paxos with the grant as the number, and a lease on top:
//! it decides who leads, and replicates nothing. Two majorities share a node, and that node promises nothing new while
//! the lease that it gave runs.
//!
//! Promises are as durable as the host makes them: the log's promised epoch is written before an answer leaves. To whom
//! it was promised, and until when, is forgotten with the process. So a node that starts with a promise in its log
//! waits a full lease, whoever comes.

#[cfg(test)]
mod tests;

use core::time::Duration;

use replication_log::Epoch;
use thiserror::Error;

use super::{Grant, LeaseTerms};
use crate::node::NodeId;
use crate::time::Instant;

/// What a member is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// To take nothing of an earlier grant any more, and to promise no later one for as long as a lease lasts.
    Promise {
        /// The grant.
        grant: Grant,
        /// Who wants it.
        candidate: NodeId,
        /// How long the lease lasts.
        lease: Duration,
    },
    /// To go on for another lease. Only whoever has the promises of a majority asks for that.
    Renew {
        /// The grant.
        grant: Grant,
        /// Who holds it.
        holder: NodeId,
        /// How long the lease lasts.
        lease: Duration,
    },
    /// To wait no longer: its holder does not lead any more, or never did.
    Release {
        /// The grant.
        grant: Grant,
        /// Who holds it.
        holder: NodeId,
        /// For the length of a lease only this one may come, if somebody is named.
        to: Option<NodeId>,
    },
}

/// Why a member does not promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// This or a later grant was promised to somebody else.
    #[error("grant {} was promised", newest.number())]
    Promised {
        /// The newest that was.
        newest: Grant,
    },
    /// Somebody else's lease runs, or somebody else was named to come next.
    #[error("the lease of {holder:?} runs")]
    LeaseRuns {
        /// Whose, where that is known: who leads, or who is to lead next.
        holder: Option<NodeId>,
        /// Until when, by this node's clock.
        until: Instant,
    },
    /// This node does not know what it promised before it started.
    #[error("this node has just started")]
    JustRestarted {
        /// Until when, by this node's clock.
        until: Instant,
    },
    /// The lease is longer than what this node would wait for after a restart.
    #[error("a lease of {most:?} is the longest")]
    LeaseTooLong {
        /// The longest.
        most: Duration,
    },
    /// The grant was given back.
    #[error("the grant was given back")]
    Released,
}

/// One member's promises.
///
/// ```
/// use crdt_sync::NodeId;
/// use crdt_sync::failover::voter::{Request, Voter};
/// use crdt_sync::failover::{Grant, LeaseTerms};
/// use crdt_sync::time::Instant;
/// use replication_log::Epoch;
///
/// let (terms, now) = (LeaseTerms::DEFAULT, Instant::from_micros(0));
/// let (a, b) = (NodeId::from_u128(1), NodeId::from_u128(2));
/// let second = Grant::FIRST.next().unwrap();
/// let mut voter = Voter::new(terms, Epoch::ZERO, now);
/// voter.handle(Request::Promise { grant: Grant::FIRST, candidate: a, lease: terms.span }, now)?;
/// let late = Request::Promise { grant: second, candidate: b, lease: terms.span };
/// assert!(voter.handle(late, now).is_err());
/// assert!(voter.handle(late, terms.kept_until(now)).is_ok());
/// # Ok::<(), crdt_sync::failover::voter::Refusal>(())
/// ```
#[derive(Clone, Debug)]
pub struct Voter {
    terms: LeaseTerms,
    /// The newest moment that was told: a clock that goes back shortens no lease.
    now: Instant,
    /// The newest grant promised.
    promised: Option<Grant>,
    awaited: Awaited,
    /// Until when it is awaited.
    until: Instant,
}

/// What a later grant waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// Whatever was promised before this node started.
    Unknown,
    /// The lease of the grant that was promised last, to this node if it is known.
    Lease(Option<NodeId>),
    /// The grant was given back, to this one or to whoever comes.
    Next(Option<NodeId>),
}

impl Voter {
    /// A member whose log has promised `promised`, and that starts now. It waits a full lease, unless its log has
    /// never promised anything.
    pub fn new(terms: LeaseTerms, promised: Epoch, now: Instant) -> Self {
        let promised = Some(Grant::of(promised)).filter(|grant| *grant >= Grant::FIRST);
        let until = if promised.is_some() { terms.kept_until(now) } else { now };
        Self { terms, now, promised, awaited: Awaited::Unknown, until }
    }

    /// Answers a request. What is granted leaves when the log has promised the epoch of the grant, durably. O(1).
    pub fn handle(&mut self, request: Request, now: Instant) -> Result<(), Refusal> {
        self.now = self.now.max(now);
        match request {
            Request::Promise { grant, candidate, lease } => self.promise(grant, candidate, lease),
            Request::Renew { grant, holder, lease } => self.renew(grant, holder, lease),
            Request::Release { grant, holder, to } => self.release(grant, holder, to),
        }
    }

    /// The log has promised this epoch: a leader came along that the majority promised it to. O(1).
    pub fn learn(&mut self, promised: Epoch) {
        let grant = Grant::of(promised);
        if grant >= Grant::FIRST && Some(grant) > self.promised {
            self.promised = Some(grant);
            self.awaited = Awaited::Lease(None);
        }
    }

    /// The newest grant that was promised.
    pub fn promised(&self) -> Option<Grant> {
        self.promised
    }

    fn promise(&mut self, grant: Grant, candidate: NodeId, lease: Duration) -> Result<(), Refusal> {
        self.check_length(lease)?;
        match self.promised {
            Some(newest) if grant < newest => return Err(Refusal::Promised { newest }),
            // Said again, because the answer was lost. A grant is promised to one candidate only.
            Some(newest) if grant == newest => match self.awaited {
                Awaited::Lease(Some(holder)) if holder == candidate => {}
                Awaited::Next(_) => return Err(Refusal::Released),
                _ => return Err(Refusal::Promised { newest }),
            },
            _ => self.check_nobody_else(candidate)?,
        }
        self.lend(grant, candidate, lease);
        Ok(())
    }

    fn renew(&mut self, grant: Grant, holder: NodeId, lease: Duration) -> Result<(), Refusal> {
        self.check_length(lease)?;
        match self.promised {
            Some(newest) if grant < newest => return Err(Refusal::Promised { newest }),
            Some(newest) if grant == newest => {
                if let Awaited::Next(_) = self.awaited {
                    return Err(Refusal::Released);
                }
            }
            // It was promised by a majority without this node, whose own lease counts all the same.
            _ => self.check_nobody_else(holder)?,
        }
        self.lend(grant, holder, lease);
        Ok(())
    }

    fn release(&mut self, grant: Grant, holder: NodeId, to: Option<NodeId>) -> Result<(), Refusal> {
        match (self.promised, self.awaited) {
            (Some(newest), Awaited::Lease(Some(lent))) if grant == newest && lent == holder => {
                self.awaited = Awaited::Next(to);
                self.until = if to.is_some() { self.terms.kept_until(self.now) } else { self.now };
                Ok(())
            }
            (Some(newest), _) if grant < newest => Err(Refusal::Promised { newest }),
            // Whoever says it may be another than the one that has it, whom that would rob of its lease.
            _ => Err(Refusal::LeaseRuns { holder: None, until: self.until }),
        }
    }

    /// Whether a later grant would come into the way of nobody but `candidate` itself.
    fn check_nobody_else(&self, candidate: NodeId) -> Result<(), Refusal> {
        if self.now >= self.until {
            return Ok(());
        }
        match self.awaited {
            Awaited::Unknown => Err(Refusal::JustRestarted { until: self.until }),
            Awaited::Lease(Some(node)) | Awaited::Next(Some(node)) if node == candidate => Ok(()),
            Awaited::Lease(holder) | Awaited::Next(holder) => {
                Err(Refusal::LeaseRuns { holder, until: self.until })
            }
        }
    }

    fn check_length(&self, lease: Duration) -> Result<(), Refusal> {
        let most = self.terms.span;
        if lease > most { Err(Refusal::LeaseTooLong { most }) } else { Ok(()) }
    }

    fn lend(&mut self, grant: Grant, holder: NodeId, lease: Duration) {
        self.promised = Some(grant);
        self.awaited = Awaited::Lease(Some(holder));
        // What another lease has left is never cut short by a shorter one.
        self.until = self.until.max(self.now + self.terms.kept_of(lease));
    }
}
