//! What each pattern does, one thing at a time.

use super::*;

const VERSIONED: ReadPattern = ReadPattern::Versioned { waits: true };
const SECOND: ReadPattern = ReadPattern::LeaderAfterOwnWrite { window: Duration::from_secs(1) };

fn read(router: &Router, session: &mut Session, pattern: ReadPattern, now: u64) -> Result<Route, NoRoute> {
    router.route(session, pattern, Audience::Default, at(now))
}

/// A session that wrote record `lsn` of epoch 1 at time 0.
fn wrote(router: &mut Router, lsn: u64) -> Session {
    let mut session = Session::new(1);
    let ack = Answer::of(version(1, lsn));
    assert_eq!(router.acknowledged(&mut session, node(0), ack, at(0)), Seen::Kept);
    session
}

// ---- The leader after own writes ----

#[test]
fn within_the_window_after_a_write_the_leader_is_asked_and_then_the_followers_again() {
    let mut router = router_of(3);
    let mut session = wrote(&mut router, 5);
    let soon = read(&router, &mut session, SECOND, 999).unwrap();
    assert_eq!((soon.node, soon.at_least, soon.why), (node(0), Some(version(1, 5)), Reason::OwnWrite));
    let later = read(&router, &mut session, SECOND, 1_000).unwrap();
    assert_ne!(later.node, node(0));
    assert_eq!((later.at_least, later.why), (None, Reason::Nearest));
}

#[test]
fn a_follower_that_is_known_to_have_the_write_relieves_the_leader_at_once() {
    let mut router = router_of(3);
    let mut session = wrote(&mut router, 5);
    router.fleet_mut().heard(node(1), version(1, 4), at(10));
    router.fleet_mut().heard(node(2), version(1, 5), at(10));
    let route = read(&router, &mut session, SECOND, 20).unwrap();
    assert_eq!((route.node, route.why), (node(2), Reason::HasIt));
}

#[test]
fn without_a_leader_an_own_write_is_not_read_from_whoever_is_left() {
    let mut router = router_of(3);
    let mut session = wrote(&mut router, 5);
    router.fleet_mut().set_reachable(node(0), false);
    let error = read(&router, &mut session, SECOND, 20).unwrap_err();
    assert_eq!(error, NoRoute::LeaderUnreachable { leader: node(0), epoch: Epoch::new(1) });
    router.fleet_mut().heard(node(1), version(2, 3), at(30));
    let error = read(&router, &mut session, SECOND, 40).unwrap_err();
    assert_eq!(error, NoRoute::NoLeader { newest: Some(Epoch::new(2)) });
}

#[test]
fn a_leader_whose_reign_the_session_outlived_is_not_asked() {
    let router = router_of(3);
    let session = Session::resume(1, version(2, 5));
    assert_eq!(router.route_write(&session), Err(NoRoute::NoLeader { newest: Some(Epoch::new(1)) }));
}

// ---- Monotonic reads ----

#[test]
fn a_session_stays_with_its_node_and_waits_there_for_its_own_write() {
    let mut router = router_of(4);
    let mut session = Session::new(1);
    let first = read(&router, &mut session, ReadPattern::Monotonic, 0).unwrap();
    assert_eq!((first.at_least, first.why), (None, Reason::NewlyPinned));
    assert_eq!(router.acknowledged(&mut session, node(0), Answer::of(version(1, 5)), at(1)), Seen::Kept);
    let next = read(&router, &mut session, ReadPattern::Monotonic, 2).unwrap();
    assert_eq!((next.node, next.at_least, next.why), (first.node, Some(version(1, 5)), Reason::Pinned));
}

