//! Checkpoints in real directories: what is kept, what is dropped, and what is left after the worst.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "in a test a panic is the report; this one looks at files, runs itself and kills it"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crdt_sync::{ClusterKey, Collection, Event, Limits};
use crdt_sync_driver::{Node, NodeOptions, OpenError, UnusableCheckpoint};

const EVERY: u64 = 64 << 10;
const SEGMENT: u64 = 128 << 10;
const DIRECTORY: &str = "CRDT_SYNC_TEST_DIRECTORY";

fn titles() -> Collection {
    Collection::registers("titles")
}

fn visits() -> Collection {
    Collection::counters("visits")
}

fn options() -> NodeOptions {
    let limits = Limits { max_retained: 8 << 10, ..Limits::default() };
    NodeOptions::new(ClusterKey::from_bytes([7; 16]))
        .collection(titles())
        .collection(visits())
        .limits(limits)
        .segment_bytes(SEGMENT)
        .checkpoint_every(EVERY)
}

async fn open(directory: &Path) -> Node {
    Node::open(directory, options()).await.unwrap()
}

/// Overwrites the same few keys again and again: so many bytes of values in all.
async fn overwrite(node: &Node, bytes: usize) {
    const VALUE: usize = 2 << 10;
    for round in 0..bytes / VALUE {
        let value = format!("{round:0VALUE$}");
        node.registers(&titles()).set(&*format!("key-{}", round % 8), &*value).await.unwrap();
    }
}

/// A directory whose log was cut, and what its node held.
async fn cut_directory(directory: &Path) -> Vec<crdt_sync::PartitionStatus> {
    let node = open(directory).await;
    node.counters(&visits()).increment("first", 1).await.unwrap();
    overwrite(&node, 1 << 20).await;
    until(|| async { checkpoints(directory).len() == 2 && first_segment_is_gone(directory) }).await;
    let status = node.status().await.unwrap();
    node.shutdown().await;
    status.partitions
}

async fn until<F: Future<Output = bool>>(mut so: impl FnMut() -> F) {
    while !so().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The finished ones, oldest first.
fn checkpoints(directory: &Path) -> Vec<PathBuf> {
    files(directory).into_iter().filter(|file| file.extension().is_some_and(|e| e == "snapshot")).collect()
}

fn first_segment_is_gone(directory: &Path) -> bool {
    let first = format!("{:016x}", 1);
    !files(directory).iter().any(|file| {
        let name = file.file_name().unwrap().to_str().unwrap();
        name.starts_with(&first) && !name.contains("snapshot")
    })
}

fn size(directory: &Path) -> u64 {
    files(directory).iter().filter_map(|file| std::fs::metadata(file).ok()).map(|file| file.len()).sum()
}

fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_directory_stays_small_however_much_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path()).await;
    let mut largest = 0;
    for _ in 0..32 {
        overwrite(&node, 128 << 10).await;
        largest = largest.max(size(directory.path()));
    }
    node.shutdown().await;
    // Two checkpoints, what was logged since the older of them, the segment being written and the one prepared.
    assert!(largest < 1 << 20, "{largest} bytes for 16 KiB that were written 256 times over");
}

#[tokio::test]
async fn a_node_whose_log_was_cut_is_the_same_after_it_was_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let before = cut_directory(directory.path()).await;
    let node = open(directory.path()).await;
    assert_eq!(node.status().await.unwrap().partitions, before);
    assert_eq!(node.counters(&visits()).value("first").await.unwrap(), 1);
    node.counters(&visits()).increment("first", 1).await.unwrap();
    node.shutdown().await;
    let node = open(directory.path()).await;
    assert_eq!(node.counters(&visits()).value("first").await.unwrap(), 2);
}

#[tokio::test]
async fn a_checkpoint_is_made_at_shutdown_when_it_is_worth_its_while() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path()).await;
    node.counters(&visits()).increment("first", 1).await.unwrap();
    node.shutdown().await;
    assert_eq!(checkpoints(directory.path()).len(), 0, "a few records are replayed sooner than read");
    let node = open(directory.path()).await;
    overwrite(&node, 32 << 10).await;
    node.shutdown().await;
    assert_eq!(checkpoints(directory.path()).len(), 1);
}

