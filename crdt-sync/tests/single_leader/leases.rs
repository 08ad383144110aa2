//! Nodes that give each other leases: a leader that is cut off stops before anybody else can begin, a planned change of
//! leaders loses nothing and waits for nobody, and what is said too late is not said.

use std::time::Duration;

use crdt_sync::single_leader::{CommitReply, Grant, LeadReply, LeaseTerms, SingleLeaderConfig, Takeover};
use crdt_sync::{Event, NodeId, Reply, Request};

use crate::cluster::*;

const TERMS: LeaseTerms = LeaseTerms { span: Duration::from_secs(3), drift_permille: 100 };
const WITHIN: Duration = Duration::from_secs(10);

fn leased(policy: &str, nodes: u128) -> SingleLeaderConfig {
    let mut config =
        settings(policy).with_takeover(Takeover::Promised { within: WITHIN, lease: Some(TERMS) });
    config.followers.extend(
        (4..=nodes).map(|node| (NodeId::from_u128(node), replication_log::ship::commit::Role::Candidate)),
    );
    config
}

/// Nodes that are all connected, of which the first was granted the lead.
fn led(policy: &str, nodes: usize) -> Cluster {
    let config = leased(policy, nodes as u128);
    let mut cluster = Cluster::new(std::iter::repeat_n(config, nodes));
    for one in 0..nodes {
        for other in one + 1..nodes {
            cluster.connect(one, other);
        }
    }
    let asked = ask_to_lead(&mut cluster, A, 1);
    cluster.settle();
    assert!(matches!(cluster.lead_reply(asked), Some(LeadReply::Leads { .. })));
    cluster
}

fn ask_to_lead(cluster: &mut Cluster, node: usize, grant: u64) -> u64 {
    cluster.ask(node, Request::Lead { grant: Grant::new(grant).unwrap(), until: None })
}

fn leads(cluster: &Cluster, node: usize) -> bool {
    cluster.leadership(node).mode.is_some()
}

#[test]
fn who_was_just_opened_waits_as_long_as_a_lease_lasts() {
    let mut cluster = Cluster::of_three(&leased("ANY 1 (*)", 3));
    assert_eq!(cluster.leadership(A).leader, None, "nobody leads who was not granted to");
    for node in [A, B, C] {
        cluster.restart(node);
    }
    for (one, other) in [(A, B), (A, C), (B, C)] {
        cluster.connect(one, other);
    }
    let asked = ask_to_lead(&mut cluster, B, 1);
    cluster.pass(Duration::from_millis(3_250));
    assert_eq!(cluster.lead_reply(asked), None, "they may have promised somebody before");
    cluster.pass(Duration::from_millis(500));
    assert!(matches!(cluster.lead_reply(asked), Some(LeadReply::Leads { .. })));
}

/// Five nodes, split into two and three. The leader is among the two.
#[test]
fn a_leader_without_a_majority_steps_down_before_anybody_else_can_lead() {
    let mut cluster = led("", 5);
    assert!(matches!(cluster.write(A, add("visits", 1)), CommitReply::Committed { .. }));
    cluster.settle();
    for minority in [A, B] {
        for majority in [C, 3, 4] {
            cluster.disconnect(minority, majority);
            cluster.disconnect(majority, minority);
        }
    }
    let asked = ask_to_lead(&mut cluster, C, 2);
    let (mut stepped_down, mut took_over) = (None, None);
    for tick in 0..40 {
        cluster.pass(Duration::from_millis(250));
        assert!(!(leads(&cluster, A) && leads(&cluster, C)), "never two");
        stepped_down = stepped_down.or((!leads(&cluster, A)).then_some(tick));
        took_over = took_over.or(leads(&cluster, C).then_some(tick));
    }
    assert!(matches!(cluster.lead_reply(asked), Some(LeadReply::Leads { .. })));
    assert!(stepped_down.unwrap() < took_over.unwrap(), "{stepped_down:?} {took_over:?}");
    assert!(matches!(cluster.write(A, add("visits", 100)), CommitReply::NotLeader { leader: None, .. }));
    assert!(cluster.events.contains(&(A, Event::LeadEnded { epoch: epoch_of(1) })));
    assert!(matches!(cluster.write(C, add("visits", 10)), CommitReply::Committed { .. }));
    // And when the line is back there is one leader, and one log.
    for minority in [A, B] {
        for majority in [C, 3, 4] {
            cluster.connect(minority, majority);
        }
    }
    cluster.settle();
    for node in 0..5 {
        assert_eq!((cluster.count(node, "visits"), cluster.leadership(node).leader), (11, Some(id(C))));
    }
}

