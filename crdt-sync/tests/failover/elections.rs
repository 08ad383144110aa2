//! Who is elected, and who is not.

use crdt_sync::NodeId;
use crdt_sync::failover::election::{Candidate, Election, NotElectable, Policy, QuorumRule};
use crdt_sync::failover::supervisor::{Event, Refused};
use crdt_sync::failover::{FailoverConfig, Grant, GrantedBy};

use crate::world::*;

fn named(node: usize, lsn: u64) -> Candidate {
    Candidate { node: id(node), end: position(1, lsn), promotable: true, priority: 0 }
}

fn order(policy: &Policy, candidates: &[Candidate]) -> Vec<NodeId> {
    let known_end = position(1, 1_050);
    Election { policy, most_lag: Some(1_000), known_end, candidates }.order()
}

/// Whoever leads first of three whose logs ends there.
fn first_leader(config: FailoverConfig, ends: [u64; 3], set: impl Fn(usize, &mut Disk)) -> usize {
    let mut world = World::new(config, 7);
    for (node, lsn) in ends.into_iter().enumerate() {
        world.disk(node).end = position(1, lsn);
        set(node, world.disk(node));
    }
    let mut world = world.start_all();
    world.until_somebody_leads(secs(60)).unwrap().0
}

#[test]
fn of_1000_1050_and_1020_the_most_up_to_date_is_b_and_the_first_of_the_list_is_a() {
    let three = [named(A, 1_000), named(B, 1_050), named(C, 1_020)];
    assert_eq!(order(&Policy::MostUpToDate, &three), [B, C, A].map(id));
    assert_eq!(order(&Policy::Priority([A, B, C].map(id).to_vec()), &three), [A, B, C].map(id));
    assert_eq!(order(&Policy::Priority(vec![id(C)]), &three), [C, B, A].map(id), "the rest by their logs");
}

#[test]
fn whichever_way_it_is_granted_b_leads_with_1050() {
    for granted_by in [GrantedBy::Promises, GrantedBy::Coordinator { failsafe: false }] {
        let config = FailoverConfig { granted_by, ..settings(3) };
        assert_eq!(first_leader(config, [1_000, 1_050, 1_020], |_, _| ()), B, "{granted_by:?}");
    }
}

#[test]
fn the_first_of_the_list_leads_unless_a_log_that_is_asked_for_its_promise_is_ahead() {
    let list = Policy::Priority([A, B, C].map(id).to_vec());
    let config = FailoverConfig { policy: list, ..settings(3) };
    assert_eq!(first_leader(config.clone(), [1_050; 3], |_, _| ()), A);
    assert_eq!(first_leader(config, [1_000, 1_050, 1_020], |_, _| ()), B);
}

/// B leads first, for A lacks what B has. Then it makes way, and A leads with all of it.
#[test]
fn the_first_of_the_list_is_made_way_for_once_it_has_everything() {
    let list = Policy::Priority([A, B, C].map(id).to_vec());
    for granted_by in [GrantedBy::Promises, GrantedBy::Coordinator { failsafe: false }] {
        let makes_way = Some(secs(60));
        let config = FailoverConfig { policy: list.clone(), makes_way, granted_by, ..settings(3) };
        let mut world = World::new(config, 7);
        for (node, lsn) in [1_000, 1_050, 1_020].into_iter().enumerate() {
            world.disk(node).end = position(1, lsn);
        }
        let mut world = world.start_all();
        assert_eq!(world.until_somebody_leads(secs(60)).unwrap().0, B);
        world.run(secs(50));
        assert_eq!(world.leaders(), [B], "not at once");
        world.run(secs(30));
        assert_eq!(world.leaders(), [A], "{granted_by:?}");
        assert!(world.host(A).disk.end.lsn.get() > 1_050, "with all that B had");
        // It stays so, and the next one of the list comes where it is gone.
        world.run(secs(300));
        assert_eq!(world.leaders(), [A]);
        world.crash(A);
        assert!(world.until_somebody_leads(bound(&world.config)).is_some());
        assert!(world.broken.is_empty());
    }
}

