//! Nodes in directories and at ports of their own, which they keep when they are down.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crdt_sync::leaderless::LeaderlessConfig;
use crdt_sync::placement::{Layout, Member, Shape};
use crdt_sync::{ClusterKey, Collection, NodeId};
use crdt_sync_driver::{Node, NodeOptions};
use tempfile::TempDir;

pub(crate) const SHAPE: Shape = Shape { partitions: 16, replicas: 3, write_quorum: 2 };

pub(crate) struct Cluster {
    home: TempDir,
    founded: LeaderlessConfig,
    nodes: Vec<Option<Node>>,
    addresses: Vec<SocketAddr>,
    adjust: fn(NodeOptions) -> NodeOptions,
}

pub(crate) fn titles() -> Collection {
    Collection::registers("titles")
}

pub(crate) fn visits() -> Collection {
    Collection::counters("visits")
}

pub(crate) fn plain() -> NodeOptions {
    NodeOptions::new(ClusterKey::from_bytes([9; 16])).collection(titles()).collection(visits())
}

/// The ring of so many nodes.
pub(crate) fn founded(nodes: usize) -> LeaderlessConfig {
    LeaderlessConfig::new(Layout::found((0..nodes).map(member).collect(), SHAPE).unwrap())
}

pub(crate) fn named(node: usize, ring: LeaderlessConfig) -> NodeOptions {
    plain().leaderless(ring).partitions(SHAPE.partitions).node(id_of(node))
}

pub(crate) fn id_of(node: usize) -> NodeId {
    NodeId::from_u128(node as u128 + 1)
}

pub(crate) fn member(node: usize) -> Member {
    Member::new(id_of(node), format!("rack {node}"))
}

impl Cluster {
    /// Nodes that all know and see each other, with three replicas of everything.
    pub(crate) async fn of(nodes: usize) -> Self {
        Self::with(nodes, |options| options).await
    }

    pub(crate) async fn with(nodes: usize, adjust: fn(NodeOptions) -> NodeOptions) -> Self {
        let mut cluster = Self {
            home: tempfile::tempdir().unwrap(),
            founded: founded(nodes),
            nodes: Vec::new(),
            addresses: Vec::new(),
            adjust,
        };
        for _ in 0..nodes {
            cluster.add(cluster.founded.clone()).await;
        }
        cluster.all_see_each_other().await;
        cluster
    }

    /// A node that nobody knows yet.
    pub(crate) async fn add_newcomer(&mut self) -> usize {
        self.add(LeaderlessConfig::new(Layout::default())).await;
        self.all_see_each_other().await;
        self.nodes.len() - 1
    }

    async fn add(&mut self, ring: LeaderlessConfig) {
        self.addresses.push(([127, 0, 0, 1], 0).into());
        self.nodes.push(None);
        self.start_with(self.nodes.len() - 1, ring).await;
    }

    /// Opens a node from what its directory holds, at the port that it had. The others dial it again by themselves.
    pub(crate) async fn start(&mut self, node: usize) {
        self.start_with(node, self.founded.clone()).await;
        self.all_see_each_other().await;
    }

    async fn start_with(&mut self, node: usize, ring: LeaderlessConfig) {
        let directory = self.home.path().join(node.to_string());
        let options = (self.adjust)(named(node, ring)).listen(self.addresses[node]);
        let opened = Node::open(directory, options).await.unwrap();
        self.addresses[node] = opened.local_addr().unwrap();
        for earlier in 0..node {
            opened.connect(self.addresses[earlier]).unwrap();
        }
        self.nodes[node] = Some(opened);
    }

    pub(crate) async fn stop(&mut self, node: usize) {
        self.nodes[node].take().unwrap().shutdown().await;
    }

    /// Where a node's directory is, where it listens, and whom it dials.
    pub(crate) fn home_of(&self, node: usize) -> (PathBuf, SocketAddr, &[SocketAddr]) {
        (self.home.path().join(node.to_string()), self.addresses[node], &self.addresses[..node])
    }

    pub(crate) async fn stop_all(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].is_some() {
                self.stop(node).await;
            }
        }
    }

    /// Opens all of them.
    pub(crate) async fn start_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.start_with(node, self.founded.clone()).await;
        }
        self.all_see_each_other().await;
    }

    pub(crate) fn node(&self, node: usize) -> &Node {
        self.nodes[node].as_ref().expect("the node is up")
    }

    /// The nodes in the order in which they are asked for a key.
    pub(crate) async fn cast<const N: usize>(&self, collection: &Collection, key: &str) -> [usize; N] {
        let list = self.node(0).ring().nodes_for(collection, key).await.unwrap();
        let numbers = list.iter().map(|id| (0..self.nodes.len()).find(|n| id_of(*n) == *id).unwrap());
        numbers.take(N).collect::<Vec<_>>().try_into().unwrap()
    }

    /// What a node itself holds.
    pub(crate) async fn held(&self, node: usize, key: &str) -> Option<String> {
        self.node(node).registers(&titles()).get(key).await.unwrap().map(|value| value.to_string())
    }

    /// Waits until all that are up are connected with each other, and with nobody else.
    pub(crate) async fn all_see_each_other(&self) {
        let up = self.nodes.iter().flatten();
        let others = up.clone().count() - 1;
        for node in up {
            until(|| async { node.peers().await.unwrap().len() == others }).await;
        }
    }
}

/// Asks again until it is so; the test runner's own limit ends a wait that never ends.
pub(crate) async fn until<F: Future<Output = bool>>(mut so: impl FnMut() -> F) {
    while !so().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
