//! For how long a node may lead without hearing that it still does.
//!
//! Two leases can bound it. One an outside authority gives ([`Request::Extend`](crate::Request::Extend)). The other one
//! is the nodes' own: a node that has heard from the leader promises nobody else an epoch for a while, and the leader
//! counts that while from when it *sent* what more than half of them have heard. Clocks that run at rates no further
//! apart than the drift allowed for then never show the leader a lease that is longer than anybody's silence (Gray and
//! Cheriton 1989). No clock is compared with another one.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use crate::node::NodeId;
use crate::time::Instant;

/// So many rounds are remembered: of older ones an answer tells nothing that matters any more.
const MAX_ROUNDS: usize = 64;

/// The lease that the nodes of a cluster give to whoever leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// For how long a node that has heard from the leader promises nobody else an epoch, by its own clock. At least some
    /// heartbeats; a failover takes longer than that.
    pub span: Duration,
    /// By how many parts in a thousand of a span the clocks of two nodes may disagree about its length.
    pub drift_permille: u16,
}

impl LeaseTerms {
    /// For the default heartbeat of a quarter of a second, and clocks that are off by at most 1 %.
    pub const DEFAULT: Self = Self { span: Duration::from_secs(3), drift_permille: 10 };

    /// For how long whoever leads may, from when it sent what the others have heard.
    fn held_for(self) -> Duration {
        self.span.saturating_sub(self.margin())
    }

    /// For how long whoever has heard from the leader waits.
    fn waited_for(self) -> Duration {
        self.span.saturating_add(self.margin())
    }

    fn margin(self) -> Duration {
        self.span.saturating_mul(u32::from(self.drift_permille)) / 1_000
    }
}

/// At the node that leads: until when.
#[derive(Debug)]
pub(super) struct Tenancy {
    terms: Option<LeaseTerms>,
    /// Who counts, besides this node.
    others: Vec<NodeId>,
    /// When each round was sent, the oldest first.
    rounds: VecDeque<(u64, Instant)>,
    /// The last round that each node has heard.
    heard: BTreeMap<NodeId, u64>,
    /// What an outside authority has given.
    given: Option<Instant>,
}

impl Tenancy {
    /// A reign of which nobody has heard yet, that an outside authority has given so much time.
    pub(super) fn new(terms: Option<LeaseTerms>, others: Vec<NodeId>, given: Option<Instant>) -> Self {
        Self { terms, others, rounds: VecDeque::new(), heard: BTreeMap::new(), given }
    }

    /// Everybody is about to be told that this node leads, or wants to.
    pub(super) fn next_round(&mut self, now: Instant) -> u64 {
        let round = self.rounds.back().map_or(1, |(last, _)| last + 1);
        if self.rounds.len() == MAX_ROUNDS {
            self.rounds.pop_front();
        }
        self.rounds.push_back((round, now));
        round
    }

    /// A node has heard a round; 0 from one that has heard none.
    pub(super) fn heard(&mut self, node: NodeId, round: u64) {
        if round == 0 {
            return;
        }
        let last = self.heard.entry(node).or_default();
        *last = round.max(*last);
    }

    /// The authority outside has given more time, never less.
    pub(super) fn extend(&mut self, until: Instant) {
        self.given = self.given.map(|given| given.max(until));
    }

    /// Until when this node leads; `None` if nothing ends it. O(n log n).
    pub(super) fn until(&self) -> Option<Instant> {
        let heard_by_most = |terms: LeaseTerms| self.heard_since().map(|since| since + terms.held_for());
        let own = self.terms.map(|terms| heard_by_most(terms).unwrap_or_default());
        [own, self.given].into_iter().flatten().min()
    }

    /// When the newest round was sent that more than half have heard, this node among them.
    fn heard_since(&self) -> Option<Instant> {
        let mut rounds: Vec<Option<u64>> =
            self.others.iter().map(|node| self.heard.get(node).copied()).collect();
        rounds.sort_unstable_by(|one, other| other.cmp(one));
        // Of `n` nodes with this one, `n / 2` others make more than half.
        let newest = match rounds.len().div_ceil(2).checked_sub(1) {
            None => self.rounds.back().map(|(round, _)| *round),
            Some(last) => rounds[last],
        };
        // One that is forgotten is too old to matter.
        newest.and_then(|round| self.rounds.iter().find(|(known, _)| *known == round)).map(|(_, sent)| *sent)
    }
}

/// At a node that does not lead: whether it may promise somebody an epoch.
#[derive(Debug)]
pub(super) struct Tenant {
    terms: Option<LeaseTerms>,
    /// Whom it has heard; `None` from the start, when it may have heard anybody.
    leader: Option<NodeId>,
    until: Instant,
}

impl Tenant {
    /// A node that was just opened may have heard from a leader the moment before.
    pub(super) fn new(terms: Option<LeaseTerms>, now: Instant) -> Self {
        Self { terms, leader: None, until: terms.map_or(now, |terms| now + terms.waited_for()) }
    }