#[test]
fn when_its_node_leaves_a_session_moves_to_one_that_is_known_to_be_as_far() {
    let mut router = router_of(4);
    let mut session = wrote(&mut router, 5);
    for (number, lsn) in [(1, 5), (2, 5), (3, 4)] {
        router.fleet_mut().heard(node(number), version(1, lsn), at(1));
    }
    let first = read(&router, &mut session, ReadPattern::Monotonic, 2).unwrap();
    assert!([node(1), node(2)].contains(&first.node));
    router.fleet_mut().remove(first.node);
    let moved = read(&router, &mut session, ReadPattern::Monotonic, 3).unwrap();
    assert_eq!(moved.why, Reason::NewlyPinned);
    assert!(moved.node != first.node && moved.node != node(3));

    // Nobody else is known to be there: the leader for now, without a pin.
    router.fleet_mut().set_reachable(moved.node, false);
    let route = read(&router, &mut session, ReadPattern::Monotonic, 4).unwrap();
    assert_eq!((route.node, route.why, session.pin()), (node(0), Reason::Leader, None));

    // Not even the leader: the one that is left has to wait.
    router.fleet_mut().set_reachable(node(0), false);
    let route = read(&router, &mut session, ReadPattern::Monotonic, 5).unwrap();
    assert_eq!((route.node, route.at_least, route.why), (node(3), Some(version(1, 5)), Reason::Waits));
}

// ---- Versioned reads ----

#[test]
fn a_near_node_that_must_wait_comes_before_a_far_one_that_need_not() {
    let mut fleet = Fleet::default();
    for (number, region) in [(0, "us"), (1, "eu"), (2, "eu")] {
        fleet.add(node(number), Tags::in_region(region));
    }
    fleet.leads(node(0), Epoch::new(1), None);
    let mut router = Router::new(fleet, Regions::nearest_first(["eu", "us"]));
    let mut session = wrote(&mut router, 5);
    let route = read(&router, &mut session, VERSIONED, 1).unwrap();
    assert!(route.node != node(0) && route.why == Reason::Waits);
    router.fleet_mut().heard(node(2), version(1, 6), at(2));
    let route = read(&router, &mut session, VERSIONED, 3).unwrap();
    assert_eq!((route.node, route.why), (node(2), Reason::HasIt));
}

#[test]
fn who_will_not_wait_is_sent_to_whoever_is_known_to_have_it_and_else_to_the_leader() {
    let mut router = router_of(3);
    let mut session = wrote(&mut router, 5);
    let in_a_hurry = ReadPattern::Versioned { waits: false };
    router.fleet_mut().heard(node(1), version(1, 4), at(1));
    assert_eq!(read(&router, &mut session, in_a_hurry, 2).unwrap().node, node(0));
    router.fleet_mut().heard(node(2), version(1, 5), at(3));
    assert_eq!(read(&router, &mut session, in_a_hurry, 4).unwrap().node, node(2));
    router.fleet_mut().set_reachable(node(0), false);
    router.fleet_mut().set_reachable(node(2), false);
    let nobody = NoRoute::LeaderUnreachable { leader: node(0), epoch: Epoch::new(1) };
    assert_eq!(read(&router, &mut session, in_a_hurry, 5), Err(nobody));
}

// ---- Failover ----

#[test]
fn a_token_survives_a_failover_that_lost_nothing_of_it() {
    let mut router = router_of(3);
    let mut session = wrote(&mut router, 5);
    assert!(router.fleet_mut().leads(node(1), Epoch::new(2), Some(version(1, 5))));
    router.fleet_mut().heard(node(1), version(2, 7), at(1));
    let route = read(&router, &mut session, VERSIONED, 2).unwrap();
    assert_eq!(route.at_least, Some(version(1, 5)));
    assert_eq!(router.answered(&mut session, &route, Answer::of(version(2, 6)), at(3)), Seen::Kept);
    assert_eq!(session.version(), Some(version(2, 6)));
}

#[test]
fn a_write_that_a_failover_lost_is_told_before_anybody_is_asked() {
    let mut router = router_of(3);
    let mut session = wrote(&mut router, 5);
    // More records than the old leader had, and not the fifth of them.
    assert!(router.fleet_mut().leads(node(1), Epoch::new(2), Some(version(1, 4))));
    router.fleet_mut().heard(node(1), version(2, 9), at(1));
    let loss = Loss { lost: version(1, 5), kept: version(2, 4) };
    for pattern in [SECOND, ReadPattern::Monotonic, VERSIONED] {
        assert_eq!(read(&router, &mut session, pattern, 2), Err(NoRoute::Lost(loss)));
    }
    session.accept(loss);
    let route = read(&router, &mut session, VERSIONED, 3).unwrap();
    assert_eq!(route.at_least, Some(version(2, 4)), "what is left is still promised");
}

