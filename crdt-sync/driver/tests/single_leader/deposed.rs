//! Another node is made to lead, and the one that did has what nobody else has.

use std::fs;

use crdt_sync::single_leader::Grant;
use crdt_sync::{Event, LogEvent};
use crdt_sync_driver::{Node, NodeError, NodeOptions};
use replication_log::Lsn;
use replication_log::ship::commit;
use tokio::sync::broadcast::Receiver;

use crate::checkpoints::{checkpoints, ending, has_first_segment, overwrite, small, small_and_patient};
use crate::cluster::{A, B, C, Cluster, asynchronous, id_of, titles, until, visits};
use crate::snapshots::told;

/// Three nodes, of which nobody can reach the first, which leads; and its events.
async fn leader_is_isolated(adjust: fn(NodeOptions) -> NodeOptions) -> Cluster {
    let cluster = Cluster::with(asynchronous(), adjust).await;
    cluster.node(A).counters(&visits()).increment("first", 1).await.unwrap();
    cluster.node(A).in_sync_with(2).await.unwrap();
    cluster.all_have_everything().await;
    for follower in [B, C] {
        cluster.node(follower).disconnect_from(cluster.address(A)).await;
    }
    until(|| async { cluster.node(A).peers().await.unwrap().is_empty() }).await;
    cluster
}

/// The second node leads, and everybody is connected again.
async fn another_leads(cluster: &Cluster) -> Receiver<Event> {
    let events = cluster.node(A).events();
    cluster.node(B).commits().lead(Grant::FIRST.next().unwrap()).await.unwrap();
    cluster.node(B).registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.connect(B);
    cluster.connect(C);
    events
}

async fn agrees(cluster: Cluster) {
    for node in [A, B, C] {
        cluster.shows(node, "page", "Hello").await;
        assert_eq!(cluster.node(node).counters(&visits()).value("first").await, Ok(1));
    }
    let leadership = cluster.leadership(A).await;
    assert_eq!((leadership.leader, leadership.follows), (Some(id_of(B)), Some(id_of(B))));
    // And goes on, also after it is opened again.
    cluster.node(B).registers(&titles()).set("later", "Bonjour").await.unwrap();
    cluster.shows(A, "later", "Bonjour").await;
    let mut cluster = cluster;
    cluster.kill(A);
    cluster.start(A).await;
    assert_eq!(cluster.node(A).doubt(), None);
    cluster.connect(B);
    cluster.connect(C);
    cluster.shows(A, "later", "Bonjour").await;
    cluster.logs_are_equal().await;
}

fn is_cut_off(event: &LogEvent) -> bool {
    matches!(event, LogEvent::CutOff { .. })
}

fn is_reopened(event: &LogEvent) -> bool {
    matches!(event, LogEvent::Reopened { .. })
}

#[tokio::test]
async fn an_asynchronous_leader_that_was_deposed_opens_itself_anew_and_agrees_with_the_new_one() {
    let cluster = leader_is_isolated(|options| options).await;
    let session = cluster.node(A).session();
    session.registers(&titles()).set("page", "lost").await.unwrap();
    let token = session.token();
    drop(session);
    let mut events = another_leads(&cluster).await;
    while !matches!(
        events.recv().await.unwrap(),
        Event::Commit(commit::Event::CommittedCut { .. }) | Event::Log(_)
    ) {}
    told(&mut events, is_reopened).await;
    // What it told its client of, nobody else had: it can be looked at, and the client is told.
    let aside = ending(&cluster.directory(A), "cut-off");
    assert_eq!(aside.len(), 1);
    let bytes = fs::read(&aside[0]).unwrap();
    assert!(bytes.windows(4).any(|window| window == b"lost"));
    let session = cluster.node(A).session().resume(&token).unwrap();
    let read = session.registers(&titles()).get("page").await;
    assert!(matches!(read, Err(NodeError::Lost { .. })), "{read:?}");
    drop(session);
    agrees(cluster).await;
}

#[tokio::test]
async fn checkpoints_of_what_is_cut_off_go_with_it() {
    let cluster = leader_is_isolated(small_and_patient).await;
    let directory = cluster.directory(A);
    overwrite(cluster.node(A), 512 << 10).await;
    until(|| async { checkpoints(&directory) == 2 }).await;
    let mut events = another_leads(&cluster).await;
    let LogEvent::CutOff { first, last, put_aside } = told(&mut events, is_cut_off).await else { panic!() };
    assert!(first < last && directory.join(put_aside).exists());
    // The whole log is there, for the others had claims to it.
    let reopened = told(&mut events, is_reopened).await;
    assert!(matches!(reopened, LogEvent::Reopened { from: Lsn::ZERO, last } if last < first), "{reopened:?}");
    assert_eq!(checkpoints(&directory), 0);
    agrees(cluster).await;
}

#[tokio::test]
async fn a_deposed_leader_without_a_checkpoint_from_before_the_cut_begins_anew_with_what_the_new_one_has() {
    let cluster = leader_is_isolated(small).await;
    let directory = cluster.directory(A);
    overwrite(cluster.node(A), 2 << 20).await;
    until(|| async { !has_first_segment(&directory) }).await;
    let mut events = another_leads(&cluster).await;
    told(&mut events, is_reopened).await;
    agrees(cluster).await;
}

#[tokio::test]
async fn a_deposed_leader_that_lacks_what_the_new_one_has_dropped_puts_aside_what_it_wrote() {
    let cluster = leader_is_isolated(small).await;
    cluster.node(A).registers(&titles()).set("page", "lost").await.unwrap();
    cluster.node(B).commits().lead(Grant::FIRST.next().unwrap()).await.unwrap();
    overwrite(cluster.node(B), 2 << 20).await;
    let directory = cluster.directory(B);
    until(|| async { !has_first_segment(&directory) }).await;
    let mut events = another_leads_already(&cluster).await;
    let LogEvent::CutOff { put_aside, .. } = told(&mut events, is_cut_off).await else { panic!() };
    let bytes = fs::read(cluster.directory(A).join(put_aside)).unwrap();
    assert!(bytes.windows(4).any(|window| window == b"lost"));
    let reopened = told(&mut events, is_reopened).await;
    assert!(matches!(reopened, LogEvent::Reopened { from, .. } if from > Lsn::ZERO));
    agrees(cluster).await;
}

async fn another_leads_already(cluster: &Cluster) -> Receiver<Event> {
    let events = cluster.node(A).events();
    let new: &Node = cluster.node(B);
    new.registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.connect(B);
    cluster.connect(C);
    events
}
