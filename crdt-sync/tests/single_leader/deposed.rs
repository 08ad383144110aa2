//! Another node leads: what becomes of the one that did, of what it wrote, and of whoever it told.

use std::time::Duration;

use crdt_sync::single_leader::{CommitReply, Grant, LeadReply};
use crdt_sync::{Bytes, ClusterKey, Event, Input, Reply, Request, RequestId, SessionToken};
use replication_log::Lsn;
use replication_log::ship::commit::{self, GaveUp};

use crate::cluster::*;

#[test]
fn who_follows_the_new_leader_takes_nothing_of_the_old_one() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    cluster.isolate(A);
    assert!(matches!(cluster.lead(B, 2), LeadReply::Leads { .. }));
    cluster.settle();
    let reply = cluster.write(B, add("visits", 10));
    assert!(matches!(reply, CommitReply::Committed { .. }), "{reply:?}");
    // The old leader has not heard of it. Nobody it could commit with will have it.
    let asked = cluster.ask(A, Request::Write(add("visits", 100)));
    cluster.connect(A, C);
    cluster.settle();
    let Some(Reply::Commit(CommitReply::NotReplicated { reason, .. })) = cluster.answer(asked) else {
        panic!()
    };
    assert_eq!(reason, GaveUp::ReignEnded);
    for node in [A, B, C] {
        let leadership = cluster.leadership(node);
        assert_eq!((leadership.leader, leadership.epoch), (Some(id(B)), epoch_of(2)), "at {node}");
    }
    cluster.connect(A, B);
    cluster.settle();
    for node in [A, B, C] {
        assert_eq!(cluster.count(node, "visits"), 11, "at {node}");
    }
    assert!(cluster.logs_are_equal());
    assert!(!cluster.nodes[A].cut_off.is_empty(), "what it wrote last is kept aside");
}

#[test]
fn an_epoch_that_is_not_newer_is_not_led_under() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    assert_eq!(cluster.lead(B, 1), LeadReply::Fenced { newest: epoch_of(1) });
    assert!(matches!(cluster.lead(B, 3), LeadReply::Leads { .. }));
    cluster.settle();
    assert_eq!(cluster.lead(C, 3), LeadReply::Fenced { newest: epoch_of(3) });
    assert!(matches!(cluster.lead(C, 4), LeadReply::Leads { .. }));
    cluster.settle();
    let reply = cluster.write(C, add("visits", 1));
    assert!(matches!(reply, CommitReply::Committed { .. }), "{reply:?}");
    cluster.settle();
    assert!(cluster.logs_are_equal());
    // Not after a restart either.
    for node in [A, B, C] {
        cluster.restart(node);
    }
    for (one, other) in [(A, B), (A, C), (B, C)] {
        cluster.connect(one, other);
    }
    cluster.settle();
    for node in [A, B, C] {
        assert_eq!(cluster.leadership(node).leader, Some(id(C)), "at {node}");
        assert_eq!(cluster.count(node, "visits"), 1, "at {node}");
    }
}

#[test]
fn the_new_leader_goes_on_with_what_was_not_committed_when_it_took_over() {
    let mut cluster = Cluster::of_three(&settings("ALL (*)"));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    cluster.disconnect(A, C);
    // B has it, and C not: it is not committed.
    let asked = cluster.ask(A, Request::Write(add("visits", 10)));
    cluster.deliver();
    assert_eq!(cluster.answer(asked), None);
    assert_eq!(cluster.count(B, "visits"), 1);
    cluster.disconnect(A, B);
    assert!(matches!(cluster.lead(B, 2), LeadReply::Leads { .. }));
    cluster.ask(B, Request::Write(add("visits", 100)));
    assert_eq!(cluster.count(B, "visits"), 1, "not before all have it");
    cluster.connect(A, B);
    cluster.settle();
    for node in [A, B, C] {
        assert_eq!(cluster.count(node, "visits"), 111, "at {node}");
    }
}

