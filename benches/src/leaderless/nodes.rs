//! Whole nodes in one process, over loopback.

#![allow(clippy::disallowed_methods, reason = "a stopwatch")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crdt_sync::ClusterKey;
use crdt_sync_driver::{Node, NodeOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Operation, Wait, collection, id_of, ring, value};

/// Keys that each caller uses in turns: what is measured is an operation, not a store that grows.
const KEYS: u64 = 256;
/// How many operations of each caller go before those that are timed.
const WARM_UP: u64 = 10;

/// Nodes that all know and see each other.
pub struct Cluster {
    runtime: Runtime,
    nodes: Arc<Vec<Node>>,
    _home: TempDir,
}

/// What a turn showed.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Operations per second of all callers together.
    pub rate: f64,
    /// What half of them took at most.
    pub p50: Duration,
    /// What 99 of 100 took at most.
    pub p99: Duration,
}

impl Cluster {
    /// Opens so many nodes in folders below `root`, with so many callers' keys on all replicas.
    pub fn open(root: &Path, nodes: usize, callers: usize) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let home = tempfile::tempdir_in(root).expect("a folder");
        let nodes = Arc::new(runtime.block_on(open(home.path(), nodes)));
        let cluster = Self { runtime, nodes, _home: home };
        cluster.run(callers, Operation::Write, Wait::All, |done, _| done < KEYS);
        cluster
    }

    /// Lets all callers do one operation after the other for as long as `time`; each asks a node of its own as far as
    /// there are so many.
    pub fn turn(&self, callers: usize, operation: Operation, wait: Wait, time: Duration) -> Seen {
        self.run(callers, operation, wait, |done, _| done < WARM_UP);
        let start = Instant::now();
        let mut took = self.run(callers, operation, wait, move |_, now| now - start < time);
        let elapsed = start.elapsed();
        // What was not waited for is done before anybody else has a turn.
        self.run(callers, Operation::Write, Wait::All, |done, _| done < 1);
        took.sort_unstable();
        let at = |hundredths: usize| took[(took.len() * hundredths / 100).min(took.len() - 1)];
        Seen { rate: took.len() as f64 / elapsed.as_secs_f64(), p50: at(50), p99: at(99) }
    }

    /// Says how long each operation took.
    fn run(
        &self,
        callers: usize,
        operation: Operation,
        wait: Wait,
        may: impl Fn(u64, Instant) -> bool + Copy + Send + 'static,
    ) -> Vec<Duration> {
        let callers = (0..callers).map(|caller| {
            let node = self.nodes[caller % self.nodes.len()].clone();
            self.runtime.spawn(async move {
                let quorum = node.quorum().writes(wait.writes()).reads(wait.reads());
                let (mut took, mut now) = (Vec::new(), Instant::now());
                while may(took.len() as u64, now) {
                    let number = took.len() as u64 % KEYS;
                    let key = format!("{caller:04}-{number:011}");
                    match operation {
                        Operation::Write => {
                            quorum.write(&collection(), key.as_str(), value(number)).await.map(drop)
                        }
                        Operation::Read => quorum.read(&collection(), key.as_str()).await.map(|read| {
                            assert!(read.value.is_some(), "it was written everywhere");
                        }),
                    }
                    .expect("everybody is up");
                    let done = Instant::now();
                    took.push(done - now);
                    now = done;
                }
                took
            })
        });
        let callers: Vec<_> = callers.collect();
        self.runtime.block_on(async {
            let mut all = Vec::new();
            for caller in callers {
                all.extend(caller.await.expect("no caller panics"));
            }
            all
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            for node in self.nodes.iter() {
                node.clone().shutdown_within(Duration::ZERO).await;
            }
        });
    }
}

async fn open(home: &Path, count: usize) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for number in 0..count {
        let options = NodeOptions::new(ClusterKey::from_bytes([7; 16]))
            .collection(collection())
            .leaderless(ring(count))
            .node(id_of(number))
            .listen(([127, 0, 0, 1], 0))
            .checkpoint_every(u64::MAX);
        let node = Node::open(home.join(number.to_string()), options).await.expect("a node");
        for earlier in &nodes {
            node.connect(earlier.local_addr().expect("it listens")).expect("an address on loopback");
        }
        nodes.push(node);
    }
    for node in &nodes {
        while node.peers().await.expect("peers").len() + 1 < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    nodes
}
