//! Partitions, pauses and clocks that jump: nobody leads beside anybody else.

use std::time::Duration;

use crdt_sync::failover::model::Recovered;
use crdt_sync::failover::supervisor::{Command, Event, Refused, WhyStepDown};
use crdt_sync::failover::voter::{Refusal, Request, Voter};
use crdt_sync::failover::{Detection, FailoverConfig, Grant, GrantedBy, LeaseTerms};
use crdt_sync::time::Instant;
use replication_log::Epoch;

use crate::world::*;

fn steps_down(event: &Event) -> bool {
    matches!(event, Event::SteppedDown { .. })
}

fn leads(event: &Event) -> bool {
    matches!(event, Event::Leads { .. })
}

#[test]
fn who_leads_by_grant_42_is_refused_once_43_was_promised() {
    let (terms, now) = (LeaseTerms::DEFAULT, Instant::from_micros(0));
    let grant = |number| Grant::new(number).unwrap();
    let mut voter = Voter::new(terms, Epoch::ZERO, now);
    let promise =
        |number, node| Request::Promise { grant: grant(number), candidate: id(node), lease: terms.span };
    voter.handle(promise(42, A), now).unwrap();
    // A is isolated; its lease ends, and B is elected.
    let later = terms.kept_until(now);
    voter.handle(promise(43, B), later).unwrap();
    let renew = Request::Renew { grant: grant(42), holder: id(A), lease: terms.span };
    assert_eq!(voter.handle(renew, later), Err(Refusal::Promised { newest: grant(43) }));
    assert!(grant(42).epoch() < grant(43).epoch(), "which is what logs compare");
}

#[test]
fn scenario_55_a_leader_without_a_majority_steps_down_before_its_lease_ends_and_before_the_next_one_leads() {
    for granted_by in [GrantedBy::Promises, GrantedBy::Coordinator { failsafe: true }] {
        let config = FailoverConfig { granted_by, ..settings(5) };
        let (mut world, leader) = World::new(config, 5).with_drift().start_all().led();
        let other = (leader + 1) % 5;
        world.split_off(&[leader, other]);
        let mut lease_until = None;
        let mut next = None;
        let end = world.now + bound(&world.config).as_micros() as u64;
        while world.now < end && next.is_none() {
            world.run(Duration::from_millis(10));
            let old = world.host(leader);
            if let Some((_, until)) = old.leads {
                lease_until = Some(until);
                let left = until.since(world.local(leader));
                let margin = world.config.lease.margin;
                assert!(left + Duration::from_millis(10) >= margin, "{left:?} left at {} us", world.now);
            }
            next = world.leaders().into_iter().find(|node| *node != leader);
        }
        assert!(next.is_some_and(|node| node != other), "{granted_by:?}: somebody among the three leads");
        assert!(lease_until.is_some_and(|until| until < world.local(leader)), "the old lease is over");
        let (stepped, led) = (world.told(leader, steps_down), world.told(next.unwrap(), leads));
        assert!(stepped < led, "{granted_by:?}: {stepped:?}, {led:?}");
        assert!(world.broken.is_empty(), "{:?}", world.broken);
    }
}

/// A hears everything four seconds late, what it was granted as well, and is cut off as soon as it hears of that.
#[test]
fn a_lease_counts_from_when_it_was_asked_for_however_late_the_answer_comes() {
    for (seed, renewals) in (0..40).flat_map(|seed| [(seed, 0), (seed, 2)]) {
        for granted_by in [GrantedBy::Promises, GrantedBy::Coordinator { failsafe: false }] {
            let detection = Detection::Fixed { timeout: secs(12) };
            let turn = Duration::from_millis(300);
            let mut config = FailoverConfig { granted_by, detection, turn, seed, ..settings(3) };
            config.lease.margin = Duration::ZERO;
            let mut world = World::new(config, seed).with_drift();
            world.slow = Some(A);
            let mut world = world.start_all();
            for node in [B, C] {
                world.operate(node, Command::Pause);
            }
            assert_eq!(world.until_somebody_leads(secs(60)).unwrap().0, A);
            for node in [B, C] {
                world.operate(node, Command::Resume);
            }
            for _ in 0..renewals {
                let lease = world.host(A).supervisor.lease_until();
                world
                    .until(secs(30), |world| (world.host(A).supervisor.lease_until() != lease).then_some(()))
                    .unwrap();
            }
            assert_eq!(
                world.leaders(),
                [A],
                "seed {seed}, {granted_by:?}, {renewals}: it renews all the same"
            );
            world.split_off(&[A]);
            world.run(bound(&world.config));
            assert!([B, C].iter().any(|node| world.leaders() == [*node]), "{:?}", world.told);
            assert!(world.broken.is_empty(), "seed {seed}, {granted_by:?}, {renewals}: {:?}", world.broken);
        }
    }
}

