//! Nodes in directories and at ports of their own, which they keep when they are down. The first one leads.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crdt_sync::single_leader::{Leadership, SingleLeaderConfig};
use crdt_sync::{ClusterKey, Collection, NodeId};
use crdt_sync_driver::{Node, NodeOptions, OpenError};
use replication_log::ship::AckPolicy;
use replication_log::ship::commit::{CommitOptions, WhenShort};
use replication_log::storage::FileStorage;
use replication_log::{Log, LogOptions, Lsn, Position};
use tempfile::TempDir;

pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;
pub(crate) const C: usize = 2;

pub(crate) struct Cluster {
    home: TempDir,
    nodes: Vec<Option<Node>>,
    addresses: Vec<SocketAddr>,
    config: SingleLeaderConfig,
    /// Whether each node follows the one before it, and is connected to no other.
    in_a_row: bool,
    adjust: fn(NodeOptions) -> NodeOptions,
}

pub(crate) fn titles() -> Collection {
    Collection::registers("titles")
}

pub(crate) fn visits() -> Collection {
    Collection::counters("visits")
}

pub(crate) fn id_of(node: usize) -> NodeId {
    NodeId::from_u128(node as u128 + 1)
}

pub(crate) fn plain() -> NodeOptions {
    NodeOptions::new(ClusterKey::from_bytes([9; 16])).collection(titles()).collection(visits())
}

/// Three nodes of which the first leads, and any other has to have what is acknowledged.
pub(crate) fn semi_sync() -> SingleLeaderConfig {
    let followers = [id_of(B), id_of(C)];
    SingleLeaderConfig::new(id_of(A), followers).with_commits(CommitOptions::new(AckPolicy::semi_sync()))
}

pub(crate) fn degrading(after: Duration) -> SingleLeaderConfig {
    let mut config = semi_sync();
    config.commits.when_short = WhenShort::DegradeToAsync { after };
    config
}

pub(crate) fn asynchronous() -> SingleLeaderConfig {
    semi_sync().with_commits(CommitOptions::new(AckPolicy::asynchronous()))
}

impl Cluster {
    /// Three nodes that are connected with each other.
    pub(crate) async fn of_three(config: SingleLeaderConfig) -> Self {
        Self::with(config, |options| options).await
    }

    pub(crate) async fn with(config: SingleLeaderConfig, adjust: fn(NodeOptions) -> NodeOptions) -> Self {
        Self::found(config, false, adjust).await
    }

    /// The last follows the one in the middle.
    pub(crate) async fn in_a_row(config: SingleLeaderConfig) -> Self {
        Self::found(config, true, |options| options).await
    }

    async fn found(
        config: SingleLeaderConfig,
        in_a_row: bool,
        adjust: fn(NodeOptions) -> NodeOptions,
    ) -> Self {
        let (home, addresses) = (tempfile::tempdir().unwrap(), vec![([127, 0, 0, 1], 0).into(); 3]);
        let nodes = vec![None, None, None];
        let mut cluster = Self { home, nodes, addresses, config, in_a_row, adjust };
        for node in [A, B, C] {
            cluster.start(node).await;
        }
        cluster.all_follow().await;
        cluster
    }

    pub(crate) fn directory(&self, node: usize) -> PathBuf {
        self.home.path().join(node.to_string())
    }

    pub(crate) fn options(&self, node: usize) -> NodeOptions {
        let config = self.config.clone();
        let config = if self.in_a_row && node > B { config.with_upstream(id_of(node - 1)) } else { config };
        (self.adjust)(plain()).single_leader(config).node(id_of(node)).listen(self.addresses[node])
    }

    /// Opens a node from what its directory holds, at the port that it had, and connects it.
    pub(crate) async fn start(&mut self, node: usize) {
        self.start_with(node, |options| options).await;
        self.connect(node);
    }

    /// The same, without a connection to anybody. One that was killed may be ending still.
    pub(crate) async fn start_with(&mut self, node: usize, adjust: fn(NodeOptions) -> NodeOptions) {
        let opened = loop {
            match Node::open(self.directory(node), adjust(self.options(node))).await {
                Ok(opened) => break opened,
                Err(OpenError::Storage(_) | OpenError::Listen { .. }) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        };
        self.addresses[node] = opened.local_addr().unwrap();
        self.nodes[node] = Some(opened);
    }

    /// A node dials those before it.
    pub(crate) fn connect(&self, node: usize) {
        for earlier in if self.in_a_row { node.saturating_sub(1)..node } else { 0..node } {
            self.node(node).connect(self.addresses[earlier]).unwrap();
        }
    }

    /// The port of a node, which it keeps.
    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        self.addresses[node]
    }

    pub(crate) async fn stop(&mut self, node: usize) {
        self.nodes[node].take().unwrap().shutdown().await;
    }

    /// Nobody is told, and nothing is waited for.
    pub(crate) fn kill(&mut self, node: usize) {
        drop(self.nodes[node].take());
    }

    pub(crate) fn node(&self, node: usize) -> &Node {
        self.nodes[node].as_ref().expect("the node is up")
    }

    pub(crate) async fn leadership(&self, node: usize) -> Leadership {
        self.node(node).commits().leadership().await.unwrap()
    }

    pub(crate) async fn title(&self, node: usize, key: &str) -> Option<String> {
        self.node(node).registers(&titles()).get(key).await.unwrap().map(|value| value.to_string())
    }

    /// Waits until a node shows this.
    pub(crate) async fn shows(&self, node: usize, key: &str, value: &str) {
        until(|| async { self.title(node, key).await.as_deref() == Some(value) }).await;
    }

    /// Waits until the first node leads, and those that are up follow.
    pub(crate) async fn all_follow(&self) {
        until(|| async { self.leadership(A).await.mode.is_some() }).await;
        for node in [B, C] {
            if self.nodes[node].is_some() {
                until(|| async { self.leadership(node).await.follows.is_some() }).await;
            }
        }
    }

    /// Waits until all that are up have the leader's whole log, and show all of it.
    pub(crate) async fn all_have_everything(&self) {
        until(|| async {
            let leader = self.node(A).status().await.unwrap();
            let mut same = leader.durable == leader.appended;
            for node in self.nodes.iter().flatten() {
                let status = node.status().await.unwrap();
                same &= status.durable == leader.durable && status.partitions == leader.partitions;
            }
            same
        })
        .await;
    }

    /// Shuts down whoever is up, and compares what their disks have: number and running checksum of the last record.
    pub(crate) async fn logs_are_equal(mut self) {
        self.all_have_everything().await;
        for node in [C, B, A] {
            if self.nodes[node].is_some() {
                self.stop(node).await;
            }
        }
        let ends = [A, B, C].map(|node| end_of(&self.directory(node)));
        assert!(ends[0].lsn > Lsn::ZERO);
        assert_eq!(ends, [ends[0]; 3]);
    }
}

pub(crate) fn end_of(directory: &std::path::Path) -> Position {
    let storage = FileStorage::open(directory).unwrap();
    let (log, _) = Log::open(storage, LogOptions::new(7)).unwrap();
    log.last_position()
}

/// Asks again until it is so; the test runner's own limit ends a wait that never ends.
pub(crate) async fn until<F: Future<Output = bool>>(mut so: impl FnMut() -> F) {
    while !so().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
