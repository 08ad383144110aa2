//! What every coordinator has to keep, as a sequence of questions with waits between (feature `conformance`).
//!
//! An adapter implements [`Subject`] over its [`Coordinator`](super::Coordinator), with real waits, and calls
//! [`check`].

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use thiserror::Error;

use super::{Answer, Ask, Grant, Tenure};
use crate::node::NodeId;

/// A coordinator that is examined. Nobody else may ask it meanwhile, and nobody may hold anything when it begins.
pub trait Subject {
    /// Asks, and waits for the answer.
    fn ask(&mut self, ask: Ask) -> Answer;

    /// Lets so much time pass.
    fn wait(&mut self, span: Duration);

    /// Ends the coordinator, as by a loss of power, and starts it again, for those that can.
    fn restart(&mut self) {}
}

/// What a coordinator did not keep.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{rule}: {ask:?} was answered by {answer:?}")]
pub struct Broken {
    /// The rule.
    pub rule: &'static str,
    /// What was asked.
    pub ask: Ask,
    /// What it said.
    pub answer: String,
}

/// Examines a coordinator. It takes about fourteen leases; `lease` has to be long beside the time an answer takes.
pub fn check(subject: &mut impl Subject, lease: Duration) -> Result<(), Broken> {
    let mut exam = Exam { subject, lease, newest: None };
    exam.one_holder_at_a_time()?;
    exam.renewals()?;
    exam.grants_grow()?;
    exam.handing_over()?;
    exam.restarts()
}

const A: NodeId = NodeId::from_u128(0xa);
const B: NodeId = NodeId::from_u128(0xb);
const C: NodeId = NodeId::from_u128(0xc);

struct Exam<'a, S> {
    subject: &'a mut S,
    lease: Duration,
    newest: Option<Grant>,
}

impl<S: Subject> Exam<'_, S> {
    fn one_holder_at_a_time(&mut self) -> Result<(), Broken> {
        self.held("nobody holds what was never granted", Ask::Look, None)?;
        let a = self.granted(A, None)?;
        self.held("who holds it is told", Ask::Look, Some(a))?;
        self.held("what is held is granted to nobody else", self.acquire(B, None), Some(a))?;
        self.held("no holder is granted a second one", self.acquire(A, None), Some(a))
    }

    fn renewals(&mut self) -> Result<(), Broken> {
        let lease = self.lease;
        let a = Tenure { holder: A, grant: self.newest.unwrap_or(Grant::FIRST) };
        let forged = Tenure { holder: B, ..a };
        self.held("only the holder renews", Ask::Renew { tenure: forged, lease }, Some(a))?;
        let later = Tenure { grant: a.grant.next().unwrap_or(a.grant), ..a };
        self.held("only the grant that is held is renewed", Ask::Renew { tenure: later, lease }, Some(a))?;
        self.subject.wait(lease / 2);
        self.expect("the holder renews", Ask::Renew { tenure: a, lease }, &Answer::Renewed(a.grant))?;
        self.subject.wait(lease * 3 / 4);
        self.held("a lease that was renewed lasts", self.acquire(B, None), Some(a))?;
        self.subject.wait(lease * 2);
        self.held("a lease ends", Ask::Look, None)?;
        self.held("whoever lost it learns so", Ask::Renew { tenure: a, lease }, None)
    }

    fn grants_grow(&mut self) -> Result<(), Broken> {
        let heard_of = Grant::new(self.newest.map_or(0, Grant::number) + 10);
        let b = self.granted(B, heard_of)?;
        self.subject.wait(self.lease * 2);
        let a = self.granted(A, None)?;
        let late = Ask::Release { tenure: b, to: None };
        self.expect("what is not held is given back all the same", late, &Answer::Released)?;
        self.held("but nobody else's lease ends by that", Ask::Look, Some(a))
    }

    fn handing_over(&mut self) -> Result<(), Broken> {
        let a = Tenure { holder: A, grant: self.newest.unwrap_or(Grant::FIRST) };
        let to_b = Ask::Release { tenure: a, to: Some(B) };
        self.expect("the holder gives it back", to_b, &Answer::Released)?;
        self.held("only who was named comes", self.acquire(C, None), None)?;
        let b = self.granted(B, None)?;
        self.expect("the next one, too", Ask::Release { tenure: b, to: None }, &Answer::Released)?;
        let c = self.granted(C, None)?;
        self.expect("once more", Ask::Release { tenure: c, to: Some(B) }, &Answer::Released)?;
        self.subject.wait(self.lease * 2);
        // Who was named did not come.
        self.granted(A, None).map(|_| ())
    }

    fn restarts(&mut self) -> Result<(), Broken> {
        let a = Tenure { holder: A, grant: self.newest.unwrap_or(Grant::FIRST) };
        self.subject.restart();
        self.held("a lease survives a restart", self.acquire(B, None), Some(a))?;
        self.subject.wait(self.lease * 2);
        self.subject.restart();
        self.subject.wait(self.lease * 2);
        let b = self.granted(B, None)?;
        self.expect("the end", Ask::Release { tenure: b, to: None }, &Answer::Released)
    }

    fn acquire(&self, candidate: NodeId, above: Option<Grant>) -> Ask {
        Ask::Acquire { candidate, lease: self.lease, above }
    }

    fn granted(&mut self, candidate: NodeId, above: Option<Grant>) -> Result<Tenure, Broken> {
        let ask = self.acquire(candidate, above);
        match self.subject.ask(ask) {
            Answer::Granted(grant) if Some(grant) > self.newest.max(above) => {
                self.newest = Some(grant);
                Ok(Tenure { holder: candidate, grant })
            }
            answer => Err(broken("what is free is granted, by a grant above all others", ask, &answer)),
        }
    }

    fn held(&mut self, rule: &'static str, ask: Ask, tenure: Option<Tenure>) -> Result<(), Broken> {
        self.expect(rule, ask, &Answer::Held(tenure))
    }

    fn expect(&mut self, rule: &'static str, ask: Ask, expected: &Answer) -> Result<(), Broken> {
        let answer = self.subject.ask(ask);
        if answer == *expected { Ok(()) } else { Err(broken(rule, ask, &answer)) }
    }
}

