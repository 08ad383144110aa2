//! What durable writes cost the disk: syncs are counted, no time is measured.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report; it states its figures"
)]

use crdt_sync::{ClusterKey, Collection};
use crdt_sync_driver::{Node, NodeOptions, Registers};

const WRITES: u64 = 50;

/// A node at rest: what its opening wrote is durable and counted.
async fn node() -> (tempfile::TempDir, Node, Registers) {
    let home = tempfile::tempdir().unwrap();
    let titles = Collection::registers("titles");
    let options = NodeOptions::new(ClusterKey::from_bytes([7; 16])).collection(titles.clone());
    let node = Node::open(home.path(), options).await.unwrap();
    let titles = node.registers(&titles);
    titles.set("first", "written").await.unwrap();
    (home, node, titles)
}

async fn write(titles: Registers, caller: u64) {
    for number in 0..WRITES {
        titles.set(format!("{caller}-{number}").as_str(), "a small value").await.unwrap();
    }
}

/// Syncs and batches of the log.
async fn counted(node: &Node) -> (u64, u64) {
    let counters = node.metrics().await.unwrap().counters;
    (counters.syncs, counters.appends)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_waits_for_each_write_pays_one_sync_for_each() {
    let (_home, node, titles) = node().await;
    let before = counted(&node).await;
    write(titles, 0).await;
    let after = counted(&node).await;
    assert_eq!((after.0 - before.0, after.1 - before.1), (WRITES, WRITES));
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_who_write_at_once_share_syncs() {
    const CALLERS: u64 = 64;
    let (_home, node, titles) = node().await;
    let before = counted(&node).await;
    let callers: Vec<_> = (0..CALLERS).map(|caller| tokio::spawn(write(titles.clone(), caller))).collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let after = counted(&node).await;
    let (syncs, appends) = (after.0 - before.0, after.1 - before.1);
    println!("{syncs} syncs for {appends} writes by {CALLERS} callers");
    assert_eq!(appends, CALLERS * WRITES, "each write is a batch of its own");
    // Whatever is appended while the disk is busy shares the next sync. How much that is depends on the disk and on who
    // else has the processor: twenty were seen, and two leave room for both.
    assert!(syncs * 2 <= appends, "{syncs} syncs for {appends} writes");
    node.shutdown().await;
}
