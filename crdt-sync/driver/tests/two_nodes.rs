//! Two nodes with real directories and real sockets.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::disallowed_methods, reason = "a test of the edge looks at its files")]

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use crdt_sync::{ClusterKey, Collection, NodeId, Strategy};
use crdt_sync_driver::{Node, NodeError, NodeOptions, OpenError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

fn lists() -> Collection {
    Collection::sets("lists")
}

fn notes() -> Collection {
    Collection::documents("notes", Strategy::Keep)
}

fn options() -> NodeOptions {
    let cluster = ClusterKey::from_bytes([7; 16]);
    NodeOptions::new(cluster).collection(lists()).collection(notes()).listen(ANY_PORT)
}

async fn open(directory: &TempDir) -> Node {
    Node::open(directory.path(), options()).await.unwrap()
}

/// Asks again until it is so; the test runner's own limit ends a wait that never ends.
async fn until<F: Future<Output = bool>>(mut so: impl FnMut() -> F) {
    while !so().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn agree(one: &Node, other: &Node) {
    until(|| async {
        let (one, other) = (one.status().await.unwrap(), other.status().await.unwrap());
        one.partitions == other.partitions
    })
    .await;
}

#[tokio::test]
async fn what_is_written_offline_arrives_after_connecting() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (open(&here).await, open(&there).await);
    one.sets(&lists()).add("groceries", "milk").await.unwrap();
    other.sets(&lists()).add("groceries", "bread").await.unwrap();
    one.connect(other.local_addr().unwrap()).unwrap();
    agree(&one, &other).await;
    let elements = other.sets(&lists()).elements("groceries").await.unwrap();
    assert_eq!(elements, ["bread".into(), "milk".into()]);
    one.disconnect().await;
    one.sets(&lists()).remove("groceries", "milk").await.unwrap();
    one.connect(other.local_addr().unwrap()).unwrap();
    until(|| async { other.sets(&lists()).elements("groceries").await.unwrap() == ["bread".into()] }).await;
}

#[tokio::test]
async fn a_node_is_the_same_after_it_was_closed_and_opened() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(&directory).await;
    node.documents(&notes()).put("title", "Hello").await.unwrap();
    let before = node.status().await.unwrap();
    node.shutdown().await;
    let node = open(&directory).await;
    let after = node.status().await.unwrap();
    assert_eq!(
        (after.node, after.replica, after.partitions),
        (before.node, before.replica, before.partitions)
    );
    let reading = node.documents(&notes()).read("title").await.unwrap();
    assert_eq!(reading.value, Some("Hello".into()));
}

#[tokio::test]
async fn a_directory_is_used_by_one_node_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(&directory).await;
    let second = Node::open(directory.path(), options()).await;
    assert!(matches!(second.err(), Some(OpenError::Storage(_))));
    node.shutdown().await;
}

#[tokio::test]
async fn a_directory_of_another_node_or_with_changed_collections_is_refused_with_added_ones_it_opens() {
    let directory = tempfile::tempdir().unwrap();
    open(&directory).await.shutdown().await;
    let other_node = options().node(NodeId::from_u128(1));
    assert!(matches!(Node::open(directory.path(), other_node).await.err(), Some(OpenError::Recover(_))));
    let last_writer_wins = Collection::documents("notes", Strategy::LastWriterWins);
    let other_rule =
        NodeOptions::new(ClusterKey::from_bytes([7; 16])).collection(lists()).collection(last_writer_wins);
    assert!(matches!(Node::open(directory.path(), other_rule).await.err(), Some(OpenError::Recover(_))));
    let one_more = options().collection(Collection::counters("visits"));
    Node::open(directory.path(), one_more).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn a_peer_that_speaks_garbage_is_disconnected_and_the_others_go_on() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (open(&here).await, open(&there).await);
    let address = one.local_addr().unwrap();
    let mut events = one.events();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[6, 0, 0, 0, 1, 2, 3, 4, 5, 6]] {
        let mut stranger = tokio::net::TcpStream::connect(address).await.unwrap();
        stranger.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        // The node may close while the garbage is still unread, which the system reports as a reset.
        let _ = stranger.read_to_end(&mut rest).await;
        let violation = events.recv().await.unwrap();
        assert!(matches!(violation, crdt_sync::Event::Violation { .. }), "{violation:?}");
    }
    other.connect(address).unwrap();
    other.sets(&lists()).add("groceries", "milk").await.unwrap();
    until(|| async { one.sets(&lists()).elements("groceries").await.unwrap() == ["milk".into()] }).await;
}