#[test]
fn scenario_48_a_leader_that_was_stopped_for_longer_than_its_lease_does_nothing_when_it_wakes() {
    let (mut world, leader) = World::new(settings(3), 2).start_all().led();
    let before = Grant::of(world.host(leader).leads.unwrap().0);
    world.stop(leader, secs(120));
    world.run(secs(119));
    let next = world.leaders()[0];
    assert_ne!(next, leader);
    assert!(Grant::of(world.host(next).leads.unwrap().0) > before);
    world.run(secs(2));
    let ended = Event::SteppedDown { why: WhyStepDown::LeaseEnded };
    assert!(world.told(leader, |event| *event == ended).is_some());
    world.run(secs(20));
    assert_eq!((world.leaders(), world.host(leader).supervisor.leader()), (vec![next], Some(id(next))));
    assert!(world.broken.is_empty());
}

#[test]
fn who_was_stopped_itself_or_whose_clock_jumps_starts_no_election() {
    let (mut world, leader) = World::new(settings(3), 2).start_all().led();
    let (stopped, jumped) = ((leader + 1) % 3, (leader + 2) % 3);
    world.stop(stopped, secs(300));
    world.run(secs(305));
    world.jump(jumped, secs(3_600));
    world.run(secs(120));
    for node in [stopped, jumped] {
        assert!(world.told(node, |event| matches!(event, Event::WasAway { .. })).is_some());
        assert_eq!(world.told(node, |event| matches!(event, Event::ElectionStarted { .. })), None);
    }
    assert_eq!(world.leaders(), [leader]);
}

#[test]
fn a_leader_whose_clock_jumps_gives_up_its_lease_at_once() {
    let (mut world, leader) = World::new(settings(3), 2).start_all().led();
    world.jump(leader, secs(3_600));
    world.run(Duration::from_millis(1));
    assert_eq!(world.leaders(), []);
    assert!(world.until_somebody_leads(bound(&world.config)).is_some());
}

#[test]
fn who_alone_does_not_hear_the_leader_does_not_disturb_it() {
    let (mut world, leader) = World::new(settings(3), 2).start_all().led();
    let deaf = (leader + 1) % 3;
    world.cut = Some((leader, deaf));
    world.run(secs(600));
    assert_eq!(world.leaders(), [leader]);
    let still = Event::Refused(Refused::StillHeard { leader: id(leader), by: 1 });
    assert!(world.told(deaf, |event| *event == still).is_some());
    assert_eq!(world.told(leader, steps_down), None);
}

#[test]
fn a_second_failure_during_the_failover_only_costs_time() {
    let (mut world, leader) = World::new(settings(5), 4).start_all().led();
    world.crash(leader);
    let asks = |event: &Event| matches!(event, Event::ElectionStarted { .. });
    let next = |world: &World| (0..5).find(|node| world.told(*node, asks).is_some());
    let (second, _) = world.until(secs(60), next).unwrap();
    world.crash(second);
    let (third, _) = world.until_somebody_leads(bound(&world.config)).unwrap();
    assert!(third != leader && third != second);
}

#[test]
fn scenario_56_without_the_coordinator_a_leader_goes_on_only_while_all_members_agree() {
    for failsafe in [false, true] {
        let config = FailoverConfig { granted_by: GrantedBy::Coordinator { failsafe }, ..settings(3) };
        let (mut world, leader) = World::new(config, 6).start_all().led();
        world.coordinator.lose();
        world.run(secs(600));
        assert_eq!(world.leaders() == [leader], failsafe);
        assert!(world.told(leader, |event| matches!(event, Event::Degraded { .. })).is_some());
        if failsafe {
            // A majority is not enough: the one that is missing might be granted it, by a coordinator it can reach.
            world.crash((leader + 1) % 3);
            world.run(world.config.lease.span + secs(10));
            assert_eq!(world.leaders(), []);
            world.start((leader + 1) % 3);
        }
        world.coordinator.recover(world.coordinator_now(), Recovered::Empty);
        assert!(world.until_somebody_leads(bound(&world.config)).is_some(), "failsafe: {failsafe}");
        assert!(world.broken.is_empty(), "{:?}", world.broken);
    }
}

#[test]
fn a_coordinator_that_comes_back_empty_elects_nobody_beside_a_leader_that_the_members_keep() {
    for seed in 0..50 {
        let config = FailoverConfig { granted_by: GrantedBy::Coordinator { failsafe: true }, ..settings(3) };
        let (mut world, leader) = World::new(config, seed).with_drift().start_all().led();
        world.coordinator.lose();
        world.run(secs(100 + seed));
        // The leader cannot reach it, and the others can; they hear the leader no more.
        world.coordinator.recover(world.coordinator_now(), Recovered::Empty);
        world.split_off(&[leader]);
        assert!(
            world
                .until(bound(&world.config), |world| {
                    world.leaders().into_iter().find(|node| *node != leader)
                })
                .is_some()
        );
        assert!(world.broken.is_empty(), "seed {seed}: {:?}", world.broken);
    }
}
