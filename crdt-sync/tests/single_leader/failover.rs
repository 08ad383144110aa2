//! Nodes that take over by themselves: engines with real logs, their supervisors within.

use std::time::Duration;

use crdt_sync::failover::model::Model;
use crdt_sync::failover::supervisor::{Command, WhyStepDown};
use crdt_sync::failover::{Detection, FailoverConfig, GrantedBy, LeaseTerms, supervisor};
use crdt_sync::single_leader::{CommitReply, Grant, LeadReply, SingleLeaderConfig};
use crdt_sync::wire::{LogEnd, Message, Ship, decode};
use crdt_sync::{Event, FailoverNews, FailoverTask, Input, Limits, NodeId, Reply, Request};
use replication_log::ship::commit::{Role, WhenShort};

use crate::cluster::*;

/// Fast enough for a test: silence of two seconds, leases of three.
pub(crate) fn rules() -> FailoverConfig {
    FailoverConfig {
        heartbeat: Duration::from_millis(250),
        detection: Detection::Fixed { timeout: Duration::from_secs(2) },
        tolerance: Duration::from_millis(500),
        lease: LeaseTerms::of(Duration::from_secs(3)),
        ask_timeout: Duration::from_millis(500),
        turn: Duration::from_millis(250),
        ..FailoverConfig::new([])
    }
}

fn supervised(policy: &str, nodes: usize, rules: FailoverConfig) -> SingleLeaderConfig {
    let mut config = settings(policy).with_failover(rules);
    config.followers.extend((3..nodes).map(|node| (id(node), Role::Candidate)));
    config
}

/// Nodes that are all connected, one of which leads after a while.
pub(crate) fn led(policy: &str, nodes: usize, rules: FailoverConfig) -> Cluster {
    let config = supervised(policy, nodes, rules);
    let mut cluster = Cluster::new(std::iter::repeat_n(config, nodes));
    for one in 0..nodes {
        for other in one + 1..nodes {
            cluster.connect(one, other);
        }
    }
    cluster.pass(Duration::from_secs(4));
    assert_eq!(leaders(&cluster), [A], "the first of equals");
    cluster
}

fn leaders(cluster: &Cluster) -> Vec<usize> {
    (0..cluster.nodes.len()).filter(|node| cluster.leadership(*node).mode.is_some()).collect()
}

pub(crate) fn is_committed(reply: &CommitReply) -> bool {
    matches!(reply, CommitReply::Committed { .. })
}

fn split(cluster: &mut Cluster, one: &[usize], other: &[usize]) {
    for one in one {
        for other in other {
            cluster.disconnect(*one, *other);
            cluster.disconnect(*other, *one);
        }
    }
}

/// Lets time pass, at most so many seconds, until one of them leads. Never two do.
pub(crate) fn until_one_leads(cluster: &mut Cluster, among: &[usize], seconds: u32) -> usize {
    for _ in 0..seconds * 4 {
        cluster.pass(Duration::from_millis(250));
        let leaders = leaders(cluster);
        assert!(leaders.len() <= 1, "{leaders:?} lead");
        if let Some(leader) = leaders.first().filter(|leader| among.contains(leader)) {
            return *leader;
        }
    }
    panic!("nobody of {among:?} leads after {seconds} s: {:?}", cluster.events);
}

#[test]
fn whoever_has_everything_takes_over_by_itself() {
    let mut cluster = led("ANY 1 (*)", 3, rules());
    assert!(is_committed(&cluster.write(A, add("visits", 1))));
    cluster.settle();
    split(&mut cluster, &[B], &[A, C]);
    assert!(is_committed(&cluster.write(A, add("visits", 10))), "C has it");
    split(&mut cluster, &[A], &[C]);
    cluster.connect(B, C);
    assert_eq!(until_one_leads(&mut cluster, &[B, C], 10), C);
    assert!(is_committed(&cluster.write(C, add("visits", 100))));
    // The old leader comes back, and follows.
    cluster.connect(A, B);
    cluster.connect(A, C);
    cluster.settle();
    for node in [A, B, C] {
        assert_eq!((cluster.count(node, "visits"), cluster.leadership(node).leader), (111, Some(id(C))));
    }
    assert!(cluster.logs_are_equal());
}

