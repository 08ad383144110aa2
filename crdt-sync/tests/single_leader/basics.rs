//! One node writes, the others have what it wrote.

use std::time::Duration;

use crdt_sync::single_leader::CommitReply;
use crdt_sync::{Reply, Request};
use replication_log::ship::commit::WhenShort;

use crate::cluster::*;

#[test]
fn what_the_leader_writes_is_read_at_its_followers() {
    for policy in ["", "ANY 1 (*)", "ALL (*)", "FIRST 1 (b, c)"] {
        let mut cluster = Cluster::of_three(&settings(policy));
        for _ in 0..3 {
            let reply = cluster.write(A, add("visits", 2));
            assert!(matches!(reply, CommitReply::Committed { degraded: false, .. }), "{policy}: {reply:?}");
        }
        cluster.settle();
        for node in [A, B, C] {
            assert_eq!(cluster.count(node, "visits"), 6, "{policy} at {node}");
            let leadership = cluster.leadership(node);
            assert_eq!((leadership.leader, leadership.applied), (Some(id(A)), leadership.committed));
        }
        assert!(cluster.logs_are_equal());
    }
}

#[test]
fn a_follower_refuses_writes_and_says_who_leads() {
    let mut cluster = Cluster::of_three(&settings(""));
    let reply = cluster.write(B, add("visits", 1));
    let CommitReply::NotLeader { leader: Some(leader), .. } = reply else { panic!("{reply:?}") };
    assert_eq!(leader, id(A));
    cluster.settle();
    assert_eq!(cluster.count(A, "visits"), 0);
}

#[test]
fn nobody_is_shown_what_is_not_committed() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    cluster.disconnect(A, B);
    cluster.disconnect(A, C);
    let deadline = cluster.in_time(Duration::from_secs(1));
    let asked = cluster.ask(A, Request::Commit { writes: add("visits", 10), deadline });
    let again = cluster.ask(A, Request::Commit { writes: add("visits", 100), deadline });
    assert_eq!(cluster.count(A, "visits"), 1);
    cluster.pass(Duration::from_secs(2));
    for asked in [asked, again] {
        let Some(Reply::Commit(CommitReply::NotReplicated { written, epoch, durable_local, .. })) =
            cluster.answer(asked)
        else {
            panic!("nobody else has it")
        };
        assert!(durable_local);
        let fate = cluster.ask(A, Request::Fate { epoch, lsn: written.lsn });
        let pending = Reply::Fate(replication_log::ship::commit::Fate::Pending);
        assert_eq!(cluster.answer(fate), Some(pending));
    }
    // The second was written on top of the first, which nobody sees yet.
    cluster.connect(A, B);
    cluster.settle();
    assert_eq!(cluster.count(A, "visits"), 111);
    assert_eq!(cluster.count(B, "visits"), 111);
}

#[test]
fn after_a_restart_the_leader_goes_on_and_followers_catch_up() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    cluster.write(A, add("visits", 1));
    cluster.restart(C);
    cluster.write(A, add("visits", 2));
    cluster.restart(A);
    assert_eq!(cluster.leadership(A).leader, Some(id(A)));
    for (one, other) in [(A, B), (A, C)] {
        cluster.connect(one, other);
    }
    cluster.settle();
    let reply = cluster.write(A, add("visits", 4));
    assert!(matches!(reply, CommitReply::Committed { .. }), "{reply:?}");
    cluster.settle();
    for node in [A, B, C] {
        assert_eq!(cluster.count(node, "visits"), 7, "at {node}");
    }
    assert!(cluster.logs_are_equal());
}

#[test]
fn a_restarted_leader_writes_on_top_of_what_was_not_committed() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    cluster.write(A, add("visits", 1));
    cluster.disconnect(A, B);
    cluster.disconnect(A, C);
    cluster.ask(A, Request::Write(add("visits", 10)));
    cluster.restart(A);
    cluster.ask(A, Request::Write(add("visits", 100)));
    assert!(cluster.count(A, "visits") <= 1);
    cluster.connect(A, B);
    cluster.settle();
    assert_eq!((cluster.count(A, "visits"), cluster.count(B, "visits")), (111, 111));
}

#[test]
fn a_degraded_leader_stamps_its_commits() {
    let mut config = settings("ANY 1 (*)");
    config.commits.when_short = WhenShort::DegradeToAsync { after: Duration::from_secs(1) };
    let mut cluster = Cluster::of_three(&config);
    cluster.disconnect(A, B);
    cluster.disconnect(A, C);
    let asked = cluster.ask(A, Request::Write(add("visits", 1)));
    cluster.pass(Duration::from_secs(2));
    let Some(Reply::Commit(CommitReply::Committed { degraded, .. })) = cluster.answer(asked) else {
        panic!()
    };
    assert!(degraded);
    assert_eq!(cluster.count(A, "visits"), 1);
    cluster.connect(A, C);
    cluster.settle();
    let reply = cluster.write(A, add("visits", 1));
    assert!(matches!(reply, CommitReply::Committed { degraded: false, .. }), "{reply:?}");
}

#[test]
fn a_chained_follower_has_it_from_the_one_in_between() {
    let config = settings("ANY 1 (b)");
    let mut cluster = Cluster::new([config.clone(), config.clone(), config.with_upstream(id(B))]);
    cluster.connect(A, B);
    cluster.connect(B, C);
    cluster.settle();
    cluster.write(A, add("visits", 5));
    cluster.settle();
    assert_eq!(cluster.count(C, "visits"), 5);
    assert_eq!(cluster.leadership(C).follows, Some(id(B)));
    assert!(cluster.logs_are_equal());
}
