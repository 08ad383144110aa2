//! What the tests share.

use std::time::Duration;

use crdt_sync::{ClusterKey, Collection};
use crdt_sync_driver::{NetworkEvent, Node, NodeOptions, Refusal};
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;

pub(crate) const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

pub(crate) fn lists() -> Collection {
    Collection::sets("lists")
}

pub(crate) fn options() -> NodeOptions {
    NodeOptions::new(ClusterKey::from_bytes([7; 16])).collection(lists()).listen(ANY_PORT)
}

/// A node in a directory of its own, which goes when this does.
pub(crate) struct Home {
    pub(crate) node: Node,
    directory: TempDir,
}

impl Home {
    pub(crate) async fn open(options: NodeOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { node: Node::open(directory.path(), options).await.unwrap(), directory }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.directory.path()
    }

    pub(crate) async fn add(&self, element: &str) {
        self.node.sets(&lists()).add("groceries", element).await.unwrap();
    }

    pub(crate) async fn elements(&self) -> Vec<String> {
        let elements = self.node.sets(&lists()).elements("groceries").await.unwrap();
        elements.iter().map(ToString::to_string).collect()
    }

    pub(crate) async fn has(&self, element: &str) {
        until(|| async { self.elements().await.iter().any(|held| held == element) }).await;
    }
}

/// Asks again until it is so; the test runner's own limit ends a wait that never ends.
pub(crate) async fn until<F: Future<Output = bool>>(mut so: impl FnMut() -> F) {
    while !so().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The next refusal that is of interest.
pub(crate) async fn refusal<T>(
    events: &mut Receiver<NetworkEvent>,
    pick: impl Fn(&Refusal) -> Option<T>,
) -> T {
    loop {
        if let NetworkEvent::Refused { reason, .. } = events.recv().await.unwrap()
            && let Some(picked) = pick(&reason)
        {
            return picked;
        }
    }
}

/// Waits for this very refusal.
pub(crate) async fn refused(events: &mut Receiver<NetworkEvent>, expected: Refusal) {
    refusal(events, |reason| (*reason == expected).then_some(())).await;
}