/// Five nodes, two of them cut off with the leader: it steps down before one of the three can lead, also where its
/// commits wait for nobody.
#[test]
fn a_leader_in_a_minority_steps_down_before_anybody_else_leads() {
    let mut cluster = led("", 5, rules());
    assert!(is_committed(&cluster.write(A, add("visits", 1))));
    cluster.settle();
    split(&mut cluster, &[A, B], &[C, 3, 4]);
    let next = until_one_leads(&mut cluster, &[C, 3, 4], 15);
    assert!(matches!(cluster.write(A, add("visits", 100)), CommitReply::NotLeader { leader: None, .. }));
    let ended = Event::Failover(supervisor::Event::SteppedDown { why: WhyStepDown::LeaseEnded });
    assert!(cluster.events.contains(&(A, ended)), "{:?}", cluster.events);
    assert!(is_committed(&cluster.write(next, add("visits", 10))));
    for minority in [A, B] {
        for majority in [C, 3, 4] {
            cluster.connect(minority, majority);
        }
    }
    cluster.settle();
    for node in 0..5 {
        assert_eq!((cluster.count(node, "visits"), cluster.leadership(node).leader), (11, Some(id(next))));
    }
}

#[test]
fn a_line_that_is_down_between_two_of_three_changes_nothing() {
    let mut cluster = led("ANY 1 (*)", 3, rules());
    cluster.disconnect(A, B);
    cluster.disconnect(B, A);
    for _ in 0..80 {
        cluster.pass(Duration::from_millis(250));
        assert_eq!(leaders(&cluster), [A], "C hears it still");
    }
    assert!(is_committed(&cluster.write(A, add("visits", 1))));
}

#[test]
fn a_planned_change_loses_nothing_and_waits_for_no_lease() {
    let mut cluster = led("", 3, rules());
    assert!(is_committed(&cluster.write(A, add("visits", 1))));
    let refused = cluster.ask(B, Request::Lead { grant: Grant::new(9).unwrap(), until: None });
    assert_eq!(cluster.lead_reply(refused), Some(LeadReply::Supervised));
    let command = Command::SwitchOver { to: id(C), deadline: cluster.in_time(Duration::from_secs(5)) };
    let asked = cluster.ask(A, Request::Failover(command));
    assert_eq!(cluster.answer(asked), Some(Reply::FailoverTold));
    assert_eq!(until_one_leads(&mut cluster, &[C], 2), C);
    assert!(is_committed(&cluster.write(C, add("visits", 10))));
    cluster.settle();
    for node in [A, B, C] {
        assert_eq!(cluster.count(node, "visits"), 11, "at {node}");
    }
    assert!(cluster.nodes[A].cut_off.is_empty());
}

#[test]
fn when_all_lose_power_one_leads_again_once_every_lease_is_over() {
    let mut cluster = led("ANY 1 (*)", 3, rules());
    assert!(is_committed(&cluster.write(A, add("visits", 1))));
    cluster.settle();
    for node in [A, B, C] {
        cluster.restart(node);
    }
    for (one, other) in [(A, B), (A, C), (B, C)] {
        cluster.connect(one, other);
    }
    assert_eq!(leaders(&cluster), [], "nobody leads by what it had before");
    let leader = until_one_leads(&mut cluster, &[A, B, C], 15);
    assert!(is_committed(&cluster.write(leader, add("visits", 10))));
    cluster.settle();
    for node in [A, B, C] {
        assert_eq!(cluster.count(node, "visits"), 11, "at {node}");
    }
}

/// An answer may wait for long between the engine and whoever asked: then the lead may have passed to another node.
#[test]
fn a_commit_is_not_said_after_the_right_to_say_so_has_ended() {
    let mut cluster = led("ANY 1 (*)", 3, rules());
    let asked = cluster.ask(A, Request::Write(add("visits", 1)));
    cluster.deliver();
    let until = cluster.ends[&asked].expect("it depends on a lease");
    assert_eq!(Some(until), cluster.leadership(A).leads_until);
    let reply = cluster.answer(asked).unwrap();
    assert!(matches!(reply, Reply::Commit(CommitReply::Committed { .. })));
    assert!(matches!(reply.too_late(), Reply::Unknown { .. }), "it may be, and it may not");
    let asked = cluster.ask(B, Request::Write(add("visits", 1)));
    assert_eq!(cluster.ends[&asked], None, "that a node does not lead it may always say");
}

/// One that does not count follows, and takes no part.
#[test]
fn an_observer_neither_promises_nor_leads() {
    let observer = NodeId::from_u128(4);
    let config = supervised("ANY 1 (*)", 3, rules()).with_observer(observer);
    let mut cluster = Cluster::new(std::iter::repeat_n(config, 4));
    for one in 0..4 {
        for other in one + 1..4 {
            cluster.connect(one, other);
        }
    }
    cluster.pass(Duration::from_secs(4));
    assert!(is_committed(&cluster.write(A, add("visits", 1))));
    cluster.settle();
    assert_eq!(cluster.count(3, "visits"), 1);
    split(&mut cluster, &[A, B], &[C, 3]);
    for _ in 0..60 {
        cluster.pass(Duration::from_millis(250));
        assert_eq!(leaders(&cluster), [A], "with B it is two of three");
    }
}

