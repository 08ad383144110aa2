//! Writes of a cluster with one leader, with all that is known of them.

use std::time::Duration;

use crdt_sync::single_leader::{CommitReply, Grant, LeadReply, Leadership};
use crdt_sync::time::Instant;
use crdt_sync::{NodeId, Reply, Request, Write, Written};
use replication_log::ship::commit::Fate;
use replication_log::{Epoch, Lsn};

use crate::error::{NodeError, refusal};
use crate::node::Node;

/// Commits in a cluster with one leader: how long to wait for followers, and what became of a write that nobody waits
/// for any more.
///
/// The plain handles and [batches](crate::Batch) write there, too, at the node that leads. They wait for as long as it
/// takes, and say no more than that it is committed.
///
/// ```
/// use std::time::Duration;
///
/// use crdt_sync::single_leader::SingleLeaderConfig;
/// use crdt_sync::{ClusterKey, Collection, NodeId};
/// use crdt_sync_driver::{CommitError, Node, NodeError, NodeOptions};
/// use replication_log::ship::AckPolicy;
/// use replication_log::ship::commit::{CommitOptions, Fate};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let home = tempfile::tempdir()?;
/// let [a, b] = [1, 2].map(NodeId::from_u128);
/// let semi_sync = CommitOptions::new(AckPolicy::semi_sync());
/// let titles = Collection::registers("titles");
/// let options = NodeOptions::new(ClusterKey::from_bytes([7; 16]))
///     .collection(titles.clone())
///     .single_leader(SingleLeaderConfig::new(a, [b]).with_commits(semi_sync));
/// let leader = Node::open(home.path().join("a"), options.clone().node(a)).await?;
/// while leader.commits().leadership().await?.leader != Some(a) { tokio::task::yield_now().await; }
///
/// // Its only follower is not there.
/// let batch = leader.batch().set(&titles, "profile", "Hello");
/// let written = batch.commit_within(Duration::from_millis(20)).await;
/// let Err(NodeError::Commit(CommitError::NotReplicated { epoch, lsn, durable_local, .. })) = written else {
///     panic!("{written:?}")
/// };
/// assert!(durable_local);
/// assert_eq!(leader.commits().fate(epoch, lsn).await?, Fate::Pending);
/// assert_eq!(leader.registers(&titles).get("profile").await?, None); // nobody is shown it
///
/// let follower = Node::open(home.path().join("b"), options.node(b).listen(([127, 0, 0, 1], 0))).await?;
/// leader.connect(follower.local_addr().expect("it listens"))?;
/// while leader.commits().fate(epoch, lsn).await? == Fate::Pending { tokio::task::yield_now().await; }
/// assert_eq!(leader.registers(&titles).get("profile").await?, Some("Hello".into()));
/// # leader.shutdown().await;
/// # follower.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Commits {
    node: Node,
}

/// Writes that are committed, and seen by readers of the node that leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// What they became.
    pub written: Written,
    /// The epoch under which they are in the log.
    pub epoch: Epoch,
    /// Whether only the leader's disk vouches for them, because followers were missing for too long.
    pub degraded: bool,
}

impl Node {
    /// Commits in a cluster with one leader. In other clusters everything asked of it fails with
    /// [`NodeError::OtherTopology`].
    pub fn commits(&self) -> Commits {
        Commits { node: self.clone() }
    }
}

impl Commits {
    /// Writes, all or nothing, and returns when the writes are committed and shown here, or when `patience` is over.
    ///
    /// It costs an fsync here, and what the policy waits for: for most of them a round trip and an fsync at a follower.
    ///
    /// # Errors
    ///
    /// [`NodeError::Commit`] says whether something was written, and [`CommitError`](crate::CommitError) what is known
    /// of it. At a node that does not lead it says who does.
    pub async fn commit(&self, writes: Vec<Write>, patience: Duration) -> Result<Committed, NodeError> {
        let deadline = self.node.now() + patience;
        match self.node.ask(Request::Commit { writes, deadline }).await? {
            Reply::Commit(CommitReply::Committed { written, epoch, degraded }) => {
                Ok(Committed { written, epoch, degraded })
            }
            other => Err(refusal(other)),
        }
    }

