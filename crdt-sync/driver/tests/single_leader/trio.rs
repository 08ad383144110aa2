//! Three nodes that take over by themselves, connected by lines that can be cut.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crdt_sync::failover::{Detection, FailoverConfig, LeaseTerms};
use crdt_sync::single_leader::{Leadership, SingleLeaderConfig};
use crdt_sync::{Event, NodeId};
use crdt_sync_driver::{CommitError, Node, NodeError, NodeOptions, OpenError};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

use crate::cluster::{A, B, C, end_of, id_of, plain, semi_sync, until, visits};

/// Longer than anything takes here, on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Fast enough for a test, and slow enough for a disk that others use: silence of two seconds, leases of three.
pub(crate) fn rules() -> FailoverConfig {
    FailoverConfig {
        heartbeat: Duration::from_millis(250),
        detection: Detection::Fixed { timeout: Duration::from_secs(2) },
        tolerance: Duration::from_millis(500),
        lease: LeaseTerms::of(Duration::from_secs(3)),
        ask_timeout: Duration::from_millis(500),
        turn: Duration::from_millis(250),
        ..FailoverConfig::new([])
    }
}

pub(crate) fn supervised() -> SingleLeaderConfig {
    semi_sync().with_failover(rules())
}

type Adjust = Box<dyn Fn(usize, NodeOptions) -> NodeOptions + Send>;

pub(crate) struct Trio {
    home: TempDir,
    nodes: [Option<Node>; 3],
    addresses: [SocketAddr; 3],
    /// From the second to the first, from the third to the first, from the third to the second.
    lines: Vec<Line>,
    config: SingleLeaderConfig,
    adjust: Adjust,
}

impl Trio {
    pub(crate) async fn start(config: SingleLeaderConfig) -> Self {
        Self::with(config, |_, options| options).await
    }

    pub(crate) async fn with(
        config: SingleLeaderConfig,
        adjust: impl Fn(usize, NodeOptions) -> NodeOptions + Send + 'static,
    ) -> Self {
        let (home, addresses) = (tempfile::tempdir().unwrap(), [([127, 0, 0, 1], 0).into(); 3]);
        let (nodes, lines) = ([None, None, None], Vec::new());
        let mut trio = Self { home, nodes, addresses, lines, config, adjust: Box::new(adjust) };
        for node in [A, B, C] {
            trio.open(node).await;
        }
        for (_, to) in ENDS {
            trio.lines.push(Line::to(trio.addresses[to]).await);
        }
        for node in [B, C] {
            trio.connect(node);
        }
        trio
    }