#[tokio::test]
async fn a_peer_that_is_too_far_behind_for_a_log_that_was_cut_catches_up_by_a_session() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = cut_directory(here.path()).await;
    let node = open(here.path()).await;
    let address = node.listen(([127, 0, 0, 1], 0)).await.unwrap();
    let late = open(there.path()).await;
    let mut events = late.events();
    late.connect(address).unwrap();
    until(|| async { late.status().await.unwrap().partitions == before }).await;
    while !matches!(events.recv().await.unwrap(), Event::SessionFinished { .. }) {}
}

#[tokio::test]
async fn a_damaged_checkpoint_is_passed_over_for_the_one_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let before = cut_directory(directory.path()).await;
    let [_, newest] = &checkpoints(directory.path())[..] else { panic!("two are kept") };
    damage(newest);
    let node = open(directory.path()).await;
    assert_eq!(node.status().await.unwrap().partitions, before);
    // The next one takes the place of the damaged one, and not of the one that serves.
    overwrite(&node, 1 << 20).await;
    let after = node.status().await.unwrap().partitions;
    node.shutdown().await;
    damage(checkpoints(directory.path()).last().unwrap());
    let node = open(directory.path()).await;
    assert_eq!(node.status().await.unwrap().partitions, after);
}

#[tokio::test]
async fn without_any_intact_checkpoint_a_log_that_was_cut_is_refused_and_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    cut_directory(directory.path()).await;
    for file in checkpoints(directory.path()) {
        damage(&file);
    }
    let held = || files(directory.path()).iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>();
    let before = held();
    match Node::open(directory.path(), options()).await.err() {
        Some(OpenError::NoCheckpoint { unusable, .. }) => {
            let damaged = |why: &UnusableCheckpoint| matches!(why, UnusableCheckpoint::Damaged(_));
            assert!(unusable.len() == 2 && unusable.iter().all(|(_, why)| damaged(why)), "{unusable:?}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(held(), before);
}

#[tokio::test]
async fn a_checkpoint_of_another_log_is_not_used() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    cut_directory(here.path()).await;
    cut_directory(there.path()).await;
    let foreign = checkpoints(there.path());
    for (ours, theirs) in checkpoints(here.path()).iter().zip(&foreign) {
        std::fs::remove_file(ours).unwrap();
        std::fs::copy(theirs, here.path().join(theirs.file_name().unwrap())).unwrap();
    }
    match Node::open(here.path(), options()).await.err() {
        Some(OpenError::NoCheckpoint { unusable, .. }) => assert!(!unusable.is_empty()),
        // The foreign one may stand for a record that this log never reached.
        Some(OpenError::Log(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// Not a test of its own: the process that the next one starts and kills. It says how far it came.
#[tokio::test]
#[ignore = "run by the test below, which kills it"]
async fn the_victim() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let node = open(Path::new(&directory)).await;
    for _ in 0..1_000_000 {
        node.counters(&visits()).increment("victim", 1).await.unwrap();
        println!("acknowledged");
        overwrite(&node, 4 << 10).await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_before_kill_9_is_there_whatever_checkpoint_was_being_made() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    // A checkpoint about every twelve rounds: some are killed while one is written, some while the log is cut.
    for rounds in [20, 31, 14, 45, 27] {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_victim", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
        let heard = said.filter(|line| line.contains("acknowledged")).take(rounds).count();
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert_eq!(heard, rounds, "it ended by itself");
        acknowledged += rounds as i128;

        let node = open(directory.path()).await;
        let found = node.counters(&visits()).value("victim").await.unwrap();
        node.shutdown().await;
        assert!(found >= acknowledged, "{found} of {acknowledged}");
        // What was written and not heard of any more is there, too.
        acknowledged = found;
    }
    assert!(first_segment_is_gone(directory.path()), "the log was cut meanwhile");
}