#[test]
fn a_leader_that_is_heard_by_most_leads_on_whoever_asks() {
    let mut cluster = led("ANY 1 (*)", 3);
    cluster.disconnect(A, B);
    let asked = ask_to_lead(&mut cluster, B, 2);
    cluster.pass(WITHIN * 2);
    assert_eq!(
        cluster.lead_reply(asked),
        Some(LeadReply::TooFewPromised { promised: 1, of: 3 }),
        "C hears A, and promises nobody else"
    );
    assert!(leads(&cluster, A));
    assert!(matches!(cluster.write(A, add("visits", 1)), CommitReply::Committed { .. }));
}

/// A planned change: without a write lost, and at once.
#[test]
fn who_is_handed_the_lead_has_everything_and_waits_for_no_lease() {
    let mut cluster = led("", 3);
    cluster.isolate(B);
    assert!(matches!(cluster.write(A, add("visits", 1)), CommitReply::Committed { .. }));
    let asked = cluster.ask(A, Request::HandOver { to: id(B), deadline: cluster.in_time(WITHIN) });
    cluster.deliver();
    assert_eq!(cluster.lead_reply(asked), None, "B does not have it yet");
    assert_eq!(cluster.write(A, add("visits", 100)), CommitReply::HandingOver { to: id(B) });
    cluster.connect(A, B);
    cluster.connect(B, C);
    for _ in 0..4 {
        cluster.pass(Duration::from_millis(250));
    }
    assert!(matches!(cluster.lead_reply(asked), Some(LeadReply::HandedOver { to, .. }) if to == id(B)));
    assert!(!leads(&cluster, A));
    assert!(matches!(cluster.lead(B, 2), LeadReply::Leads { .. }), "nobody had to wait");
    assert!(matches!(cluster.write(B, add("visits", 10)), CommitReply::Committed { .. }));
    cluster.settle();
    assert_eq!(cluster.count(A, "visits"), 11);
    assert!(cluster.nodes[A].cut_off.is_empty());
}

#[test]
fn a_leader_whose_successor_does_not_come_leads_on() {
    let mut cluster = led("ANY 1 (*)", 3);
    cluster.isolate(B);
    cluster.write(A, add("visits", 1));
    let asked = cluster.ask(A, Request::HandOver { to: id(B), deadline: cluster.in_time(WITHIN) });
    cluster.pass(WITHIN + Duration::from_secs(1));
    assert_eq!(cluster.lead_reply(asked), Some(LeadReply::StillLeads { lacks: id(B) }));
    assert!(matches!(cluster.write(A, add("visits", 10)), CommitReply::Committed { .. }));
}

/// Something outside grants the lead for a time: it ends unless it is made longer.
#[test]
fn a_grant_that_ends_is_led_by_until_then() {
    let mut cluster = Cluster::of_three(&settings(""));
    let (grant, until) = (Grant::new(2).unwrap(), cluster.in_time(Duration::from_secs(2)));
    let asked = cluster.ask(B, Request::Lead { grant, until: Some(until) });
    cluster.pass(Duration::from_secs(1));
    assert!(matches!(cluster.lead_reply(asked), Some(LeadReply::Leads { .. })));
    let asked = cluster.ask(B, Request::Extend { grant, until: cluster.in_time(Duration::from_secs(2)) });
    cluster.pass(Duration::from_millis(1_750));
    assert!(matches!(cluster.lead_reply(asked), Some(LeadReply::Leads { .. })));
    assert!(leads(&cluster, B));
    cluster.pass(Duration::from_millis(250));
    assert!(!leads(&cluster, B));
    let asked = cluster.ask(B, Request::Extend { grant, until: cluster.in_time(WITHIN) });
    assert_eq!(cluster.lead_reply(asked), Some(LeadReply::Fenced { newest: epoch_of(2) }), "it has ended");
}

/// An answer may wait for long between the engine and whoever asked: then the lead may have passed to another node.
#[test]
fn a_commit_is_not_said_after_the_right_to_say_so_has_ended() {
    let mut cluster = led("ANY 1 (*)", 3);
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