    pub(crate) fn directory(&self, node: usize) -> PathBuf {
        self.home.path().join(node.to_string())
    }

    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        self.addresses[node]
    }

    /// Where a node reaches those before it.
    pub(crate) fn dialed_by(&self, node: usize) -> Vec<SocketAddr> {
        let dialed = ENDS.iter().zip(&self.lines).filter(|((from, _), _)| *from == node);
        dialed.map(|(_, line)| line.address).collect()
    }

    async fn open(&mut self, node: usize) {
        let opened = loop {
            let options = plain().single_leader(self.config.clone()).node(id_of(node));
            let options = (self.adjust)(node, options.listen(self.addresses[node]));
            match Node::open(self.directory(node), options).await {
                Ok(opened) => break opened,
                // One that was killed may be ending still.
                Err(OpenError::Storage(_) | OpenError::Listen { .. }) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        };
        self.addresses[node] = opened.local_addr().unwrap();
        self.nodes[node] = Some(opened);
    }

    fn connect(&self, node: usize) {
        for address in self.dialed_by(node) {
            self.node(node).connect(address).unwrap();
        }
    }

    /// Opens a node from what its directory holds.
    pub(crate) async fn restart(&mut self, node: usize) {
        self.open(node).await;
        self.connect(node);
    }

    /// Nobody is told, and nothing is waited for.
    pub(crate) fn kill(&mut self, node: usize) {
        drop(self.nodes[node].take());
    }

    pub(crate) async fn stop(&mut self, node: usize) {
        self.nodes[node].take().unwrap().shutdown().await;
    }

    /// Nothing goes between a node and the others any more, and no connection ends; or all of it goes on.
    pub(crate) fn cut_off(&self, node: usize, is_cut: bool) {
        for ((from, to), line) in ENDS.iter().zip(&self.lines) {
            if *from == node || *to == node {
                line.is_up.send_replace(!is_cut);
            }
        }
    }

    pub(crate) fn node(&self, node: usize) -> &Node {
        self.nodes[node].as_ref().expect("the node is up")
    }

    pub(crate) fn up(&self) -> impl Iterator<Item = usize> {
        [A, B, C].into_iter().filter(|node| self.nodes[*node].is_some())
    }

    pub(crate) async fn leadership(&self, node: usize) -> Leadership {
        self.node(node).failover().leadership().await.unwrap()
    }

    pub(crate) async fn leads(&self, node: usize) -> bool {
        self.leadership(node).await.mode.is_some()
    }

    /// Waits until one of these leads.
    pub(crate) async fn leader_among(&self, nodes: &[usize]) -> usize {
        loop {
            for node in nodes {
                if self.leads(*node).await {
                    return *node;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn leader(&self) -> usize {
        let up: Vec<_> = self.up().collect();
        self.leader_among(&up).await
    }

    pub(crate) async fn count(&self, node: usize) -> i128 {
        self.node(node).counters(&visits()).value("/").await.unwrap()
    }

    /// Adds one at whoever leads, as often as it takes until one is acknowledged. Returns how many more may have been
    /// added, of which nobody knows.
    pub(crate) async fn add(&self) -> i128 {
        let nodes = self.up().map(|node| self.node(node).clone()).collect();
        let mut client = Client::of(nodes);
        while client.acknowledged == 0 {
            client.add().await;
        }
        client.unknown
    }

    /// Waits until everybody shows the same count, and returns it.
    pub(crate) async fn agreed(&self) -> i128 {
        let mut agreed = 0;
        let ask = async || {
            let leader = self.leader().await;
            agreed = self.count(leader).await;
            for node in self.up() {
                let (leads, follows) = (node == leader, self.leadership(node).await.follows.is_some());
                if !(leads || follows) || self.count(node).await != agreed {
                    return false;
                }
            }
            true
        };
        until_by(ask).await;
        agreed
    }

    /// Shuts down whoever is up, and compares what their disks have.
    pub(crate) async fn logs_are_equal(mut self) {
        self.agreed().await;
        // Nobody begins to lead meanwhile, which would be one record more.
        let leader = self.leader().await;
        for node in [A, B, C] {
            self.node(node).failover().pause().await.unwrap();
        }
        until(|| async {
            let ends =
                [self.leadership(A).await.end, self.leadership(B).await.end, self.leadership(C).await.end];
            ends.iter().all(|end| *end == ends[0])
        })
        .await;
        for node in [A, B, C].into_iter().filter(|node| *node != leader).chain([leader]) {
            self.stop(node).await;
        }
        let ends = [A, B, C].map(|node| end_of(&self.directory(node)));
        assert_eq!(ends, [ends[0]; 3]);
    }
}

/// The same as [`until`] for what borrows.
async fn until_by(mut so: impl AsyncFnMut() -> bool) {
    while !so().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for an event of failover at a node.
pub(crate) async fn told<T>(
    events: &mut broadcast::Receiver<Event>,
    mut what: impl FnMut(&Event) -> Option<T>,
) -> T {
    loop {
        match events.recv().await {
            Ok(event) => {
                if let Some(found) = what(&event) {
                    return found;
                }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// Writes at whoever leads, by what it is told of that, and counts.
pub(crate) struct Client {
    nodes: Vec<Node>,
    names: Vec<NodeId>,
    at: usize,
    pub(crate) acknowledged: i128,
    pub(crate) unknown: i128,
}

impl Client {
    pub(crate) fn of(nodes: Vec<Node>) -> Self {
        Self { nodes, names: Vec::new(), at: 0, acknowledged: 0, unknown: 0 }
    }

    pub(crate) async fn add(&mut self) {
        if self.names.is_empty() {
            for node in &self.nodes {
                self.names.push(node.status().await.unwrap().node);
            }
        }
        let batch = self.nodes[self.at].batch().increment(&visits(), "/", 1);
        let (is_nowhere, leader) = match batch.commit_within(Duration::from_secs(5)).await {
            Ok(_) => {
                self.acknowledged += 1;
                return;
            }
            Err(NodeError::Commit(CommitError::NotLeader { leader, .. })) => (true, leader),
            Err(NodeError::Commit(CommitError::HandingOver { to })) => (true, Some(to)),
            Err(NodeError::Commit(error)) => (error.is_nowhere(), None),
            Err(_) => (false, None),
        };
        self.unknown += i128::from(!is_nowhere);
        let hint = self.names.iter().position(|name| Some(*name) == leader);
        self.at = hint.unwrap_or((self.at + 1) % self.nodes.len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    /// Until nobody wants more.
    pub(crate) async fn add_until(mut self, stop: watch::Receiver<bool>) -> Self {
        while !*stop.borrow() {
            self.add().await;
        }
        self
    }
}

/// Who dials whom.
const ENDS: [(usize, usize); 3] = [(B, A), (C, A), (C, B)];

/// A port that leads to another one. While the line is cut everything that is sent waits, as in a network that is gone.
struct Line {
    address: SocketAddr,
    is_up: watch::Sender<bool>,
}

impl Line {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_up, up) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, target, up.clone()));
            }
        });
        Self { address, is_up }
    }
}

async fn carry(near: TcpStream, target: SocketAddr, mut up: watch::Receiver<bool>) {
    if up.wait_for(|up| *up).await.is_err() {
        return;
    }
    let Ok(far) = TcpStream::connect(target).await else { return };
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::join!(pump(near_in, far_out, up.clone()), pump(far_in, near_out, up));
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut up: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        if up.wait_for(|up| *up).await.is_err() {
            return;
        }
        if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
            let _ = to.shutdown().await;
            return;
        }
    }
}