fn broken(rule: &'static str, ask: Ask, answer: &Answer) -> Broken {
    Broken { rule, ask, answer: format!("{answer:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::model::{Model, Recovered};
    use crate::time::Instant;

    const LEASE: Duration = Duration::from_secs(30);

    struct InMemory<F> {
        model: Model,
        now: Instant,
        twist: F,
    }

    impl<F: FnMut(&mut Ask, &mut Instant)> Subject for InMemory<F> {
        fn ask(&mut self, mut ask: Ask) -> Answer {
            (self.twist)(&mut ask, &mut self.now);
            self.model.handle(self.now, ask)
        }

        fn wait(&mut self, span: Duration) {
            self.now = self.now + span;
        }

        fn restart(&mut self) {
            self.model.lose();
            self.model.recover(self.now, Recovered::Whole);
        }
    }

    fn examined(twist: impl FnMut(&mut Ask, &mut Instant)) -> Result<(), &'static str> {
        let mut subject = InMemory { model: Model::new(LEASE), now: Instant::default(), twist };
        check(&mut subject, LEASE).map_err(|broken| broken.rule)
    }

    #[test]
    fn the_model_keeps_what_every_coordinator_has_to_keep() {
        assert_eq!(examined(|_, _| ()), Ok(()));
    }

    #[test]
    fn the_mistakes_that_are_easily_made_are_found() {
        let forgets_above = examined(|ask, _| {
            if let Ask::Acquire { above, .. } = ask {
                *above = None;
            }
        });
        assert_eq!(forgets_above, Err("what is free is granted, by a grant above all others"));
        let names_nobody = examined(|ask, _| {
            if let Ask::Release { to, .. } = ask {
                *to = None;
            }
        });
        assert_eq!(names_nobody, Err("only who was named comes"));
        let short = examined(|ask, _| {
            if let Ask::Renew { lease, .. } = ask {
                *lease = Duration::ZERO;
            }
        });
        assert_eq!(short, Err("a lease that was renewed lasts"));
        let never_ends = examined(|ask, now| {
            if matches!(ask, Ask::Look) {
                *now = Instant::default();
            }
        });
        assert_eq!(never_ends, Err("a lease ends"));
    }

    #[test]
    fn a_store_that_forgot_everything_grants_nothing_until_the_leases_it_may_have_given_are_over() {
        let mut model = Model::new(LEASE);
        let ask = |candidate, above| Ask::Acquire { candidate, lease: LEASE, above };
        let start = Instant::from_micros(5);
        assert_eq!(model.handle(start, ask(A, None)), Answer::Granted(Grant::FIRST));
        model.lose();
        assert!(matches!(model.handle(start, Ask::Look), Answer::Unavailable { .. }));
        model.recover(start, Recovered::Empty);
        assert!(matches!(model.handle(start + LEASE / 2, ask(B, None)), Answer::Unavailable { .. }));
        let second = Grant::FIRST.next().unwrap();
        // Whoever asks has heard of the first: that is what keeps the numbers growing.
        assert_eq!(model.handle(start + LEASE, ask(B, Some(Grant::FIRST))), Answer::Granted(second));
    }
}
