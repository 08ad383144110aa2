//! What the leader says of a write, and what everybody shows of it.

use std::time::Duration;

use crdt_sync::Event;
use crdt_sync_driver::{CommitError, Node, NodeError};
use replication_log::ship::Stage;
use replication_log::ship::commit::{Fate, GaveUp};

use crate::cluster::{A, B, C, Cluster, degrading, id_of, plain, semi_sync, titles, until, visits};

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn writes_at_the_leader_are_read_everywhere_in_any_form() {
    let cluster = Cluster::of_three(semi_sync()).await;
    let leader = cluster.node(A);
    leader.registers(&titles()).set("page", "Hello").await.unwrap();
    leader.batch().increment(&visits(), "/", 2).set(&titles(), "other", "World").commit().await.unwrap();
    let committed =
        leader.batch().increment(&visits(), "/", 3).commit_within(Duration::from_secs(60)).await.unwrap();
    assert!(!committed.degraded);
    let fate = leader.commits().fate(committed.epoch, committed.written.lsn).await.unwrap();
    assert_eq!(fate, Fate::Acknowledged { degraded: false });
    for node in [B, C] {
        cluster.shows(node, "other", "World").await;
        let visits = cluster.node(node).counters(&visits());
        until(|| async { visits.value("/").await.unwrap() == 5 }).await;
        assert_eq!(cluster.leadership(node).await.follows, Some(id_of(A)));
    }
    cluster.node(A).in_sync_with(2).await.unwrap();
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn what_a_follower_is_shown_it_watches_too() {
    let cluster = Cluster::of_three(semi_sync()).await;
    let mut changes = cluster.node(B).registers(&titles()).watch().await.unwrap();
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    let change = changes.next().await.unwrap();
    assert_eq!((change.key.to_string(), change.now), ("page".to_owned(), Some("Hello".into())));
}

#[tokio::test]
async fn without_followers_a_write_waits_and_its_deadline_says_what_is_known() {
    let mut cluster = Cluster::of_three(semi_sync()).await;
    cluster.stop(B).await;
    cluster.stop(C).await;
    let leader = cluster.node(A);
    let written = leader.batch().set(&titles(), "page", "Hello").commit_within(SOON).await;
    let Err(NodeError::Commit(error)) = written else { panic!("{written:?}") };
    assert!(!error.is_nowhere());
    let CommitError::NotReplicated { epoch, lsn, durable_local: true, reason: GaveUp::Deadline } = error
    else {
        panic!("{error}")
    };
    assert_eq!(leader.commits().fate(epoch, lsn).await, Ok(Fate::Pending));
    assert_eq!(cluster.title(A, "page").await, None, "nobody is shown what may be lost yet");

    cluster.start(C).await;
    cluster.shows(A, "page", "Hello").await;
    cluster.shows(C, "page", "Hello").await;
    cluster.start(B).await;
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn more_than_so_much_that_is_not_committed_is_refused() {
    let mut config = semi_sync();
    config.max_uncommitted = 200;
    let mut cluster = Cluster::of_three(config).await;
    cluster.stop(B).await;
    cluster.stop(C).await;
    let long = "x".repeat(300);
    let leader = cluster.node(A);
    let first = leader.batch().set(&titles(), "page", &*long).commit_within(SOON).await;
    assert!(matches!(first, Err(NodeError::Commit(CommitError::NotReplicated { .. }))), "{first:?}");
    let second = leader.registers(&titles()).set("page", &*long).await;
    let Err(NodeError::Commit(error @ CommitError::TooMuchUncommitted { limit: 200, .. })) = second else {
        panic!("{second:?}")
    };
    assert!(error.is_nowhere());
}

#[tokio::test]
async fn a_leader_that_may_degrade_goes_on_alone_stamps_its_commits_and_says_so() {
    let mut cluster = Cluster::of_three(degrading(SOON)).await;
    cluster.stop(B).await;
    cluster.stop(C).await;
    let mut events = cluster.node(A).events();
    let commit =
        || cluster.node(A).batch().increment(&visits(), "/", 1).commit_within(Duration::from_secs(60));
    assert!(commit().await.unwrap().degraded);
    while !matches!(events.recv().await.unwrap(), Event::Commit(_)) {}
    assert_eq!(cluster.node(A).counters(&visits()).value("/").await, Ok(1));

    cluster.start(B).await;
    let commits = |cluster: &Cluster| {
        let batch = cluster.node(A).batch().increment(&visits(), "/", 1);
        async move { !batch.commit_within(Duration::from_secs(60)).await.unwrap().degraded }
    };
    until(|| commits(&cluster)).await;
    cluster.start(C).await;
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn a_follower_in_the_middle_passes_on_what_it_is_sent() {
    let mut cluster = Cluster::in_a_row(semi_sync()).await;
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.shows(C, "page", "Hello").await;
    assert_eq!(cluster.leadership(C).await.follows, Some(id_of(B)));
    let refused = cluster.node(C).registers(&titles()).set("page", "x").await;
    let Err(NodeError::Commit(CommitError::NotLeader { leader, .. })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(leader, Some(id_of(A)), "it has heard of the leader through the one in the middle");

    cluster.kill(B);
    cluster.start(B).await;
    cluster.node(A).registers(&titles()).set("page", "Bonjour").await.unwrap();
    // Whoever follows the one in the middle dials it again.
    cluster.shows(C, "page", "Bonjour").await;
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn where_nobody_leads_there_are_no_commits() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::open(home.path(), plain()).await.unwrap();
    let written = node.batch().set(&titles(), "page", "Hello").commit_within(SOON).await;
    assert_eq!(written, Err(NodeError::OtherTopology));
    assert_eq!(node.commits().leadership().await, Err(NodeError::OtherTopology));
}

#[tokio::test]
async fn a_policy_that_waits_for_writes_is_told_of_them() {
    let mut config = semi_sync();
    config.commits.stage = Stage::Written;
    let cluster = Cluster::of_three(config).await;
    for n in 0..20 {
        let batch = cluster.node(A).batch().increment(&visits(), "/", 1);
        assert!(!batch.commit_within(Duration::from_secs(60)).await.unwrap().degraded, "{n}");
    }
    for node in [B, C] {
        let visits = cluster.node(node).counters(&visits());
        until(|| async { visits.value("/").await.unwrap() == 20 }).await;
    }
    cluster.logs_are_equal().await;
}
