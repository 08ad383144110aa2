//! A coordinator in memory, for simulators and tests: linearizable, because it does one thing after the other.

use alloc::format;
use alloc::string::ToString;
use core::time::Duration;

use super::{Answer, Ask, Grant, Tenure};
use crate::node::NodeId;
use crate::time::Instant;

/// What a store comes back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// All it knew. Leases begin anew, as those of etcd do when its leader changes.
    Whole,
    /// Nothing, not even which grants it gave. For as long as the longest lease it grants none.
    Empty,
}

/// A coordinator that is told the time.
///
/// ```
/// use core::time::Duration;
/// use crdt_sync::NodeId;
/// use crdt_sync::failover::model::Model;
/// use crdt_sync::failover::{Answer, Ask, Grant};
/// use crdt_sync::time::Instant;
///
/// let (lease, start) = (Duration::from_secs(30), Instant::from_micros(0));
/// let ask = |node| Ask::Acquire { candidate: NodeId::from_u128(node), lease, above: None };
/// let mut model = Model::new(lease);
/// assert_eq!(model.handle(start, ask(1)), Answer::Granted(Grant::FIRST));
/// assert!(matches!(model.handle(start + lease / 2, ask(2)), Answer::Held(Some(_))));
/// assert!(matches!(model.handle(start + lease, ask(2)), Answer::Granted(second) if second > Grant::FIRST));
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    longest: Duration,
    now: Instant,
    newest: Option<Grant>,
    held: Option<Held>,
    /// Who alone is granted the next one, and until when.
    named: Option<(NodeId, Instant)>,
    /// Grants nothing before: it does not know whose lease runs.
    blind_until: Option<Instant>,
    lost: bool,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    tenure: Tenure,
    lease: Duration,
    until: Instant,
}

impl Model {
    /// One that has granted nothing, and grants leases of at most that length.
    pub fn new(longest: Duration) -> Self {
        let now = Instant::default();
        Self { longest, now, newest: None, held: None, named: None, blind_until: None, lost: false }
    }

    /// Its store is gone, or cannot be reached: it decides nothing until it [recovers](Self::recover).
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// Its store is there again.
    pub fn recover(&mut self, now: Instant, recovered: Recovered) {
        self.now = self.now.max(now);
        let (longest, now) = (self.longest, self.now);
        match recovered {
            Recovered::Whole => {
                self.lost = false;
                if let Some(held) = &mut self.held {
                    held.until = held.until.max(now + held.lease);
                }
            }
            Recovered::Empty => *self = Self { now, blind_until: Some(now + longest), ..Self::new(longest) },
        }
    }

    /// Answers, at that time by its own clock. O(1).
    pub fn handle(&mut self, now: Instant, ask: Ask) -> Answer {
        self.now = self.now.max(now);
        if self.lost {
            return Answer::Unavailable { why: "the store is lost".to_string() };
        }
        self.expire();
        match ask {
            Ask::Acquire { candidate, lease, above } => self.acquire(candidate, lease, above),
            Ask::Renew { tenure, lease } => self.renew(tenure, lease),
            Ask::Release { tenure, to } => self.release(tenure, to),
            Ask::Look => Answer::Held(self.tenure()),
        }
    }

    fn tenure(&self) -> Option<Tenure> {
        self.held.map(|held| held.tenure)
    }

    fn expire(&mut self) {
        let now = self.now;
        self.held = self.held.filter(|held| now < held.until);
        self.named = self.named.filter(|(_, until)| now < *until);
        self.blind_until = self.blind_until.filter(|until| now < *until);
    }

    fn acquire(&mut self, candidate: NodeId, lease: Duration, above: Option<Grant>) -> Answer {
        if lease > self.longest {
            return Answer::Unavailable { why: format!("no lease is longer than {:?}", self.longest) };
        }
        if self.blind_until.is_some() {
            return Answer::Unavailable {
                why: "the store is new: leases it does not know may run".to_string(),
            };
        }
        let others_turn = self.named.is_some_and(|(named, _)| named != candidate);
        if self.held.is_some() || others_turn {
            return Answer::Held(self.tenure());
        }
        let next = self.newest.max(above).map_or(Some(Grant::FIRST), Grant::next);
        let Some(grant) = next else {
            return Answer::Unavailable { why: "there are no more grants".to_string() };
        };
        self.newest = Some(grant);
        self.named = None;
        self.held =
            Some(Held { tenure: Tenure { holder: candidate, grant }, lease, until: self.now + lease });
        Answer::Granted(grant)
    }

    fn renew(&mut self, tenure: Tenure, lease: Duration) -> Answer {
        let now = self.now;
        match &mut self.held {
            Some(held) if held.tenure == tenure && lease <= self.longest => {
                held.lease = lease;
                held.until = held.until.max(now + lease);
                Answer::Renewed(tenure.grant)
            }
            _ => Answer::Held(self.tenure()),
        }
    }

    fn release(&mut self, tenure: Tenure, to: Option<NodeId>) -> Answer {
        if let Some(held) = self.held.take_if(|held| held.tenure == tenure) {
            self.named = to.map(|to| (to, self.now + held.lease));
        }
        Answer::Released
    }
}
