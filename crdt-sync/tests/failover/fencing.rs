//! Stopping the old leader, and failovers that follow each other.

use std::time::Duration;

use crdt_sync::failover::FailoverConfig;
use crdt_sync::failover::stonith::{NotFenced, Stonith};
use crdt_sync::failover::supervisor::{Command, Event, Refused};

use crate::world::*;

/// A cluster whose leader cannot be reached any more, though it may go on somewhere.
fn leader_lost(stonith: Stonith, hooks_work: bool) -> (World, usize) {
    let config = FailoverConfig { stonith: Some(stonith), ..settings(3) };
    let (mut world, leader) = World::new(config, 9).start_all().led();
    world.hooks_work = hooks_work;
    world.split_off(&[leader]);
    (world, leader)
}

fn leads(world: &World, unfenced: Option<NotFenced>) -> bool {
    let like = |event: &Event| matches!(event, Event::Leads { unfenced: told, .. } if *told == unfenced);
    (0..3).any(|node| world.told(node, like).is_some())
}

#[test]
fn scenario_52_where_it_is_required_nobody_leads_before_the_old_leader_is_known_to_have_stopped() {
    let timeout = secs(20);
    let (mut world, leader) = leader_lost(Stonith::Required { timeout }, false);
    world.run(secs(600));
    assert_eq!(world.leaders(), []);
    let timed_out = Event::NotFenced(NotFenced::TimedOut);
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    assert!(others.iter().any(|node| world.told(*node, |event| *event == timed_out).is_some()));
    world.hooks_work = true;
    assert!(world.until_somebody_leads(secs(120)).is_some());
    assert!(leads(&world, None));
}

#[test]
fn scenario_52_where_it_is_tried_only_the_next_one_leads_and_says_so() {
    let (mut world, _) = leader_lost(Stonith::BestEffort { timeout: secs(20) }, false);
    world.run(bound(&world.config) + secs(20));
    assert_eq!(world.leaders().len(), 1);
    assert!(leads(&world, Some(NotFenced::TimedOut)));
}

#[test]
fn a_leader_that_stepped_down_by_itself_is_not_shot() {
    let stonith = Some(Stonith::Required { timeout: secs(20) });
    let (mut world, leader) = World::new(FailoverConfig { stonith, ..settings(3) }, 9).start_all().led();
    world.hooks_work = false;
    let to = id((leader + 1) % 3);
    let deadline = world.local(leader) + secs(30);
    world.operate(leader, Command::SwitchOver { to, deadline });
    world.run(secs(60));
    assert_eq!(world.leaders(), [(leader + 1) % 3]);
}

#[test]
fn scenario_54_a_second_failover_within_the_hour_waits_for_somebody_who_looked() {
    let config = FailoverConfig { flapping: Duration::from_secs(3_600), ..settings(5) };
    let (mut world, first) = World::new(config, 9).start_all().led();
    world.crash(first);
    let (second, _) = world.until_somebody_leads(bound(&world.config)).unwrap();
    world.run(secs(20));
    world.crash(second);
    assert_eq!(world.until_somebody_leads(secs(600)), None);
    let blocked = |event: &Event| matches!(event, Event::Refused(Refused::Flapping { .. }));
    let witness = (0..5).find(|node| world.told(*node, blocked).is_some()).unwrap();
    // Said at one node, it is heard by all.
    world.operate(witness, Command::AcknowledgeFailover);
    let (third, _) = world.until_somebody_leads(bound(&world.config)).unwrap();
    assert!(![first, second].contains(&third));
    // The next one was not looked at. It comes when the hour is over.
    world.run(secs(20));
    world.start(first);
    world.crash(third);
    assert_eq!(world.until_somebody_leads(secs(3_000)), None);
    assert!(world.until_somebody_leads(secs(700)).is_some());
}

#[test]
fn the_old_leader_itself_may_always_go_on() {
    let config = FailoverConfig { flapping: Duration::from_secs(3_600), ..settings(3) };
    let (mut world, first) = World::new(config, 9).start_all().led();
    world.crash(first);
    let (second, _) = world.until_somebody_leads(bound(&world.config)).unwrap();
    world.start(first);
    world.run(secs(20));
    // Its lease ends, because it does not reach the others for a while.
    world.split_off(&[second]);
    world.run(secs(60));
    assert_eq!(world.leaders(), []);
    world.heal();
    assert_eq!(world.until_somebody_leads(bound(&world.config)).unwrap().0, second);
}