#[test]
fn where_two_logs_part_is_the_nodes_word_when_the_router_was_not_told() {
    let mut router = router_of(3);
    let mut session = wrote(&mut router, 5);
    assert!(router.fleet_mut().leads(node(1), Epoch::new(2), None));
    let route = read(&router, &mut session, VERSIONED, 1).unwrap();
    let answer = Answer::of(version(2, 9));
    let doubt = Seen::Unsure { needed: version(1, 5) };
    assert_eq!(router.answered(&mut session, &route, answer, at(2)), doubt);
    assert_eq!(session.version(), Some(version(1, 5)));
    let vouched = answer.vouching(route.at_least);
    assert_eq!(router.answered(&mut session, &route, vouched, at(3)), Seen::Kept);
    assert_eq!(session.version(), Some(version(2, 9)));
}

#[test]
fn a_write_that_takes_the_place_of_what_was_seen_shows_that_it_was_lost() {
    let mut router = router_of(3);
    let mut session = wrote(&mut router, 5);
    assert!(router.fleet_mut().leads(node(1), Epoch::new(2), None));
    // Record 5 of epoch 1 cannot be in a log whose record 5 is of epoch 2.
    let told = router.acknowledged(&mut session, node(1), Answer::of(version(2, 5)), at(1));
    assert_eq!(told, Seen::Lost(Loss { lost: version(1, 5), kept: version(2, 4) }));
    assert_eq!(session.version(), Some(version(2, 5)));
}

#[test]
fn a_late_acknowledgement_by_the_old_leader_says_whether_the_new_one_has_the_write() {
    let mut router = router_of(3);
    let mut session = wrote(&mut router, 5);
    assert!(router.fleet_mut().leads(node(1), Epoch::new(2), Some(version(1, 8))));
    let route = read(&router, &mut session, VERSIONED, 1).unwrap();
    assert_eq!(router.answered(&mut session, &route, Answer::of(version(2, 6)), at(2)), Seen::Kept);
    // Record 8 went over to the new leader, record 9 did not.
    let mut late = |lsn| router.acknowledged(&mut session, node(0), Answer::of(version(1, lsn)), at(3));
    assert_eq!(late(8), Seen::Kept);
    assert_eq!(late(9), Seen::Lost(Loss { lost: version(1, 9), kept: version(2, 8) }));
    assert_eq!(session.version(), Some(version(2, 8)));
}

#[test]
fn a_write_is_promised_also_if_the_one_before_it_was_in_a_newer_epoch() {
    let mut router = router_of(3);
    let mut session = wrote(&mut router, 5);
    assert!(router.fleet_mut().leads(node(1), Epoch::new(2), Some(version(1, 2))));
    session.accept(Loss { lost: version(1, 5), kept: version(2, 2) });
    // A node that did not hear of the new leader has what is left, and the session goes on with the old one's log.
    let route = read(&router, &mut session, ReadPattern::Monotonic, 1).unwrap();
    assert_eq!(router.answered(&mut session, &route, Answer::of(version(1, 3)), at(2)), Seen::Kept);
    assert_eq!(router.acknowledged(&mut session, node(0), Answer::of(version(1, 6)), at(3)), Seen::Kept);
    // It is told of the new one, instead of being promised only what it wrote first.
    let loss = Loss { lost: version(1, 6), kept: version(2, 2) };
    assert_eq!(read(&router, &mut session, SECOND, 4), Err(NoRoute::Lost(loss)));
}

#[test]
fn an_answer_that_was_overtaken_is_not_shown() {
    let mut router = router_of(3);
    let mut session = wrote(&mut router, 5);
    let slow = read(&router, &mut session, VERSIONED, 1).unwrap();
    let quick = read(&router, &mut session, VERSIONED, 1).unwrap();
    assert_eq!(router.answered(&mut session, &quick, Answer::of(version(1, 8)), at(2)), Seen::Kept);
    let late = router.answered(&mut session, &slow, Answer::of(version(1, 6)), at(3));
    assert_eq!(late, Seen::Behind { needed: version(1, 8) });
}
