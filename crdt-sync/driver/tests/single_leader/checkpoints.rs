//! Checkpoints of nodes that share a log, and what of the log stays for whom.

use std::path::{Path, PathBuf};

use crdt_sync::{Event, RecoverError};
use crdt_sync_driver::{Node, NodeOptions, OpenError};

use crate::cluster::{A, B, C, Cluster, asynchronous, id_of, semi_sync, titles, until, visits};

const EVERY: u64 = 64 << 10;
const SEGMENT: u64 = 128 << 10;

pub(crate) fn small(options: NodeOptions) -> NodeOptions {
    options.checkpoint_every(EVERY).segment_bytes(SEGMENT).log_for_followers(3 * SEGMENT)
}

pub(crate) fn small_and_patient(options: NodeOptions) -> NodeOptions {
    options.checkpoint_every(EVERY).segment_bytes(SEGMENT)
}

/// Overwrites the same few keys again and again: so many bytes of values in all.
pub(crate) async fn overwrite(node: &Node, bytes: usize) {
    const VALUE: usize = 8 << 10;
    for round in 0..bytes / VALUE {
        let value = format!("{round:0VALUE$}");
        node.registers(&titles()).set(&*format!("key-{}", round % 4), &*value).await.unwrap();
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The files with this ending.
pub(crate) fn ending(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let files = names(directory).into_iter().map(|name| directory.join(name));
    files.filter(|file| file.extension().is_some_and(|found| found == ending)).collect()
}

pub(crate) fn checkpoints(directory: &Path) -> usize {
    ending(directory, "snapshot").len()
}

pub(crate) fn log_bytes(directory: &Path) -> u64 {
    ending(directory, "log")
        .iter()
        .filter_map(|file| std::fs::metadata(file).ok())
        .map(|file| file.len())
        .sum()
}

pub(crate) fn has_first_segment(directory: &Path) -> bool {
    names(directory).contains(&format!("{:016x}.log", 1))
}

#[tokio::test]
async fn all_nodes_are_opened_from_checkpoints_and_none_keeps_more_of_the_log_than_it_is_told() {
    let mut cluster = Cluster::with(semi_sync(), small).await;
    cluster.node(A).counters(&visits()).increment("first", 1).await.unwrap();
    for _ in 0..2 {
        overwrite(cluster.node(A), 1 << 20).await;
        cluster.all_have_everything().await;
        for node in [A, B, C] {
            let directory = cluster.directory(node);
            until(|| async { checkpoints(&directory) == 2 && !has_first_segment(&directory) }).await;
            // What checkpoints need, what is kept for followers, and the segment that is prepared.
            assert!(log_bytes(&directory) <= 8 * SEGMENT, "{}", log_bytes(&directory));
        }
        for node in [C, A, B] {
            cluster.kill(node);
        }
        for node in [B, C, A] {
            cluster.start(node).await;
        }
        cluster.all_follow().await;
        for node in [A, B, C] {
            let visits = cluster.node(node).counters(&visits());
            until(|| async { visits.value("first").await.unwrap() == 1 }).await;
        }
    }
    cluster.all_have_everything().await;
    // Neither its log nor its checkpoints say whose the directory is.
    cluster.stop(B).await;
    let other = Node::open(cluster.directory(B), cluster.options(A).listen(([127, 0, 0, 1], 0))).await.err();
    assert!(matches!(other, Some(OpenError::Recover(RecoverError::OtherNode))), "{other:?}");
    cluster.start(B).await;
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn what_is_not_committed_is_in_no_checkpoint_and_is_written_on_top_of_after_one() {
    let mut cluster = Cluster::with(semi_sync(), small_and_patient).await;
    cluster.node(A).counters(&visits()).increment("/", 1).await.unwrap();
    overwrite(cluster.node(A), 256 << 10).await;
    cluster.stop(B).await;
    cluster.stop(C).await;
    let soon = std::time::Duration::from_millis(20);
    for _ in 0..20 {
        let batch = cluster.node(A).batch().increment(&visits(), "/", 1);
        let filler = "x".repeat(8 << 10);
        assert!(batch.set(&titles(), "filler", &*filler).commit_within(soon).await.is_err());
    }
    // It closes with a checkpoint, of what is committed.
    cluster.stop(A).await;
    assert!(checkpoints(&cluster.directory(A)) > 0);
    cluster.start(A).await;
    assert_eq!(cluster.title(A, "filler").await, None);
    assert_eq!(cluster.node(A).counters(&visits()).value("/").await, Ok(1));
    until(|| async { cluster.leadership(A).await.mode.is_some() }).await;
    let one_more = cluster.node(A).batch().increment(&visits(), "/", 1).commit_within(soon).await;
    assert!(one_more.is_err());
    cluster.start(B).await;
    cluster.start(C).await;
    for node in [A, B, C] {
        let visits = cluster.node(node).counters(&visits());
        until(|| async { visits.value("/").await.unwrap() == 22 }).await;
    }
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn a_follower_that_was_away_for_long_finds_the_log_kept_for_it() {
    let mut cluster = Cluster::with(asynchronous(), small_and_patient).await;
    // The leader has heard of everybody.
    cluster.node(A).in_sync_with(2).await.unwrap();
    cluster.stop(C).await;
    overwrite(cluster.node(A), 1 << 20).await;
    let directory = cluster.directory(A);
    until(|| async { checkpoints(&directory) == 2 }).await;
    assert!(has_first_segment(&directory));
    cluster.start(C).await;
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn a_leader_that_was_restarted_remembers_for_whom_it_keeps_the_log() {
    let mut cluster = Cluster::with(asynchronous(), small_and_patient).await;
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.node(A).in_sync_with(2).await.unwrap();
    let slots = cluster.directory(A).join("replication.slots");
    let last = id_of(C).to_string();
    let is_remembered = |bytes: Vec<u8>| bytes.windows(last.len()).any(|name| name == last.as_bytes());
    until(|| async { std::fs::read(&slots).is_ok_and(is_remembered) }).await;
    cluster.stop(C).await;
    cluster.kill(A);
    cluster.start(A).await;
    cluster.connect(B);
    cluster.all_follow().await;
    overwrite(cluster.node(A), 1 << 20).await;
    let directory = cluster.directory(A);
    until(|| async { checkpoints(&directory) == 2 }).await;
    assert!(has_first_segment(&directory) && log_bytes(&directory) >= 1 << 20);
    let mut events = cluster.node(A).events();
    cluster.start(C).await;
    cluster.all_have_everything().await;
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, Event::Log(_)), "{event:?}");
    }
    cluster.logs_are_equal().await;
}
