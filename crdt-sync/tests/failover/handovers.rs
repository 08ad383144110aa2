//! Planned switchovers.

use std::time::Duration;

use crdt_sync::failover::supervisor::{Command, Event};
use crdt_sync::failover::{FailoverConfig, GrantedBy};

use crate::world::*;

fn both_ways() -> [FailoverConfig; 2] {
    let granted = |granted_by| FailoverConfig { granted_by, flapping: secs(3_600), ..settings(3) };
    [granted(GrantedBy::Promises), granted(GrantedBy::Coordinator { failsafe: false })]
}

fn switch_over(world: &mut World, from: usize, to: usize, within: Duration) {
    let deadline = world.local(from) + within;
    world.operate(from, Command::SwitchOver { to: id(to), deadline });
}

#[test]
fn a_planned_switchover_loses_nothing_and_does_not_wait_for_the_lease() {
    for config in both_ways() {
        let (mut world, leader) = World::new(config, 1).start_all().led();
        let to = (leader + 2) % 3;
        switch_over(&mut world, leader, to, secs(30));
        let gone = |world: &World| world.host(leader).leads.is_none().then_some(world.host(leader).disk.end);
        let (end, _) = world.until(secs(15), gone).unwrap();
        let (next, took) = world.until_somebody_leads(secs(30)).unwrap();
        assert_eq!(next, to);
        assert!(took < secs(5), "{took:?}");
        assert_eq!(world.host(to).disk.end, end, "all there was");
        assert!(world.told(to, |event| *event == Event::ElectionStarted { planned: true }).is_some());
        // It was no failover: the next one is not blocked.
        world.run(secs(20));
        world.crash(to);
        assert!(world.until_somebody_leads(bound(&world.config)).is_some());
        assert!(world.broken.is_empty());
    }
}

#[test]
fn a_handover_that_is_not_done_in_time_is_given_up() {
    let (mut world, leader) = World::new(settings(3), 1).start_all().led();
    let to = (leader + 1) % 3;
    world.crash(to);
    switch_over(&mut world, leader, to, secs(20));
    world.run(secs(21));
    assert_eq!(world.leaders(), [leader]);
    let failed = Event::SwitchOverFailed { to: id(to) };
    assert!(world.told(leader, |event| *event == failed).is_some());
    let before = world.host(leader).disk.end;
    world.run(secs(20));
    assert!(world.host(leader).disk.end.lsn > before.lsn, "it takes writes again");
}

#[test]
fn if_whoever_was_named_does_not_come_the_others_do_after_a_lease() {
    for config in both_ways() {
        let (mut world, leader) = World::new(config, 1).start_all().led();
        let to = (leader + 1) % 3;
        switch_over(&mut world, leader, to, secs(30));
        let gone = |world: &World| world.host(leader).leads.is_none().then_some(());
        world.until(secs(15), gone).unwrap();
        world.crash(to);
        let (next, took) = world.until_somebody_leads(bound(&world.config)).unwrap();
        assert_ne!(next, to);
        assert!(took > secs(25), "{took:?}: only it could have come before");
    }
}

#[test]
fn only_the_leader_hands_over_and_only_to_whom_it_hears() {
    let (mut world, leader) = World::new(settings(3), 1).start_all().led();
    let other = (leader + 1) % 3;
    for (from, to) in [(other, leader), (leader, leader), (leader, 7)] {
        world.forget_told();
        switch_over(&mut world, from, to, secs(30));
        assert!(world.told(from, |event| *event == Event::SwitchOverFailed { to: id(to) }).is_some());
    }
    assert_eq!(world.leaders(), [leader]);
}

#[test]
fn a_node_that_is_paused_does_not_ask() {
    let (mut world, leader) = World::new(settings(3), 1).start_all().led();
    let (paused, other) = ((leader + 1) % 3, (leader + 2) % 3);
    world.operate(paused, Command::Pause);
    world.crash(leader);
    assert_eq!(world.until_somebody_leads(bound(&world.config)).unwrap().0, other);
    world.run(secs(20));
    world.crash(other);
    world.start(leader);
    world.run(secs(120));
    assert_eq!(world.told(paused, |event| matches!(event, Event::ElectionStarted { .. })), None);
    world.operate(paused, Command::Resume);
    assert!(world.until_somebody_leads(bound(&world.config)).is_some());
}
