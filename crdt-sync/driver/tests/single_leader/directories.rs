//! Whose a directory is, and what becomes of one that is not what it was.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crdt_sync::RecoverError;
use crdt_sync::single_leader::Grant;
use crdt_sync_driver::{Doubt, Node, NodeError, OpenError};
use replication_log::ship::AckPolicy;
use replication_log::ship::commit::CommitOptions;

use crate::cluster::{A, B, C, Cluster, asynchronous, id_of, plain, semi_sync, titles, until};

#[tokio::test]
async fn a_node_needs_a_name_and_its_directory_is_refused_under_another_one() {
    let home = tempfile::tempdir().unwrap();
    let nameless = plain().single_leader(semi_sync());
    let unnamed = Node::open(home.path().join("new"), nameless.clone()).await.err();
    assert!(matches!(unnamed, Some(OpenError::Unnamed)), "{unnamed:?}");

    let mut cluster = Cluster::of_three(semi_sync()).await;
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.stop(B).await;
    // The log of each is everybody's: under the leader's name the follower would lead.
    let other = Node::open(cluster.directory(B), cluster.options(A).listen(([127, 0, 0, 1], 0))).await.err();
    assert!(matches!(other, Some(OpenError::Recover(RecoverError::OtherNode))), "{other:?}");
    let elsewhere = Node::open(cluster.directory(B), plain().node(id_of(B))).await.err();
    assert!(matches!(elsewhere, Some(OpenError::Recover(RecoverError::OtherReplication))), "{elsewhere:?}");

    let name = cluster.directory(B).join("node");
    let text = fs::read_to_string(&name).unwrap();
    fs::remove_file(&name).unwrap();
    let unknown = Node::open(cluster.directory(B), cluster.options(B)).await.err();
    assert!(matches!(unknown, Some(OpenError::Nameless)), "{unknown:?}");
    fs::write(&name, text).unwrap();

    // It knows its own name.
    let node = Node::open(cluster.directory(B), nameless).await.unwrap();
    assert_eq!(node.status().await.unwrap().node, id_of(B));
    node.shutdown().await;
    cluster.start(B).await;
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn the_directory_of_another_topology_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let node = Node::open(home.path(), plain().node(id_of(A))).await.unwrap();
    node.registers(&titles()).set("page", "Hello").await.unwrap();
    node.shutdown().await;
    let refused = Node::open(home.path(), plain().single_leader(semi_sync()).node(id_of(A))).await.err();
    assert!(matches!(refused, Some(OpenError::Recover(RecoverError::OtherReplication))), "{refused:?}");
}

/// A copy of a directory in which nobody is at work.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn cut_off(directory: &Path) -> usize {
    let names =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".cut-off")).count()
}

#[tokio::test]
async fn what_a_leader_lost_with_its_disk_its_followers_put_aside() {
    let only_c = AckPolicy::any(1, vec![id_of(C)]).unwrap();
    let mut cluster = Cluster::of_three(semi_sync().with_commits(CommitOptions::new(only_c))).await;
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.all_have_everything().await;
    let backup = cluster.directory(A).with_extension("backup");
    cluster.stop(A).await;
    copy(&cluster.directory(A), &backup);

    // The other follower has what comes now; it is not committed, because nobody asks that one.
    cluster.stop(C).await;
    cluster.start(A).await;
    cluster.all_follow().await;
    let lost =
        cluster.node(A).batch().set(&titles(), "page", "lost").commit_within(Duration::from_millis(50));
    assert!(matches!(lost.await, Err(NodeError::Commit(_))));
    until(|| async {
        let (leader, follower) =
            (cluster.node(A).status().await.unwrap(), cluster.node(B).status().await.unwrap());
        leader.durable == follower.durable
    })
    .await;

    cluster.stop(A).await;
    copy(&backup, &cluster.directory(A));
    cluster.start_with(A, |options| options).await;
    assert_eq!(cluster.node(A).doubt(), Some(Doubt::Copied));
    cluster.all_follow().await;
    let epoch = cluster.leadership(A).await.epoch;
    assert!(epoch > Grant::FIRST.epoch(), "not again under the epoch of what it lost");
    assert_eq!(cut_off(&cluster.directory(B)), 1);

    cluster.start(C).await;
    cluster.node(A).registers(&titles()).set("other", "World").await.unwrap();
    for node in [A, B, C] {
        cluster.shows(node, "other", "World").await;
        cluster.shows(node, "page", "Hello").await;
    }
    // A log that is shorter on purpose is no doubtful one.
    cluster.kill(B);
    cluster.start(B).await;
    assert_eq!(cluster.node(B).doubt(), None);
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn a_session_is_told_that_what_it_wrote_is_lost() {
    let mut cluster = Cluster::of_three(asynchronous()).await;
    cluster.stop(A).await;
    let backup = cluster.directory(A).with_extension("backup");
    copy(&cluster.directory(A), &backup);
    cluster.stop(B).await;
    cluster.stop(C).await;
    cluster.start(A).await;
    until(|| async { cluster.leadership(A).await.mode.is_some() }).await;
    let session = cluster.node(A).session();
    session.registers(&titles()).set("page", "lost").await.unwrap();
    let token = session.token();
    drop(session);
    cluster.stop(A).await;

    copy(&backup, &cluster.directory(A));
    cluster.start_with(A, crdt_sync_driver::NodeOptions::restored_from_backup).await;
    assert_eq!(cluster.node(A).doubt(), Some(Doubt::Told));
    until(|| async { cluster.leadership(A).await.mode.is_some() }).await;
    for _ in 0..3 {
        cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    }
    let session = cluster.node(A).session().resume(&token).unwrap();
    let read = session.registers(&titles()).get("page").await;
    assert!(
        matches!(read, Err(NodeError::Lost { epoch, .. }) if Grant::of(epoch) == Grant::FIRST),
        "{read:?}"
    );
}