    /// It has heard that `leader` leads, or promises that it will.
    pub(super) fn heard(&mut self, leader: NodeId, now: Instant) {
        if let Some(terms) = self.terms {
            self.leader = Some(leader);
            self.until = self.until.max(now + terms.waited_for());
        }
    }

    /// Whoever led does not any longer, and `next` may at once.
    pub(super) fn handed_over(&mut self, by: NodeId, next: NodeId) {
        if self.leader == Some(by) {
            self.leader = Some(next);
        }
    }

    /// Whether `node` may be promised an epoch.
    pub(super) fn may_promise(&self, node: NodeId, now: Instant) -> bool {
        self.terms.is_none() || self.leader == Some(node) || now >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn node(number: u128) -> NodeId {
        NodeId::from_u128(number)
    }

    fn millis(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    const TERMS: LeaseTerms = LeaseTerms { span: Duration::from_secs(10), drift_permille: 100 };

    #[test]
    fn a_lease_counts_from_when_what_a_majority_has_heard_was_sent() {
        let others: Vec<NodeId> = (2..=5).map(node).collect();
        let mut tenancy = Tenancy::new(Some(TERMS), others, None);
        assert_eq!(tenancy.until(), Some(millis(0)), "nobody has heard of it");
        let asked = tenancy.next_round(millis(0));
        tenancy.heard(node(2), asked);
        tenancy.heard(node(3), asked);
        assert_eq!(tenancy.until(), Some(millis(9_000)));
        let first = tenancy.next_round(millis(1_000));
        let second = tenancy.next_round(millis(2_000));
        tenancy.heard(node(2), second);
        assert_eq!(tenancy.until(), Some(millis(9_000)), "two of five");
        tenancy.heard(node(5), first);
        assert_eq!(tenancy.until(), Some(millis(10_000)));
        tenancy.heard(node(3), second);
        assert_eq!(tenancy.until(), Some(millis(11_000)));
        tenancy.heard(node(3), first);
        assert_eq!(tenancy.until(), Some(millis(11_000)), "a word that is late takes nothing back");
    }

    #[test]
    fn an_authority_outside_ends_it_earlier() {
        let given = Some(millis(5_000));
        let mut tenancy = Tenancy::new(None, vec![node(2)], given);
        assert_eq!(tenancy.until(), given);
        tenancy.extend(millis(7_000));
        tenancy.extend(millis(6_000));
        assert_eq!(tenancy.until(), Some(millis(7_000)));
        assert_eq!(Tenancy::new(None, vec![], None).until(), None);
    }

    #[test]
    fn a_node_waits_for_a_lease_that_it_may_have_given_before_it_was_opened() {
        let mut tenant = Tenant::new(Some(TERMS), millis(1_000));
        assert!(!tenant.may_promise(node(1), millis(11_999)));
        assert!(tenant.may_promise(node(1), millis(12_000)));
        tenant.heard(node(1), millis(20_000));
        assert!(tenant.may_promise(node(1), millis(20_001)), "the same again");
        assert!(!tenant.may_promise(node(2), millis(30_999)) && tenant.may_promise(node(2), millis(31_000)));
        tenant.handed_over(node(3), node(2));
        assert!(!tenant.may_promise(node(2), millis(30_999)), "not his to give");
        tenant.handed_over(node(1), node(2));
        assert!(tenant.may_promise(node(2), millis(20_001)));
        assert!(Tenant::new(None, millis(1_000)).may_promise(node(1), millis(1_000)));
    }

    proptest! {
        /// Whatever the rates of two clocks within the drift allowed for, and however long words take: the leader's
        /// lease is over before anybody of its majority promises somebody else an epoch.
        #[test]
        fn a_lease_is_over_before_anybody_may_promise_another(
            span in 1_u64..100_000, drift in 0_u16..300, leader in -1.0..1.0_f64, voter in -1.0..1.0_f64,
            sent in 0_u64..1_000_000, takes in 0_u64..10_000,
        ) {
            let terms = LeaseTerms { span: Duration::from_micros(span), drift_permille: drift };
            // True time runs in microseconds; each clock is off by up to half of what two may differ by.
            let rate = |off: f64| 1.0 + off * f64::from(drift) / 2_000.0;
            let shown = |time: u64, off: f64| Instant::from_micros((time as f64 * rate(off)) as u64);
            let mut tenancy = Tenancy::new(Some(terms), vec![node(2), node(3)], None);
            let round = tenancy.next_round(shown(sent, leader));
            tenancy.heard(node(2), round);
            let mut tenant = Tenant::new(Some(terms), Instant::default());
            tenant.heard(node(1), shown(sent + takes, voter));
            let until = tenancy.until().unwrap();
            for later in 0..400 {
                let time = sent + takes + later * (span / 100 + 1);
                if tenant.may_promise(node(3), shown(time, voter)) {
                    // A microsecond is what reading a clock may be off by.
                    prop_assert!(shown(time, leader) + Duration::from_micros(2) >= until);
                    break;
                }
            }
        }
    }
}