#[test]
fn where_all_ask_the_coordinator_decides() {
    let config = FailoverConfig {
        policy: Policy::Consensus,
        granted_by: GrantedBy::Coordinator { failsafe: false },
        ..settings(3)
    };
    let (world, leader) = World::new(config, 3).start_all().led();
    assert_eq!(world.leaders(), [leader]);
    assert_eq!(Grant::of(world.host(leader).leads.unwrap().0), Grant::FIRST);
}

#[test]
fn scenario_49_the_shorter_log_loses_then_the_priority_counts_and_no_failover_never_wins() {
    assert_eq!(first_leader(settings(3), [10, 10, 11], |node, disk| disk.priority = 9 - node as u32), C);
    assert_eq!(first_leader(settings(3), [11; 3], |node, disk| disk.priority = node as u32), C);
    let tagged = |node, disk: &mut Disk| disk.promotable = node != C;
    assert_eq!(first_leader(settings(3), [10, 9, 10], tagged), A);
    // Nor where nobody else is left, though its log is the longest.
    let mut world = World::new(settings(3), 1);
    (0..3).for_each(|node| world.disk(node).promotable = false);
    let mut world = world.start_all();
    assert_eq!(world.until_somebody_leads(secs(600)), None);
    let refused = Event::Refused(Refused::NotElectable(NotElectable::NotPromotable));
    assert!(world.told(A, |event| *event == refused).is_some());
}

/// Orchestrator #1050: a replica that had been broken for two days was promoted, and two days of data were lost.
#[test]
fn scenario_50_a_replica_that_was_broken_for_long_is_not_elected_because_nobody_else_is_left() {
    let mut world = World::new(settings(3), 1);
    assert_eq!(world.config.most_lag, Some(1_000), "by default");
    (world.disk(A).end, world.disk(B).end) = (position(1, 500_000), position(1, 500_000));
    world.disk(B).promotable = false;
    world.disk(C).broken = true;
    let (mut world, leader) = world.start_all().led();
    assert_eq!(leader, A);
    world.crash(A);
    assert_eq!(world.until_somebody_leads(secs(3_600)), None);
    let lags = |event: &Event| {
        matches!(
            event,
            Event::Refused(Refused::NotElectable(NotElectable::LagsTooFar { lacks: 500_000.., .. }))
        )
    };
    assert!(world.told(C, lags).is_some(), "and it says why");
    world.start(A);
    assert_eq!(world.until_somebody_leads(secs(120)).unwrap().0, A);
}

/// Patroni's rule: commits that two of four acknowledge. Whoever is promoted has found two others, none of them ahead.
#[test]
fn scenario_51_with_two_acknowledgements_of_four_one_vote_is_not_enough() {
    let rule = QuorumRule::new((1..5).map(id), 2);
    assert_eq!(rule.needed(), 2);
    let here = position(1, 10);
    let one = rule.check(id(B), here, [(id(C), here)]);
    assert_eq!(one, Err(NotElectable::TooFewVotes { votes: 1, needed: 2 }));
    assert_eq!(rule.check(id(B), here, [(id(C), here), (id(3), here)]), Ok(()));

    // The same with a cluster of five. With one acknowledgement of four a majority of the five is not enough.
    let config = FailoverConfig { quorum: Some(QuorumRule::new((1..5).map(id), 1)), ..settings(5) };
    let mut world = World::new(config, 1);
    (1..5).for_each(|node| world.disk(node).priority = 0);
    world.disk(A).priority = 1;
    let (mut world, leader) = world.start_all().led();
    assert_eq!(leader, A);
    world.crash(A);
    world.crash(4);
    assert_eq!(world.until_somebody_leads(secs(600)), None, "the record may be at the node that is missing");
    world.start(4);
    assert!(world.until_somebody_leads(secs(120)).is_some());
}
