//! The ring of a leaderless cluster, for an administrator.

use std::time::Duration;

use crdt_sync::leaderless::{HintsReply, RingReply};
use crdt_sync::placement::{Change, Member, Phase, Progress};
use crdt_sync::{Bytes, Collection, ItemKey, NodeId, Reply, Request};

use crate::error::{NodeError, refusal};
use crate::node::Node;

/// How often a change is asked how far it is.
const GLANCE: Duration = Duration::from_millis(20);

/// Who holds what, and how that changes. Everything here can be asked of any member.
///
/// A change returns when it has begun, with the version of its first phase. It goes on by itself, while everybody reads
/// and writes, and is over when the ring has [settled](Self::settled). One goes on at a time.
///
/// ```
/// # use crdt_sync::leaderless::LeaderlessConfig;
/// # use crdt_sync::placement::{ChangeError, Layout, Member, Phase, Shape};
/// # use crdt_sync::{ClusterKey, Collection, NodeId};
/// # use crdt_sync_driver::{Node, NodeError, NodeOptions};
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let home = tempfile::tempdir()?;
/// # let titles = Collection::registers("titles");
/// # let plain = NodeOptions::new(ClusterKey::from_bytes([7; 16])).collection(titles.clone());
/// let [cellar, attic] = [1, 2].map(NodeId::from_u128);
/// let shape = Shape { partitions: 16, replicas: 2, write_quorum: 1 };
/// let alone = LeaderlessConfig::new(Layout::found(vec![Member::new(cellar, "cellar")], shape)?);
/// # let options = plain.clone().leaderless(alone).node(cellar).listen(([127, 0, 0, 1], 0));
/// let first = Node::open(home.path().join("cellar"), options).await?;
/// first.registers(&titles).set("profile", "Hello").await?; // two of N = 2 would be a quorum
///
/// // The newcomer names the number of partitions, and knows nothing else.
/// let newcomer = LeaderlessConfig::new(Layout::default());
/// # let options = plain.leaderless(newcomer).partitions(16).node(attic);
/// let second = Node::open(home.path().join("attic"), options).await?;
/// second.connect(first.local_addr().expect("it listens"))?;
/// assert_eq!(second.ring().progress().await?.version, 0);
///
/// first.ring().join(Member::new(attic, "attic")).await?;
/// let again = first.ring().join(Member::new(attic, "attic")).await;
/// # assert!(matches!(again, Err(NodeError::NotChanged(_))), "{again:?}");
/// assert!(again.is_err()); // in progress, or done
/// first.ring().settled().await?;
/// assert_eq!(first.ring().nodes_for(&titles, "profile").await?.len(), 2);
/// assert_eq!(second.registers(&titles).get("profile").await?, Some("Hello".into())); // it holds a copy
/// # first.shutdown().await;
/// # second.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Ring {
    node: Node,
}

impl Node {
    /// The ring that this node's cluster lies on. In a cluster that is not leaderless everything asked of it fails with
    /// [`NodeError::OtherTopology`].
    pub fn ring(&self) -> Ring {
        Ring { node: self.clone() }
    }
}

impl Ring {
    /// A new node comes, which is up and [connected](Node::connect): it copies its share, and the nodes that held it
    /// give it up.
    pub async fn join(&self, newcomer: Member) -> Result<u64, NodeError> {
        self.change(Change::Join(vec![newcomer])).await
    }

    /// A live node goes. It hands over what it holds, and may be shut down when the ring has settled.
    pub async fn leave(&self, node: NodeId) -> Result<u64, NodeError> {
        self.change(Change::Leave(vec![node])).await
    }

    /// A dead node is taken out, and fenced for ever: nobody listens to it any more. What it alone held is lost.
    pub async fn remove(&self, dead: NodeId) -> Result<u64, NodeError> {
        self.change(Change::Remove { dead: vec![dead] }).await
    }

    /// A new node takes the place of a dead one, which is fenced for ever.
    pub async fn replace(&self, dead: NodeId, by: Member) -> Result<u64, NodeError> {
        self.change(Change::Replace { dead, by }).await
    }

    /// Declares nodes dead: nobody listens to them any more, and nothing waits for them. They keep their places on the
    /// ring until they are [removed](Self::remove) or [replaced](Self::replace), and never come back. While a change is
    /// in progress that waits for one of them, this is the way on. Returns the version of the ring, when it is durable
    /// here; [`progress`](Self::progress) says who has not heard of it.
    ///
    /// # Errors
    ///
    /// [`NodeError::NotChanged`] with the cause: a node is on no ring, is this one, or was declared dead before; or
    /// this one is no member. Nothing was declared then.
    pub async fn declare_dead(&self, nodes: impl IntoIterator<Item = NodeId>) -> Result<u64, NodeError> {
        let nodes = nodes.into_iter().collect();
        match self.node.ask(Request::DeclareDead { nodes }).await? {
            Reply::Ring(RingReply::DeclaredDead { version }) => Ok(version),
            other => Err(refusal(other)),
        }
    }

    /// Waits until other nodes have what this node keeps for them now: before it is taken down for long, say. What
    /// comes later is not waited for.
    ///
    /// # Errors
    ///
    /// [`NodeError::HintsWaiting`] when something of it is left after `patience`.
    pub async fn hints_delivered(&self, patience: Duration) -> Result<(), NodeError> {
        let deadline = self.node.now() + patience;
        match self.node.ask(Request::AwaitHints { deadline }).await? {
            Reply::Hints(HintsReply::Delivered) => Ok(()),
            other => Err(refusal(other)),
        }
    }

    /// Any change. Returns the version of its first phase, when that is durable here.
    pub async fn change(&self, change: Change) -> Result<u64, NodeError> {
        match self.node.ask(Request::ChangeRing(change)).await? {
            Reply::Ring(RingReply::Begun { version }) => Ok(version),
            other => Err(refusal(other)),
        }
    }

    /// How far the change in progress is, as this node knows it, and whom it waits for. The version is 0 on a node that
    /// is on no ring yet. O(partitions).
    pub async fn progress(&self) -> Result<Progress, NodeError> {
        self.node.inspect(crdt_sync::Engine::ring_progress).await?.ok_or(NodeError::OtherTopology)
    }

    /// Waits until this node knows of a ring, and of no change of it: reads then ask the new owners. A dead node holds
    /// a change up until it is [removed](Self::remove); [`progress`](Self::progress) names it.
    ///
    /// A change whose newcomer died is undone; [`nodes_for`](Self::nodes_for) tells who is on the ring.
    pub async fn settled(&self) -> Result<Progress, NodeError> {
        loop {
            let progress = self.progress().await?;
            if progress.phase == Phase::Stable && progress.version > 0 {
                return Ok(progress);
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// In which order nodes are asked for a key: first those that hold it, then those that stand in for them, so that
    /// it is everybody on the ring. Nobody in a cluster that is not leaderless.
    pub async fn nodes_for(
        &self,
        collection: &Collection,
        key: impl Into<Bytes>,
    ) -> Result<Vec<NodeId>, NodeError> {
        let item = ItemKey { collection: collection.id(), key: key.into() };
        self.node.inspect(move |engine| engine.preference_list(&item)).await
    }
}
