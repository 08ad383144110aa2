//! Reads and writes that wait for several nodes.

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, Report, WriteOptions};
use crdt_sync::{
    Action, Bytes, Cell, Collection, CollectionId, ItemKey, NodeId, Reply, Request, Write, Written,
};

use crate::error::{NodeError, refusal};
use crate::node::Node;

/// How a client of a leaderless cluster reads and writes: for how many nodes it waits, and whether others may stand in.
/// The node that is asked coordinates; it need not hold the key.
///
/// While the ring changes, nodes learn of it one after the other; what is refused for that is begun again by the ring
/// of now, as long as the timeout of the options lasts.
///
/// Both levels are `QUORUM` until said otherwise. Every answer comes with a report of what was reached in truth, and
/// every failure says whether the write [is nowhere](crate::QuorumError::is_nowhere) or may still show up.
///
/// ```
/// use crdt_sync::leaderless::LeaderlessConfig;
/// use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
/// use crdt_sync::placement::{Layout, Member, Shape};
/// use crdt_sync::{ClusterKey, Collection, NodeId};
/// use crdt_sync_driver::{Node, NodeError, NodeOptions, QuorumError};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let home = tempfile::tempdir()?;
/// let [a, b, c] = [1, 2, 3].map(NodeId::from_u128);
/// let members = vec![Member::new(a, "cellar"), Member::new(b, "attic"), Member::new(c, "shed")];
/// let shape = Shape { partitions: 16, replicas: 3, write_quorum: 2 };
/// let ring = LeaderlessConfig::new(Layout::found(members, shape)?);
/// let titles = Collection::registers("titles");
/// let options = NodeOptions::new(ClusterKey::from_bytes([7; 16])).collection(titles.clone()).leaderless(ring);
///
/// // One of three nodes is up.
/// let node = Node::open(home.path().join("a"), options.clone().node(a)).await?;
/// let refused = node.quorum().registers(&titles).set("profile", "Hello").await;
/// let Err(NodeError::Quorum(error @ QuorumError::NotBegun(_))) = refused else { panic!("{refused:?}") };
/// assert!(error.is_nowhere());
///
/// // A second one is enough for a quorum.
/// let other = Node::open(home.path().join("b"), options.node(b).listen(([127, 0, 0, 1], 0))).await?;
/// node.connect(other.local_addr().expect("it listens"))?;
/// while node.peers().await?.is_empty() { tokio::task::yield_now().await; }
/// let written = node.quorum().registers(&titles).set("profile", "Hello").await?;
/// assert_eq!(written.report.copies(), 2);
/// assert!(!written.report.is_eventual());
/// assert_eq!(other.quorum().registers(&titles).get("profile").await?.value, Some("Hello".into()));
///
/// // Other levels, where less is enough or more is needed.
/// let hasty = node.quorum().writes(WriteOptions::ONE).reads(ReadOptions::ONE);
/// assert!(hasty.registers(&titles).get("profile").await?.report.is_eventual());
/// # node.shutdown().await;
/// # other.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Quorum {
    node: Node,
    writes: WriteOptions,
    reads: ReadOptions,
    reads_first: Option<ReadOptions>,
}

/// What an operation came to, and whom it reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached<T> {
    /// What was read, or what is known of the write.
    pub value: T,
    /// Who has the write in truth, or whose states the read covers; and what others may miss of it.
    pub report: Report<NodeId>,
}

impl Node {
    /// Reads and writes that wait for a majority of the nodes that hold a key. In a cluster that is not leaderless they
    /// fail with [`NodeError::OtherTopology`].
    pub fn quorum(&self) -> Quorum {
        Quorum {
            node: self.clone(),
            writes: WriteOptions::QUORUM,
            reads: ReadOptions::QUORUM,
            reads_first: None,
        }
    }
}

impl Quorum {
    /// The same with other options for writes.
    pub fn writes(self, writes: WriteOptions) -> Self {
        Self { writes, ..self }
    }

    /// The same with other options for reads.
    pub fn reads(self, reads: ReadOptions) -> Self {
        Self { reads, ..self }
    }

    /// The same, with a read like this before every write, whose result the write is on top of. Without it, a write is
    /// on top of what the node that carries it out holds, and what that node lacks of a document is beside the write.
    pub fn reading_first(self, reads: ReadOptions) -> Self {
        Self { reads_first: Some(reads), ..self }
    }

    /// Writes to one key. A write in a batch of its own: several keys never take effect together here.
    ///
    /// It costs a message to each replica and one back, and an fsync on each.
    pub async fn write(
        &self,
        collection: &Collection,
        key: impl Into<Bytes>,
        action: Action,
    ) -> Result<Reached<Written>, NodeError> {
        self.write_to(collection.id(), key.into(), action).await
    }

    /// The state of a key on so many nodes, united; `None` when nobody asked holds anything.
    ///
    /// It costs a message to each replica asked and one back; of all but one only a digest, where they agree.
    pub async fn read(
        &self,
        collection: &Collection,
        key: impl Into<Bytes>,
    ) -> Result<Reached<Option<Cell>>, NodeError> {
        self.read_of(collection.id(), key.into()).await
    }

    pub(super) async fn write_to(
        &self,
        collection: CollectionId,
        key: Bytes,
        action: Action,
    ) -> Result<Reached<Written>, NodeError> {
        let (write, options) = (Write { collection, key, action }, self.writes);
        let request = Request::QuorumWrite { write, options, read_first: self.reads_first };
        match self.node.ask(request).await? {
            Reply::Quorum(QuorumReply::Written { written, report }) => Ok(Reached { value: written, report }),
            other => Err(refusal(other)),
        }
    }

    pub(super) async fn read_of(
        &self,
        collection: CollectionId,
        key: Bytes,
    ) -> Result<Reached<Option<Cell>>, NodeError> {
        let item = ItemKey { collection, key };
        match self.node.ask(Request::QuorumRead { item, options: self.reads }).await? {
            Reply::Quorum(QuorumReply::Read { cell, report }) => Ok(Reached { value: cell, report }),
            other => Err(refusal(other)),
        }
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }
}

impl<T> Reached<T> {
    /// The same report with something made of the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Reached<U> {
        Reached { value: make(self.value), report: self.report }
    }
}