#[tokio::test]
async fn an_unprotected_network_must_be_allowed_explicitly() {
    let directory = tempfile::tempdir().unwrap();
    let remote: SocketAddr = ([192, 0, 2, 1], 7000).into();
    let refused = Node::open(directory.path(), options().listen(([0, 0, 0, 0], 0))).await;
    assert!(matches!(refused.err(), Some(OpenError::NotLoopback { .. })));
    let node = open(&directory).await;
    assert_eq!(node.connect(remote), Err(NodeError::NotLoopback { address: remote }));
}

#[tokio::test]
async fn a_node_listens_when_it_is_told_to_and_moves_to_another_address() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let silent = NodeOptions::new(ClusterKey::from_bytes([7; 16])).collection(lists()).collection(notes());
    let one = Node::open(here.path(), silent).await.unwrap();
    assert_eq!(one.local_addr(), None);
    one.sets(&lists()).add("groceries", "milk").await.unwrap();
    let first = one.listen(ANY_PORT).await.unwrap();
    assert_eq!(one.local_addr(), Some(first));
    let second = one.listen(ANY_PORT).await.unwrap();
    assert!(tokio::net::TcpStream::connect(first).await.is_err());
    let other = open(&there).await;
    other.connect(second).unwrap();
    agree(&one, &other).await;
}

#[tokio::test]
async fn a_restored_backup_that_says_so_loses_nothing_on_either_side() {
    let (here, there, backup) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (open(&here).await, open(&there).await);
    one.sets(&lists()).add("groceries", "before").await.unwrap();
    one.shutdown().await;
    let (path, bytes) = segment_of(&here);
    std::fs::write(backup.path().join(path.file_name().unwrap()), bytes).unwrap();

    let one = open(&here).await;
    one.sets(&lists()).add("groceries", "after").await.unwrap();
    one.connect(other.local_addr().unwrap()).unwrap();
    until(|| async { other.sets(&lists()).elements("groceries").await.unwrap().len() == 2 }).await;
    one.shutdown().await;

    let restored = Node::open(backup.path(), options().restored_from_backup()).await.unwrap();
    restored.sets(&lists()).add("groceries", "anew").await.unwrap();
    restored.connect(other.local_addr().unwrap()).unwrap();
    agree(&restored, &other).await;
    let elements = restored.sets(&lists()).elements("groceries").await.unwrap();
    assert_eq!(elements, ["after".into(), "anew".into(), "before".into()]);
}

/// The bytes of the node's only log segment, and where they are.
fn segment_of(directory: &TempDir) -> (std::path::PathBuf, Vec<u8>) {
    let mut segments: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("marker") && std::fs::metadata(path).unwrap().len() > 0)
        .collect();
    assert_eq!(segments.len(), 1, "{segments:?}");
    let path = segments.remove(0);
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

#[tokio::test]
async fn a_log_that_is_damaged_where_it_was_durable_is_refused_and_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(&directory).await;
    node.sets(&lists()).add("groceries", "milk").await.unwrap();
    node.sets(&lists()).add("groceries", "bread").await.unwrap();
    node.shutdown().await;
    let (path, mut bytes) = segment_of(&directory);
    let milk = bytes.windows(4).position(|window| window == b"milk").unwrap();
    bytes[milk] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let refused = Node::open(directory.path(), options()).await;
    assert!(matches!(refused.err(), Some(OpenError::Log(_))));
    assert_eq!(segment_of(&directory).1, bytes);
}

#[tokio::test]
async fn an_end_that_was_never_durable_is_cut_and_the_rest_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(&directory).await;
    node.sets(&lists()).add("groceries", "milk").await.unwrap();
    node.shutdown().await;
    // As if power was lost while a batch was being written over the closing mark.
    let (path, mut bytes) = segment_of(&directory);
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end] ^= 0xff;
    bytes.extend([0xab; 100]);
    std::fs::write(&path, &bytes).unwrap();
    let node = open(&directory).await;
    assert_eq!(node.sets(&lists()).elements("groceries").await.unwrap(), ["milk".into()]);
    node.sets(&lists()).add("groceries", "bread").await.unwrap();
    node.shutdown().await;
}
