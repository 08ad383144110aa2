//! Leaders that can be reached by nobody, and do not know.

use std::time::Duration;

use crdt_sync::failover::supervisor::{self, WhyStepDown};
use crdt_sync::single_leader::SingleLeaderConfig;
use crdt_sync::{Event, LogEvent};
use crdt_sync_driver::{CommitError, NodeError};

use crate::checkpoints::ending;
use crate::cluster::{A, B, C, asynchronous, id_of, titles, until};
use crate::trio::{Trio, rules, supervised, told};

fn others(node: usize) -> Vec<usize> {
    [A, B, C].into_iter().filter(|other| *other != node).collect()
}

fn lease_ended(event: &Event) -> Option<()> {
    let ended = supervisor::Event::SteppedDown { why: WhyStepDown::LeaseEnded };
    (*event == Event::Failover(ended)).then_some(())
}

/// A leader is cut off from the others, and writes something that nobody else gets. Another one leads, and the line is
/// mended.
async fn cut_off(config: SingleLeaderConfig, is_acknowledged: bool) {
    let trio = Trio::start(config).await;
    let old = trio.leader().await;
    trio.add().await;
    trio.agreed().await;
    let mut events = trio.node(old).events();
    trio.cut_off(old, true);
    let batch = trio.node(old).batch().set(&titles(), "page", "never seen");
    let written = batch.commit_within(Duration::from_millis(200)).await;
    match written {
        Ok(_) => assert!(is_acknowledged),
        Err(NodeError::Commit(CommitError::NotReplicated { durable_local, .. })) => {
            assert!(durable_local && !is_acknowledged);
        }
        other => panic!("{other:?}"),
    }
    // It stops by itself, before anybody else leads.
    told(&mut events, lease_ended).await;
    let refused = trio.node(old).registers(&titles()).set("page", "late").await.unwrap_err();
    let NodeError::Commit(CommitError::NotLeader { leader, .. }) = refused else { panic!("{refused}") };
    assert_eq!(leader, None, "nobody tells it who leads");
    let new = trio.leader_among(&others(old)).await;
    trio.node(new).registers(&titles()).set("page", "Hello").await.unwrap();

    trio.cut_off(old, false);
    let put_aside = told(&mut events, |event| match event {
        Event::Log(LogEvent::CutOff { put_aside, .. }) => Some(put_aside.clone()),
        _ => None,
    })
    .await;
    let bytes = std::fs::read(trio.directory(old).join(put_aside)).unwrap();
    assert!(bytes.windows(10).any(|window| window == b"never seen"));
    assert_eq!(ending(&trio.directory(old), "cut-off").len(), 1);
    until(|| async { trio.leadership(old).await.follows == Some(id_of(new)) }).await;
    let read = async || trio.node(old).registers(&titles()).get("page").await;
    until(|| async { read().await.is_ok_and(|page| page == Some("Hello".into())) }).await;
    trio.logs_are_equal().await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_stops_and_puts_aside_what_nobody_acknowledged() {
    cut_off(supervised(), false).await;
}

/// It goes on with another engine then, in the same node, which is told nothing that the one of before had asked.
#[tokio::test]
async fn a_leader_whose_commits_wait_for_nobody_stops_as_well() {
    cut_off(asynchronous().with_failover(rules()), true).await;
}

/// Two followers that do not hear each other hear the leader both.
#[tokio::test]
async fn a_follower_that_is_cut_off_and_comes_back_changes_nothing() {
    let trio = Trio::start(supervised()).await;
    let leader = trio.leader().await;
    trio.add().await;
    trio.agreed().await;
    let follower = others(leader)[0];
    let before = trio.leadership(leader).await.epoch;
    let mut events = trio.node(follower).events();
    trio.cut_off(follower, true);
    told(&mut events, |event| {
        let Event::Failover(supervisor::Event::Refused(refused)) = event else { return None };
        matches!(refused, supervisor::Refused::NoMajority { .. }).then_some(())
    })
    .await;
    trio.add().await;
    trio.cut_off(follower, false);
    trio.agreed().await;
    assert_eq!(trio.leadership(leader).await.epoch, before);
}
