//! Who leads: what the members of the Raft agree about, one decision after the other.
//!
//! Decisions are the same on every member, so none of them looks at a clock. Each question carries the time of whoever
//! led the Raft when it was put, by its monotonic clock, and says whose clock that is: of which member, in which term,
//! since which start. When a question comes with another clock, every lease begins again in full, because nobody knows
//! how much of it has passed. A question whose clock is not that of the leader which put it into the log has waited too
//! long for its time to mean anything, and decides nothing.

use crdt_sync::NodeId;
use crdt_sync::failover::Grant;
use serde::{Deserialize, Serialize};

/// Whose clock a time is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clock {
    pub(crate) term: u64,
    pub(crate) member: u64,
    /// Random: a member that starts again may go on leading in the same term.
    pub(crate) start: u64,
}

/// A question and when it was put, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamped {
    pub(crate) clock: Clock,
    pub(crate) now: u64,
    pub(crate) question: Question,
}

/// A node and the number of its grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) node: NodeId,
    pub(crate) grant: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Question {
    /// `ask` is random: the same question may be put twice, because its answer was lost, and is answered the same.
    Acquire {
        ask: u64,
        node: NodeId,
        lease: u64,
        above: u64,
    },
    Renew {
        holder: Holder,
        lease: u64,
    },
    Release {
        holder: Holder,
        to: Option<NodeId>,
    },
    Look,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Decision {
    Granted(u64),
    Renewed(u64),
    Released,
    Held(Option<Holder>),
    /// Nothing was decided: the clock was that of another time.
    Late,
    /// What is no question: the first entry of a term, or who the members are.
    Nothing,
}

/// Something that lasts until a time of the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lasting<T> {
    what: T,
    length: u64,
    ends: u64,
}

