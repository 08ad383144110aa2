//! The end of a node.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crdt_sync::single_leader::Leadership;
use replication_log::Lsn;
use replication_log::ship::Stage;
use replication_log::ship::commit::{Follower, Link};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::engine_thread::Command;
use crate::node::Node;

/// How long a node waits for its peers, unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long farewells may take after that.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(500);

impl Node {
    /// Ends the node, and gives its peers two seconds to get what they lack: the same as
    /// [`shutdown_within`](Self::shutdown_within).
    pub async fn shutdown(self) {
        self.shutdown_within(PATIENCE).await;
    }

    /// Ends the node: no connection is made any more; until all connected peers hold the same as this node they have
    /// as long as this (in a leaderless cluster nobody is waited for, and where one node leads, it waits for those that
    /// follow it); then everything becomes durable, peers are told
    /// that the node leaves, connections are closed when that is written, and the log is closed cleanly. Other handles
    /// get [`NodeError::Ended`](crate::NodeError::Ended) from then on.
    ///
    /// What a peer lacks at the deadline it gets when the node is back, or from others that have it. When this
    /// returns, the directory can be opened again.
    pub async fn shutdown_within(self, patience: Duration) {
        let begun = Instant::now();
        self.inner.is_leaving.store(true, Ordering::Release);
        let listener = self.listener().take().map(|(_, running)| running);
        let dialers: Vec<_> = self.dialers().drain(..).map(|(_, running)| running).collect();
        let mut holders: Vec<_> = listener.into_iter().chain(dialers).collect();
        holders.iter().for_each(crate::node::Running::leave);
        // At the deadline, or when the log failed, it ends all the same.
        let _ = timeout(patience, self.peers_hold_the_same()).await;
        let (done, ended) = oneshot::channel();
        if self.inner.commands.send(Command::Shutdown(done)).await.is_ok() {
            let _ = ended.await;
        }
        let left = patience.saturating_sub(begun.elapsed()).max(LAST_WORDS);
        let all_end = async {
            for holder in &mut holders {
                holder.ended().await;
            }
        };
        let _ = timeout(left, all_end).await;
        for holder in holders {
            holder.end().await;
        }
    }

    /// Waits until all connected peers hold the same as this node.
    async fn peers_hold_the_same(&self) {
        // There nobody holds the same, and what was acknowledged is on others already.
        let is_leaderless = self.inner.options.is_leaderless();
        let mut events = self.events();
        while let Ok(status) = self.status().await {
            let is_durable = status.durable == status.appended;
            let others_hold_it = match &status.leadership {
                Some(leadership) => followers_have(leadership, status.appended),
                None => is_leaderless || status.peers.iter().all(|peer| peer.in_sync),
            };
            if is_durable && others_hold_it {
                return;
            }
            if !is_durable || status.leadership.is_some() {
                // No event tells of the disk, nor of those of followers.
                tokio::time::sleep(Duration::from_millis(1)).await;
            } else if let Err(tokio::sync::broadcast::error::RecvError::Closed) = events.recv().await {
                return;
            }
        }
    }
}

/// Whether everybody who follows this node has everything on the disk; nobody follows one that does not lead.
fn followers_have(leadership: &Leadership, last: Lsn) -> bool {
    let has = |follower: &Follower| follower.link == Link::Gone || follower.marks.at(Stage::Flushed) >= last;
    leadership.followers.iter().all(|(_, status)| has(&status.follower))
}