#[test]
fn case_48_what_an_asynchronous_leader_told_and_nobody_had_is_lost_and_said_to_be() {
    let mut cluster = Cluster::of_three(&settings(""));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    cluster.isolate(A);
    let write = Request::Write(add("visits", 10)).into();
    let asked = cluster.ask(A, Request::InSession { token: Bytes::default(), request: write });
    let Some(Reply::InSession { token, .. }) = cluster.answer(asked) else { panic!("it asks nobody") };
    assert_eq!(cluster.count(A, "visits"), 11, "readers of the old leader have seen it");

    cluster.lead(B, 2);
    cluster.settle();
    for _ in 0..3 {
        cluster.write(B, add("visits", 100));
    }
    cluster.connect(A, B);
    cluster.settle();
    for node in [A, B, C] {
        assert_eq!(cluster.count(node, "visits"), 301, "at {node}");
    }
    assert!(cluster.logs_are_equal());
    let told = cluster.events.iter().any(|(node, event)| {
        *node == A && matches!(event, Event::Commit(commit::Event::CommittedCut { .. }))
    });
    assert!(told && !cluster.nodes[A].cut_off.is_empty());
    // And the client is told when it reads, at whatever node.
    for node in [A, B, C] {
        let deadline = cluster.in_time(Duration::from_secs(1));
        let read = Request::Read { item: item("visits"), deadline }.into();
        let asked = cluster.ask(node, Request::InSession { token: token.clone(), request: read });
        assert!(matches!(cluster.answer(asked), Some(Reply::Lost { epoch, .. }) if epoch == epoch_of(1)));
    }
}

#[test]
fn case_48_a_session_survives_a_change_of_leaders_if_its_write_did() {
    let mut cluster = Cluster::of_three(&settings("ALL (*)"));
    let write = Request::Write(add("visits", 7)).into();
    let asked = cluster.ask(A, Request::InSession { token: Bytes::default(), request: write });
    cluster.deliver();
    let Some(Reply::InSession { token, .. }) = cluster.answer(asked) else { panic!("all have it") };
    cluster.isolate(A);
    cluster.lead(B, 2);
    cluster.settle();
    let deadline = cluster.in_time(Duration::from_secs(1));
    let read = Request::Read { item: item("visits"), deadline }.into();
    let asked = cluster.ask(B, Request::InSession { token, request: read });
    let Some(Reply::InSession { token, .. }) = cluster.answer(asked) else { panic!("it is there") };
    let cluster_key = ClusterKey::from_bytes([9; 16]);
    let token = SessionToken::decode(&token, &cluster_key, &crdt_sync::Limits::default()).unwrap();
    assert!(matches!(token, SessionToken::SingleLeader { epoch: 1.., lsn } if Lsn::new(lsn) > Lsn::FIRST));
}

#[test]
fn a_leader_that_gets_another_grant_writes_nothing_before_it_has_promised_it() {
    let mut cluster = Cluster::of_three(&settings(""));
    let now = cluster.now();
    let leader = &mut cluster.nodes[A].engine;
    let grant = Grant::new(2).unwrap();
    leader.handle(now, Input::Request { id: RequestId(901), request: Request::Lead { grant, until: None } });
    leader.handle(now, Input::Request { id: RequestId(902), request: Request::Write(add("visits", 1)) });
    // Were that in the log behind the promise, the log would refuse it.
    cluster.drain(A);
    assert!(matches!(cluster.answer(902), Some(Reply::Commit(CommitReply::NotLeader { .. }))));
    assert!(
        matches!(cluster.answer(901), Some(Reply::Lead(LeadReply::Leads { epoch, .. })) if epoch == epoch_of(2))
    );
    cluster.settle();
    cluster.write(A, add("visits", 10));
    cluster.settle();
    assert_eq!((cluster.count(A, "visits"), cluster.count(C, "visits")), (10, 10));
}

#[test]
fn a_follower_whose_log_has_promised_a_newer_epoch_meanwhile_looks_for_a_leader_again() {
    let mut cluster = Cluster::new(core::iter::repeat_n(settings(""), 3));
    cluster.write(A, add("visits", 1));
    cluster.connect(A, B);
    // Somebody else who has the log promises more, just before it begins to follow.
    cluster.nodes[B].log.as_mut().unwrap().promise_epoch(epoch_of(7)).unwrap();
    cluster.settle();
    assert_eq!((cluster.leadership(B).follows, cluster.count(B, "visits")), (None, 0));
    assert!(matches!(cluster.lead(A, 8), LeadReply::Leads { .. }));
    cluster.settle();
    assert_eq!((cluster.leadership(B).follows, cluster.count(B, "visits")), (Some(id(A)), 1));
}

#[test]
fn a_synchronous_follower_does_not_give_up_what_it_has_shown() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (b)"));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    cluster.isolate(C);
    cluster.write(A, add("visits", 10));
    cluster.settle();
    cluster.isolate(A);
    // An administrator's mistake: C does not have what was committed.
    cluster.lead(C, 2);
    cluster.connect(B, C);
    cluster.settle();
    assert_eq!((cluster.count(B, "visits"), cluster.count(C, "visits")), (11, 1));
    let refused = |(node, event): &(usize, Event)| *node == B && matches!(event, Event::NotFollowed { .. });
    assert!(cluster.events.iter().any(refused), "it is an operator's to decide");
}