/// Lets time pass with a coordinator that answers at once, if it can be reached.
fn pass_with(coordinator: Option<&mut Model>, cluster: &mut Cluster, span: Duration) {
    let mut coordinator = coordinator;
    for _ in 0..span.as_millis() / 250 {
        cluster.pass(Duration::from_millis(250));
        for (node, task) in core::mem::take(&mut cluster.tasks) {
            let FailoverTask::Ask { id, ask } = task else { panic!("{task:?}") };
            let Some(model) = &mut coordinator else { continue };
            let answer = model.handle(cluster.now().instant, ask);
            cluster.handle(node, Input::Failover(FailoverNews::Answer { id, answer }));
        }
        cluster.deliver();
        assert!(leaders(cluster).len() <= 1);
    }
}

#[test]
fn who_leads_by_a_coordinator_stops_when_that_is_gone_and_leads_when_it_is_back() {
    let rules = FailoverConfig { granted_by: GrantedBy::Coordinator { failsafe: false }, ..rules() };
    let config = supervised("ANY 1 (*)", 3, rules);
    let mut cluster = Cluster::new(std::iter::repeat_n(config, 3));
    for (one, other) in [(A, B), (A, C), (B, C)] {
        cluster.connect(one, other);
    }
    let mut etcd = Model::new(Duration::from_secs(30));
    pass_with(Some(&mut etcd), &mut cluster, Duration::from_secs(4));
    assert_eq!(leaders(&cluster), [A]);
    assert!(is_committed(&cluster.write(A, add("visits", 1))));
    pass_with(Some(&mut etcd), &mut cluster, Duration::from_secs(20));
    assert_eq!(leaders(&cluster), [A], "its lease is renewed");
    pass_with(None, &mut cluster, Duration::from_secs(4));
    assert_eq!(leaders(&cluster), [], "nobody knows whether another one was granted it");
    pass_with(Some(&mut etcd), &mut cluster, Duration::from_secs(10));
    assert_eq!(leaders(&cluster).len(), 1);
    let leader = leaders(&cluster)[0];
    assert!(is_committed(&cluster.write(leader, add("visits", 10))));
}

/// What is on its way to a slow disk is of the newest epoch, and what is on the disk is not: the node lacks what is
/// between, and must not pass for the one that is furthest.
#[test]
fn a_node_whose_disk_is_slow_says_of_which_epoch_the_end_is_that_it_has() {
    let mut cluster = led("ANY 1 (*)", 3, rules());
    assert!(is_committed(&cluster.write(A, add("visits", 1))));
    cluster.settle();
    let before = cluster.leadership(C).end;
    cluster.nodes[C].disk_stalls = true;
    let command = Command::SwitchOver { to: id(B), deadline: cluster.in_time(Duration::from_secs(5)) };
    cluster.ask(A, Request::Failover(command));
    assert_eq!(until_one_leads(&mut cluster, &[B], 2), B);
    assert!(is_committed(&cluster.write(B, add("visits", 10))), "A has it");
    cluster.pass(Duration::from_millis(250));
    assert!(cluster.leadership(C).end > before, "it is on its way to the disk");
    cluster.micros += 250_000;
    cluster.handle(C, Input::Timer);
    let said = cluster.frames.iter().filter_map(|(_, bytes)| match decode(bytes, &Limits::default()) {
        Ok(Message::Ship(Ship::Beat(beat))) => Some(beat.end),
        _ => None,
    });
    let said: Vec<LogEnd> = said.collect();
    assert!(!said.is_empty() && said.iter().all(|end| *end == before), "{said:?}, and it has {before:?}");
}

/// A leader whose followers are gone commits alone after a while, by its policy. One that was away so long that its
/// lease is about to end as well does not.
#[test]
fn whoever_leads_no_more_commits_nothing_by_having_waited() {
    let short = WhenShort::DegradeToAsync { after: Duration::from_millis(500) };
    let mut config = supervised("ANY 1 (*)", 3, rules());
    config.commits.when_short = short;
    let mut cluster = Cluster::of_three(&config);
    assert_eq!(leaders(&cluster), [A]);
    split(&mut cluster, &[A], &[B, C]);
    let asked = cluster.ask(A, Request::Write(add("visits", 1)));
    let until = cluster.leadership(A).leads_until.expect("it has a lease");
    let before_the_end = until.as_micros() - u64::try_from(rules().lease.margin.as_micros()).unwrap() / 2;
    assert!(before_the_end > cluster.micros);
    cluster.micros = before_the_end;
    cluster.handle(A, Input::Timer);
    assert_eq!(leaders(&cluster), []);
    let reply = cluster.answer(asked);
    assert!(matches!(reply, Some(Reply::Commit(CommitReply::NotReplicated { .. }))), "{reply:?}");
}
