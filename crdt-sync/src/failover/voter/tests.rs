use proptest::prelude::*;

use super::*;

const TERMS: LeaseTerms = LeaseTerms::DEFAULT;

fn node(number: u8) -> NodeId {
    NodeId::from_u128(number.into())
}

fn grant(number: u64) -> Grant {
    Grant::new(number).unwrap()
}

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn promise(number: u64, candidate: u8) -> Request {
    Request::Promise { grant: grant(number), candidate: node(candidate), lease: TERMS.span }
}

fn renew(number: u64, holder: u8) -> Request {
    Request::Renew { grant: grant(number), holder: node(holder), lease: TERMS.span }
}

fn release(number: u64, holder: u8, to: Option<u8>) -> Request {
    Request::Release { grant: grant(number), holder: node(holder), to: to.map(node) }
}

/// Has promised grant 1 to node 1 at the second 0.
fn lent() -> Voter {
    let mut voter = Voter::new(TERMS, Epoch::ZERO, at(0));
    assert_eq!(voter.handle(promise(1, 1), at(0)), Ok(()));
    voter
}

#[test]
fn a_grant_is_promised_to_one_candidate_however_often_it_asks() {
    let mut voter = lent();
    assert_eq!(voter.handle(promise(1, 1), at(1)), Ok(()));
    assert_eq!(voter.handle(promise(1, 2), at(1)), Err(Refusal::Promised { newest: grant(1) }));
    assert_eq!(voter.handle(promise(1, 2), at(100)), Err(Refusal::Promised { newest: grant(1) }));
    assert_eq!(voter.handle(promise(3, 2), at(100)), Ok(()));
    assert_eq!(voter.handle(promise(2, 1), at(200)), Err(Refusal::Promised { newest: grant(3) }));
}

#[test]
fn nobody_else_is_promised_anything_while_a_lease_runs() {
    let mut voter = lent();
    let until = TERMS.kept_until(at(20));
    assert_eq!(voter.handle(renew(1, 1), at(20)), Ok(()));
    assert_eq!(voter.handle(promise(2, 2), at(40)), Err(Refusal::LeaseRuns { holder: Some(node(1)), until }));
    // Its holder comes into nobody's way.
    assert_eq!(voter.handle(promise(2, 1), at(40)), Ok(()));
}

#[test]
fn a_clock_that_goes_back_ends_no_lease_and_begins_none_earlier() {
    let mut voter = lent();
    assert_eq!(voter.handle(renew(1, 1), at(100)), Ok(()));
    assert_eq!(voter.handle(renew(1, 1), at(1)), Ok(()));
    assert!(voter.handle(promise(2, 2), at(130)).is_err());
}

#[test]
fn a_voter_that_restarts_waits_a_full_lease_for_everybody_but_whoever_renews() {
    let mut voter = Voter::new(TERMS, grant(4).epoch(), at(10));
    let until = TERMS.kept_until(at(10));
    assert_eq!(voter.handle(promise(5, 2), at(40)), Err(Refusal::JustRestarted { until }));
    assert_eq!(voter.handle(promise(4, 2), at(40)), Err(Refusal::Promised { newest: grant(4) }));
    assert_eq!(voter.handle(renew(4, 1), at(40)), Ok(()));
    assert!(voter.handle(promise(5, 2), at(60)).is_err());
    assert_eq!(voter.handle(promise(5, 2), TERMS.kept_until(at(40))), Ok(()));
}

#[test]
fn a_handover_names_who_may_come_before_the_lease_is_over() {
    let mut voter = lent();
    assert_eq!(voter.handle(release(1, 1, Some(2)), at(1)), Ok(()));
    let until = TERMS.kept_until(at(1));
    assert_eq!(voter.handle(promise(2, 3), at(2)), Err(Refusal::LeaseRuns { holder: Some(node(2)), until }));
    assert_eq!(voter.clone().handle(promise(2, 3), until), Ok(()), "but not for ever");
    assert_eq!(voter.handle(promise(2, 2), at(2)), Ok(()));
}

#[test]
fn what_was_given_back_is_not_renewed_by_a_late_message() {
    let mut voter = lent();
    assert_eq!(voter.handle(release(1, 1, None), at(1)), Ok(()));
    assert_eq!(voter.handle(renew(1, 1), at(2)), Err(Refusal::Released));
    assert_eq!(voter.handle(promise(1, 1), at(2)), Err(Refusal::Released));
    assert_eq!(voter.handle(promise(2, 2), at(2)), Ok(()));
    assert!(voter.handle(release(1, 1, None), at(3)).is_err(), "and nobody else's lease ends by it");
    assert!(voter.handle(promise(3, 3), at(3)).is_err());
}

#[test]
fn only_the_holder_gives_back() {
    let mut voter = lent();
    assert!(voter.handle(release(1, 2, Some(2)), at(1)).is_err());
    assert!(voter.handle(promise(2, 2), at(1)).is_err());
}

#[test]
fn a_longer_lease_than_what_a_restart_waits_for_is_refused() {
    let long = Request::Promise { grant: grant(1), candidate: node(1), lease: TERMS.span * 2 };
    let mut voter = Voter::new(TERMS, Epoch::ZERO, at(0));
    assert_eq!(voter.handle(long, at(0)), Err(Refusal::LeaseTooLong { most: TERMS.span }));
}

#[test]
fn a_leader_that_comes_along_by_the_log_may_renew() {
    let mut voter = lent();
    voter.learn(grant(7).epoch());
    assert_eq!(voter.handle(promise(7, 3), at(1)), Err(Refusal::Promised { newest: grant(7) }));
    assert_eq!(voter.handle(renew(7, 2), at(31)), Ok(()));
    voter.learn(grant(3).epoch());
    assert_eq!(voter.promised(), Some(grant(7)));
}

proptest! {
    /// Whatever comes, in whatever order, restarts included: between two holders lies a lease, or word of the first.
    #[test]
    fn no_two_nodes_are_lent_anything_at_once(
        steps in prop::collection::vec((0_u8..4, 1_u64..8, 1_u8..4, 0_u64..20), 1..60),
    ) {
        let mut voter = Voter::new(TERMS, Epoch::ZERO, at(0));
        let (mut now, mut lent, mut durable) = (0, None::<(u8, Instant)>, Epoch::ZERO);
        for (kind, number, who, later) in steps {
            now += later;
            let now = at(now);
            match kind {
                0 => voter = Voter::new(TERMS, durable, now),
                1 if voter.handle(release(number, who, None), now).is_ok() => lent = None,
                1 => {}
                _ => {
                    let request = if kind == 2 { promise(number, who) } else { renew(number, who) };
                    // Only who was promised the newest grant renews it.
                    let may = kind == 2 || lent.is_some_and(|(holder, _)| holder == who);
                    if may && voter.handle(request, now).is_ok() {
                        if let Some((holder, until)) = lent {
                            prop_assert!(holder == who || now >= until, "{holder} and {who}");
                        }
                        lent = Some((who, TERMS.kept_until(now)));
                        durable = durable.max(voter.promised().unwrap().epoch());
                    }
                }
            }
        }
    }
}