impl<T> Lasting<T> {
    const fn from(now: u64, length: u64, what: T) -> Self {
        Self { what, length, ends: now.saturating_add(length) }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Register {
    newest: u64,
    /// Who leads, and by which question it came to that.
    held: Option<Lasting<(Holder, u64)>>,
    reserved: Option<Lasting<NodeId>>,
    clock: Option<Clock>,
    now: u64,
}

impl Register {
    /// Decides a question that the leader of this term put into the log.
    pub(crate) fn decide(&mut self, (term, member): (u64, u64), stamped: &Stamped) -> Decision {
        if (stamped.clock.term, stamped.clock.member) != (term, member) {
            return Decision::Late;
        }
        self.pass_to(stamped.clock, stamped.now);
        match &stamped.question {
            Question::Acquire { ask, node, lease, above } => self.acquire(*ask, *node, *lease, *above),
            Question::Renew { holder, lease } => self.renew(*holder, *lease),
            Question::Release { holder, to } => self.release(*holder, *to),
            Question::Look => self.held(),
        }
    }

    fn pass_to(&mut self, clock: Clock, now: u64) {
        if self.clock == Some(clock) {
            // Two questions may come into the log in another order than they were stamped in.
            self.now = self.now.max(now);
        } else {
            (self.clock, self.now) = (Some(clock), now);
            self.held.iter_mut().for_each(|held| held.ends = now.saturating_add(held.length));
            self.reserved.iter_mut().for_each(|reserved| reserved.ends = now.saturating_add(reserved.length));
        }
        let now = self.now;
        self.held.take_if(|held| held.ends <= now);
        self.reserved.take_if(|reserved| reserved.ends <= now);
    }

    fn acquire(&mut self, ask: u64, node: NodeId, lease: u64, above: u64) -> Decision {
        if let Some(held) = &self.held
            && held.what.1 == ask
        {
            return Decision::Granted(held.what.0.grant);
        }
        if self.held.is_some() || self.reserved.as_ref().is_some_and(|reserved| reserved.what != node) {
            return self.held();
        }
        let grant = self.newest.max(above).saturating_add(1);
        if Grant::new(grant).is_none() {
            // Every grant was given already.
            return self.held();
        }
        self.newest = grant;
        self.reserved = None;
        self.held = Some(Lasting::from(self.now, lease, (Holder { node, grant }, ask)));
        Decision::Granted(grant)
    }

    fn renew(&mut self, holder: Holder, length: u64) -> Decision {
        let now = self.now;
        match &mut self.held {
            Some(held) if held.what.0 == holder => {
                (held.length, held.ends) = (length, now.saturating_add(length));
                Decision::Renewed(holder.grant)
            }
            _ => self.held(),
        }
    }

    fn release(&mut self, holder: Holder, to: Option<NodeId>) -> Decision {
        if let Some(held) = self.held.take_if(|held| held.what.0 == holder) {
            self.reserved = to.map(|node| Lasting::from(self.now, held.length, node));
        }
        Decision::Released
    }

    fn held(&self) -> Decision {
        Decision::Held(self.held.as_ref().map(|held| held.what.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEASE: u64 = 1_000;

    fn node(number: u128) -> NodeId {
        NodeId::from_u128(number)
    }

    fn acquire(ask: u64, candidate: u128) -> Question {
        Question::Acquire { ask, node: node(candidate), lease: LEASE, above: 0 }
    }

    fn at(clock: Clock, now: u64, question: Question) -> ((u64, u64), Stamped) {
        ((clock.term, clock.member), Stamped { clock, now, question })
    }

    fn decide(register: &mut Register, (by, stamped): ((u64, u64), Stamped)) -> Decision {
        register.decide(by, &stamped)
    }

    const FIRST: Clock = Clock { term: 1, member: 1, start: 10 };

    #[test]
    fn a_lease_ends_by_the_clock_of_whoever_leads_the_raft() {
        let mut register = Register::default();
        assert_eq!(decide(&mut register, at(FIRST, 50, acquire(1, 7))), Decision::Granted(1));
        let holder = Holder { node: node(7), grant: 1 };
        assert_eq!(decide(&mut register, at(FIRST, 1_049, acquire(2, 8))), Decision::Held(Some(holder)));
        assert_eq!(decide(&mut register, at(FIRST, 1_050, acquire(3, 8))), Decision::Granted(2));
        let late = at(FIRST, 1_051, Question::Renew { holder, lease: LEASE });
        assert_eq!(decide(&mut register, late), Decision::Held(Some(Holder { node: node(8), grant: 2 })));
    }

    #[test]
    fn a_new_leader_of_the_raft_lets_every_lease_begin_again() {
        let restarted = Clock { start: 11, ..FIRST };
        for clock in [Clock { term: 2, ..FIRST }, Clock { member: 2, ..FIRST }, restarted] {
            let mut register = Register::default();
            decide(&mut register, at(FIRST, 5_000, acquire(1, 7)));
            // Its clock says something else altogether.
            assert!(matches!(
                decide(&mut register, at(clock, 90_000, acquire(2, 8))),
                Decision::Held(Some(_))
            ));
            assert!(matches!(
                decide(&mut register, at(clock, 90_999, acquire(3, 8))),
                Decision::Held(Some(_))
            ));
            assert_eq!(decide(&mut register, at(clock, 91_000, acquire(4, 8))), Decision::Granted(2));
        }
    }

    #[test]
    fn a_question_that_was_stamped_in_another_term_decides_nothing() {
        let mut register = Register::default();
        let (_, stamped) = at(FIRST, 50, acquire(1, 7));
        assert_eq!(register.decide((2, 1), &stamped), Decision::Late);
        assert_eq!(register, Register::default());
    }

    #[test]
    fn a_question_that_is_put_twice_is_answered_the_same_and_another_one_is_not() {
        let mut register = Register::default();
        for _ in 0..2 {
            assert_eq!(decide(&mut register, at(FIRST, 0, acquire(1, 7))), Decision::Granted(1));
        }
        // The same node, started again: it does not know what it did by the first grant.
        let held = Decision::Held(Some(Holder { node: node(7), grant: 1 }));
        assert_eq!(decide(&mut register, at(FIRST, 0, acquire(2, 7))), held);
    }

    #[test]
    fn a_release_is_a_reservation_for_the_length_of_a_lease() {
        let mut register = Register::default();
        decide(&mut register, at(FIRST, 0, acquire(1, 7)));
        let holder = Holder { node: node(7), grant: 1 };
        decide(&mut register, at(FIRST, 10, Question::Release { holder, to: Some(node(8)) }));
        assert_eq!(decide(&mut register, at(FIRST, 1_009, acquire(2, 9))), Decision::Held(None));
        let mut other = register.clone();
        assert_eq!(decide(&mut other, at(FIRST, 1_009, acquire(3, 8))), Decision::Granted(2));
        assert_eq!(decide(&mut register, at(FIRST, 1_010, acquire(4, 9))), Decision::Granted(2));
    }

    proptest! {
        /// Whatever leaders of the Raft come and go, with whatever clocks: nobody is granted the right before the time
        /// has passed for which the one before was told that it has it, counted from when that one asked.
        #[test]
        fn two_leases_never_overlap(steps in proptest::collection::vec((0_u8..6, 0_u64..400, 0_u128..3), 1..200)) {
            let (mut register, mut clock, mut offset) = (Register::default(), FIRST, 0);
            let (mut now, mut newest, mut until) = (0_u64, 0, 0);
            for (ask, (what, passes, candidate)) in (0..).zip(steps) {
                now += passes;
                let asked = now;
                if what == 0 {
                    clock = Clock { term: clock.term + passes % 2, start: clock.start + 1, ..clock };
                    offset = passes * 977;
                }
                let question = match what {
                    1 | 2 => Question::Renew { holder: Holder { node: node(candidate), grant: newest }, lease: LEASE },
                    3 => Question::Look,
                    _ => acquire(ask, candidate),
                };
                match decide(&mut register, at(clock, now + offset, question)) {
                    Decision::Granted(grant) => {
                        prop_assert!(grant > newest && now >= until, "{grant} at {now}, held until {until}");
                        (newest, until) = (grant, asked + LEASE);
                    }
                    Decision::Renewed(_) => until = asked + LEASE,
                    _ => {}
                }
            }
        }
    }
}
