//! An administrator changes leaders without a loss, or grants the lead for a time only.

use std::time::Duration;

use crdt_sync::Request;
use crdt_sync::single_leader::{CommitReply, Grant, LeadReply};

use crate::cluster::*;

const WITHIN: Duration = Duration::from_secs(10);

fn leads(cluster: &Cluster, node: usize) -> bool {
    cluster.leadership(node).mode.is_some()
}

fn is_committed(reply: &CommitReply) -> bool {
    matches!(reply, CommitReply::Committed { .. })
}

#[test]
fn who_is_handed_the_lead_has_everything() {
    let mut cluster = Cluster::of_three(&settings(""));
    cluster.isolate(B);
    assert!(is_committed(&cluster.write(A, add("visits", 1))));
    let asked = cluster.ask(A, Request::HandOver { to: id(B), deadline: cluster.in_time(WITHIN) });
    cluster.deliver();
    assert_eq!(cluster.lead_reply(asked), None, "B does not have it yet");
    assert_eq!(cluster.write(A, add("visits", 100)), CommitReply::HandingOver { to: id(B) });
    cluster.connect(A, B);
    cluster.connect(B, C);
    cluster.pass(Duration::from_secs(1));
    assert!(matches!(cluster.lead_reply(asked), Some(LeadReply::HandedOver { to, .. }) if to == id(B)));
    assert!(!leads(&cluster, A));
    assert!(matches!(cluster.write(A, add("visits", 100)), CommitReply::NotLeader { leader: None, .. }));
    assert!(matches!(cluster.lead(B, 2), LeadReply::Leads { .. }));
    assert!(is_committed(&cluster.write(B, add("visits", 10))));
    cluster.settle();
    assert_eq!(cluster.count(A, "visits"), 11);
    assert!(cluster.nodes[A].cut_off.is_empty());
}

#[test]
fn a_leader_whose_successor_does_not_come_leads_on() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    cluster.isolate(B);
    cluster.write(A, add("visits", 1));
    let asked = cluster.ask(A, Request::HandOver { to: id(B), deadline: cluster.in_time(WITHIN) });
    cluster.pass(WITHIN + Duration::from_secs(1));
    assert_eq!(cluster.lead_reply(asked), Some(LeadReply::StillLeads { lacks: id(B) }));
    assert!(is_committed(&cluster.write(A, add("visits", 10))));
}

#[test]
fn who_does_not_lead_hands_nothing_over() {
    let mut cluster = Cluster::of_three(&settings(""));
    let mut hand_over = |node: usize, to: usize| {
        let asked = cluster.ask(node, Request::HandOver { to: id(to), deadline: cluster.in_time(WITHIN) });
        cluster.lead_reply(asked)
    };
    assert_eq!(hand_over(B, C), Some(LeadReply::Fenced { newest: epoch_of(1) }));
    assert_eq!(hand_over(A, A), Some(LeadReply::Busy), "to itself");
    assert_eq!(hand_over(A, 7), Some(LeadReply::Busy), "to nobody");
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