    /// What became of a record that this node wrote while it led.
    ///
    /// # Errors
    ///
    /// [`CommitError::NotLeader`](crate::CommitError::NotLeader) where this node does not lead.
    pub async fn fate(&self, epoch: Epoch, lsn: Lsn) -> Result<Fate, NodeError> {
        match self.node.ask(Request::Fate { epoch, lsn }).await? {
            Reply::Fate(fate) => Ok(fate),
            other => Err(refusal(other)),
        }
    }

    /// Has this node lead from now on, by a grant that nobody else was or will be given, and returns its first epoch
    /// and its first record. It leads with what is in its log: what the leader before had told clients of and this node
    /// does not have is lost, so choose one that [has everything](Self::leadership). For an administrator, where nobody
    /// takes over by itself.
    ///
    /// ```
    /// # use crdt_sync::{ClusterKey, NodeId};
    /// # use crdt_sync_driver::{Node, NodeOptions};
    /// use crdt_sync::single_leader::{Grant, SingleLeaderConfig};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = tempfile::tempdir()?;
    /// let [a, b] = [1, 2].map(NodeId::from_u128);
    /// let options = NodeOptions::new(ClusterKey::from_bytes([7; 16])).single_leader(SingleLeaderConfig::new(a, [b]));
    /// let node = Node::open(home.path(), options.node(b)).await?;
    /// let second = Grant::FIRST.next().expect("there are many");
    /// while node.commits().lead(second).await.is_err() { tokio::task::yield_now().await; } // once it is open
    /// assert_eq!(node.commits().leadership().await?.leader, Some(b));
    /// # node.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CommitError::Fenced`](crate::CommitError::Fenced) where the grant is not newer than all that is known,
    /// [`CommitError::Supervised`](crate::CommitError::Supervised) where nodes take over by themselves.
    pub async fn lead(&self, grant: Grant) -> Result<(Epoch, Lsn), NodeError> {
        self.ask_to_lead(Request::Lead { grant, until: None }).await
    }

    /// The same for a time: unless the lead is [extended](Self::extend), this node stops by itself then. Count from
    /// [`now`](Self::now) *before* the grant was asked for, so that whoever gave it never waits too short for its end.
    pub async fn lead_until(&self, grant: Grant, until: Instant) -> Result<(Epoch, Lsn), NodeError> {
        self.ask_to_lead(Request::Lead { grant, until: Some(until) }).await
    }

    /// Whoever gave the grant by which this node leads for a time has it last longer. Count as for
    /// [`lead_until`](Self::lead_until).
    ///
    /// # Errors
    ///
    /// [`CommitError::Fenced`](crate::CommitError::Fenced) where this node does not lead by that grant any more.
    pub async fn extend(&self, grant: Grant, until: Instant) -> Result<(), NodeError> {
        self.ask_to_lead(Request::Extend { grant, until }).await.map(drop)
    }

    /// Has this node, which leads, take no more writes, wait until another one has everything, and step down. Then that
    /// one can be made to [lead](Self::lead), and nothing is lost. Returns the epoch and the number of the last record.
    ///
    /// # Errors
    ///
    /// [`CommitError::StillLeads`](crate::CommitError::StillLeads) where that took longer than `patience`: this node
    /// goes on. [`CommitError::Busy`](crate::CommitError::Busy) where the other one is none that may lead.
    pub async fn hand_over(&self, to: NodeId, patience: Duration) -> Result<(Epoch, Lsn), NodeError> {
        let deadline = self.now() + patience;
        match self.node.ask(Request::HandOver { to, deadline }).await? {
            Reply::Lead(LeadReply::HandedOver { end, .. }) => Ok((Epoch::new(end.epoch), Lsn::new(end.lsn))),
            other => Err(refusal(other)),
        }
    }

    async fn ask_to_lead(&self, request: Request) -> Result<(Epoch, Lsn), NodeError> {
        match self.node.ask(request).await? {
            Reply::Lead(LeadReply::Leads { epoch, first }) => Ok((epoch, first)),
            other => Err(refusal(other)),
        }
    }

    /// What time it is by the clock of this node, by which [leads end](Leadership::leads_until). It began when the node
    /// was opened; on Linux and Android it goes on while the machine sleeps.
    pub fn now(&self) -> Instant {
        self.node.now()
    }

    /// Who leads, as far as this node has heard, how far this node is, and at the leader how far everybody else.
    pub async fn leadership(&self) -> Result<Leadership, NodeError> {
        self.node.status().await?.leadership.ok_or(NodeError::OtherTopology)
    }
}
