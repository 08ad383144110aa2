//! Which nodes are asked: regions, audiences, freshness, fair shares; and what is believed of leaders.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::*;

const ANY: ReadPattern = ReadPattern::Any { at_most: None };

fn read(router: &Router, session: &mut Session, pattern: ReadPattern) -> Result<Route, NoRoute> {
    router.route(session, pattern, Audience::Default, at(100))
}

fn in_regions(regions: &[&str], from: &[&str]) -> Router {
    let mut fleet = Fleet::default();
    for (number, &region) in regions.iter().enumerate() {
        fleet.add(node(number), Tags::in_region(region));
    }
    fleet.leads(node(0), Epoch::new(1), None);
    Router::new(fleet, Regions::nearest_first(from.iter().copied()))
}

#[test]
fn reads_of_one_session_are_spread_over_the_followers_of_the_nearest_region() {
    let router = in_regions(&["eu", "eu", "eu", "eu", "us"], &["eu", "us"]);
    let mut session = Session::new(9);
    let mut asked = BTreeMap::<NodeId, usize>::new();
    for _ in 0..3_000 {
        *asked.entry(read(&router, &mut session, ANY).unwrap().node).or_default() += 1;
    }
    assert_eq!(asked.keys().copied().collect::<Vec<_>>(), [node(1), node(2), node(3)]);
    assert!(asked.values().all(|&times| (900..1_100).contains(&times)), "{asked:?}");
}

#[test]
fn the_next_region_is_asked_when_nobody_is_left_in_the_nearest() {
    let mut router = in_regions(&["us", "eu", "us", "ap"], &["eu", "us"]);
    let mut session = Session::new(9);
    assert_eq!(read(&router, &mut session, ANY).unwrap().node, node(1));
    for expected in [2, 0, 3] {
        let nearest = read(&router, &mut session, ANY).unwrap().node;
        router.fleet_mut().set_reachable(nearest, false);
        assert_eq!(read(&router, &mut session, ANY).unwrap().node, node(expected));
    }
    router.fleet_mut().remove(node(3));
    assert_eq!(read(&router, &mut session, ANY), Err(NoRoute::NobodyReachable));
}

#[test]
fn when_a_node_leaves_only_the_sessions_that_were_pinned_to_it_move_and_to_all_others() {
    let mut router = router_of(6);
    let pins = |router: &Router| -> Vec<NodeId> {
        let pin = |seed| read(router, &mut Session::new(seed), ReadPattern::Monotonic).unwrap().node;
        (0..1_000).map(pin).collect()
    };
    let before = pins(&router);
    router.fleet_mut().set_reachable(node(3), false);
    let after = pins(&router);
    let mut taken = BTreeMap::<NodeId, usize>::new();
    for (before, after) in before.into_iter().zip(after) {
        if before == node(3) {
            *taken.entry(after).or_default() += 1;
        } else {
            assert_eq!(before, after);
        }
    }
    assert_eq!(taken.len(), 4, "all followers that are left take some: {taken:?}");
}

#[test]
fn a_node_for_analytics_is_asked_for_reports_and_for_nothing_else() {
    let mut router = router_of(2);
    let reports = Audience::Analytics { or_default: false };
    let mut session = Session::new(3);
    let mut ask =
        |router: &Router, audience| router.route(&mut session, ANY, audience, at(0)).map(|route| route.node);
    assert_eq!(ask(&router, reports), Err(NoRoute::NoAnalytics));
    assert_eq!(ask(&router, Audience::Analytics { or_default: true }), Ok(node(1)));
    router.fleet_mut().add(node(7), Tags::default().for_analytics());
    assert_eq!(ask(&router, reports), Ok(node(7)));
    assert_eq!(ask(&router, Audience::Default), Ok(node(1)));
    router.fleet_mut().remove(node(0));
    router.fleet_mut().remove(node(1));
    assert_eq!(ask(&router, Audience::Default), Err(NoRoute::OnlyAnalytics));
}

#[test]
fn a_report_after_an_own_write_waits_at_the_node_for_reports_instead_of_asking_the_leader() {
    let mut router = router_of(2);
    router.fleet_mut().add(node(7), Tags::default().for_analytics());
    let mut session = Session::new(3);
    assert_eq!(router.acknowledged(&mut session, node(0), Answer::of(version(1, 5)), at(0)), Seen::Kept);
    let reports = Audience::Analytics { or_default: false };
    let pattern = ReadPattern::LeaderAfterOwnWrite { window: Duration::from_secs(1) };
    let route = router.route(&mut session, pattern, reports, at(1)).unwrap();
    assert_eq!((route.node, route.at_least, route.why), (node(7), Some(version(1, 5)), Reason::Waits));
}

#[test]
fn whoever_is_too_far_behind_or_was_not_heard_of_lately_is_not_asked() {
    let mut router = router_of(4);
    let bound = Freshness { records: 10, heard_within: Duration::from_millis(50) };
    let fresh = ReadPattern::Any { at_most: Some(bound) };
    let mut session = Session::new(3);
    // Nothing is known: the leader alone is fresh for sure.
    assert_eq!(read(&router, &mut session, fresh).unwrap().node, node(0));

    let heard = [(0, 100, 90), (1, 89, 90), (2, 90, 90), (3, 100, 40)];
    for (number, lsn, when) in heard {
        router.fleet_mut().heard(node(number), version(1, lsn), at(when));
    }
    assert_eq!(read(&router, &mut session, fresh).unwrap().node, node(2));
    let lag = Lag { records: 11, age: Duration::from_millis(10) };
    assert_eq!(router.fleet().lag(node(1), at(100)), Some(lag));

    router.fleet_mut().set_reachable(node(0), false);
    let error = read(&router, &mut session, fresh).unwrap_err();
    assert_eq!(error, NoRoute::TooFarBehind { reachable: 3, unknown: 3 });
}

#[test]
fn the_newest_epoch_wins_and_a_node_knows_best_that_it_does_not_lead() {
    let mut router = router_of(3);
    let fleet = router.fleet_mut();
    let epoch = Epoch::new;
    assert!(!fleet.leads(node(1), epoch(1), None), "an epoch has one leader");
    assert!(fleet.redirected(node(0), Some(node(2)), epoch(3)));
    assert_eq!(fleet.leader(), Ok((node(2), epoch(3))));
    assert!(!fleet.redirected(node(1), Some(node(0)), epoch(2)), "that was before");
    assert!(fleet.redirected(node(2), None, epoch(3)));
    assert_eq!(fleet.leader(), Err(NoRoute::NoLeader { newest: Some(epoch(3)) }));
    assert!(fleet.leads(node(9), epoch(4), None));
    assert_eq!(fleet.leader(), Err(NoRoute::UnknownLeader { leader: node(9), epoch: epoch(4) }));
}

#[test]
fn a_node_that_was_away_has_to_say_anew_how_far_it_is() {
    let mut router = router_of(2);
    let fleet = router.fleet_mut();
    fleet.heard(node(1), version(1, 8), at(5));
    fleet.heard(node(1), version(1, 7), at(4));
    assert_eq!(fleet.last_heard(node(1)), Some(Heard { version: version(1, 8), at: at(5) }));
    fleet.set_reachable(node(1), false);
    fleet.set_reachable(node(1), true);
    assert_eq!(fleet.last_heard(node(1)), None);
}
