//! What the tests share.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crdt_sync::{ClusterKey, Collection, Event, NodeId, Strategy};
use crdt_sync_driver::{Node, NodeOptions};
use tempfile::TempDir;

pub(crate) fn lists() -> Collection {
    Collection::sets("lists")
}

pub(crate) fn visits() -> Collection {
    Collection::counters("visits")
}

pub(crate) fn notes() -> Collection {
    Collection::documents("notes", Strategy::Keep)
}

pub(crate) fn titles() -> Collection {
    Collection::registers("titles")
}

pub(crate) fn options() -> NodeOptions {
    NodeOptions::new(ClusterKey::from_bytes([7; 16]))
        .collection(lists())
        .collection(visits())
        .collection(notes())
        .collection(titles())
}

pub(crate) fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Nodes in directories of their own, which go when this does.
pub(crate) struct Homes(TempDir);

impl Homes {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Opens a node that listens.
    pub(crate) async fn open(&self, name: &str) -> Node {
        self.open_with(name, options()).await
    }

    pub(crate) async fn open_with(&self, name: &str, options: NodeOptions) -> Node {
        open(&self.path(name), options).await
    }
}

pub(crate) async fn open(directory: &Path, options: NodeOptions) -> Node {
    Node::open(directory, options.listen(any_port())).await.unwrap()
}

/// Connects two nodes and waits until both know that they hold the same.
pub(crate) async fn meet(one: &Node, other: &Node) {
    one.connect(address_of(other)).unwrap();
    for (node, peer) in [(one, name_of(other).await), (other, name_of(one).await)] {
        let knows =
            || async { node.peers().await.unwrap().iter().any(|met| met.node == peer && met.in_sync) };
        until(knows).await;
    }
}

/// Ends the connections a node dialed, and waits until the other side knows.
pub(crate) async fn part(one: &Node, other: &Node) {
    one.disconnect().await;
    let name = name_of(one).await;
    until(|| async { other.status().await.unwrap().peers.iter().all(|peer| peer.node != name) }).await;
}

pub(crate) fn address_of(node: &Node) -> SocketAddr {
    node.local_addr().unwrap()
}

pub(crate) async fn name_of(node: &Node) -> NodeId {
    node.status().await.unwrap().node
}

/// Waits until all hold the same and know of the same entries.
pub(crate) async fn agree(nodes: &[&Node]) {
    until(|| async {
        let mut standings = Vec::new();
        for node in nodes {
            standings.push(node.status().await.unwrap().partitions);
        }
        standings.windows(2).all(|pair| pair[0] == pair[1])
    })
    .await;
}

pub(crate) async fn told(
    events: &mut tokio::sync::broadcast::Receiver<Event>,
    what: impl Fn(&Event) -> bool,
) -> Event {
    loop {
        let event = events.recv().await.unwrap();
        if what(&event) {
            return event;
        }
    }
}

/// Asks again until it is so; the test runner's own limit ends a wait that never ends.
pub(crate) async fn until<F: Future<Output = bool>>(mut so: impl FnMut() -> F) {
    while !so().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
