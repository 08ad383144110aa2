//! Durable writes to a node, beside a bare log that gets batches of as many bytes from as many callers.

#![allow(clippy::disallowed_methods, reason = "a stopwatch")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crdt_sync::{Action, Bytes, Collection, Write};
use crdt_sync_driver::{Node, NodeOptions};
use tokio::runtime::Runtime;

use super::data::{Kind, Way, cluster};
use super::pair;
use crate::logs::workloads::{Sample, Turn};

/// Bytes of each value.
pub const VALUE: usize = 100;

/// How many commands of each caller go before those that are timed.
const WARM_UP: u64 = 10;
/// Keys that each caller writes to, in turns: what is measured is writing, not a store that grows.
const KEYS: u64 = 1_024;

/// Commands of so many writes.
#[derive(Clone, Copy, Debug)]
pub struct Commands {
    /// Who waits for one before the next.
    pub callers: u64,
    /// Writes in each.
    pub writes: u64,
}

impl Commands {
    fn command(self, caller: u64, number: u64) -> Vec<Write> {
        let collection = collection().id();
        let write = |place: u64| Write {
            collection,
            key: format!("{caller:04}-{:011}", (number * self.writes + place) % KEYS.max(self.writes))
                .as_str()
                .into(),
            action: Action::Set(Some(Bytes::from(&[number.to_le_bytes()[0]; VALUE][..]))),
        };
        (0..self.writes).map(write).collect()
    }

    /// Bytes of the one record that a command is in the log.
    ///
    /// # Panics
    ///
    /// When it is more than one.
    pub fn record_bytes(self) -> usize {
        let mut engine = crdt_sync::Engine::open(
            Way::Runs.config(1, Kind::Registers).with_collections([collection()]),
            Vec::<(replication_log::Lsn, Vec<u8>)>::new(),
            pair::now(0),
        )
        .expect("a new engine");
        while engine.poll_output().is_some() {}
        let records = pair::records_of(&mut engine, 1, self.command(0, 0));
        assert_eq!(records.len(), 1, "a command is one record");
        records[0].len()
    }

    /// A turn of a node at them, for as long as `time`. The rate is that of commands.
    pub fn by_node(self, root: &Path, time: Duration) -> Turn {
        let root: PathBuf = root.to_path_buf();
        Box::new(move || {
            let runtime = Runtime::new().expect("a runtime");
            let folder = tempfile::tempdir_in(&root).expect("a folder");
            runtime.block_on(self.drive(folder.path(), time))
        })
    }

    async fn drive(self, folder: &Path, time: Duration) -> Sample {
        let options = NodeOptions::new(cluster()).collection(collection()).checkpoint_every(u64::MAX);
        let node = Node::open(folder, options).await.expect("a node");
        self.run(&node, 0, |done, _| done < WARM_UP).await;
        let before = syncs(&node).await;
        let start = Instant::now();
        let timed = self.run(&node, WARM_UP, move |_, now| now - start < time).await;
        let took = start.elapsed();
        let syncs = syncs(&node).await - before;
        let status = node.status().await.expect("a status");
        let written: u64 = status.partitions[0].heads.iter().map(|(_, head)| head.sequence).sum();
        assert_eq!(written, (timed + self.callers * WARM_UP) * self.writes, "every write is an entry");
        assert_eq!(status.durable, status.appended);
        node.shutdown().await;
        Sample {
            rate: timed as f64 / took.as_secs_f64(),
            synced: None,
            syncs: Some(syncs as f64 / timed as f64),
        }
    }

    /// Lets all callers write for as long as they may, and says how many commands it was.
    async fn run(
        self,
        node: &Node,
        first: u64,
        may: impl Fn(u64, Instant) -> bool + Copy + Send + 'static,
    ) -> u64 {
        let callers = (0..self.callers).map(|caller| {
            let node = node.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while may(done, Instant::now()) {
                    node.write(self.command(caller, first + done)).await.expect("durable");
                    done += 1;
                }
                done
            })
        });
        let callers: Vec<_> = callers.collect();
        let mut all = 0;
        for caller in callers {
            all += caller.await.expect("no caller panics");
        }
        all
    }
}

async fn syncs(node: &Node) -> u64 {
    node.metrics().await.expect("metrics").counters.syncs
}

fn collection() -> Collection {
    Collection::registers("written")
}
