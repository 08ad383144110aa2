//! Writes to several keys and collections that take effect together.

use std::time::Duration;

use crdt_sync::{Action, Bytes, Collection, Write, Written};

use crate::error::NodeError;
use crate::node::Node;
use crate::single_leader::Committed;

/// Writes that are gathered, and then take effect together or not at all.
///
/// ```
/// use crdt_sync::{ClusterKey, Collection};
/// use crdt_sync_driver::{Node, NodeOptions};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let (lists, bought) = (Collection::sets("lists"), Collection::counters("bought"));
/// let cluster = ClusterKey::from_bytes([7; 16]);
/// let options = NodeOptions::new(cluster).collection(lists.clone()).collection(bought.clone());
/// let node = Node::open(directory.path(), options).await?;
///
/// node.sets(&lists).add("groceries", "milk").await?;
/// node.batch().remove(&lists, "groceries", "milk").increment(&bought, "groceries", 1).commit().await?;
/// assert_eq!(node.counters(&bought).value("groceries").await?, 1);
/// # node.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing is written before `commit`"]
pub struct Batch {
    node: Node,
    writes: Vec<Write>,
}

impl Node {
    /// An empty batch.
    pub fn batch(&self) -> Batch {
        Batch { node: self.clone(), writes: Vec::new() }
    }
}

impl Batch {
    /// Writes a version of a document on top of what this node shows.
    pub fn put(self, documents: &Collection, key: impl Into<Bytes>, body: impl Into<Bytes>) -> Self {
        self.with(documents, key, Action::Put(body.into()))
    }

    /// Deletes a document as it is seen here.
    pub fn delete(self, documents: &Collection, key: impl Into<Bytes>) -> Self {
        self.with(documents, key, Action::Delete)
    }

    /// Adds an element to a set.
    pub fn add(self, sets: &Collection, key: impl Into<Bytes>, element: impl Into<Bytes>) -> Self {
        self.with(sets, key, Action::Add(element.into()))
    }

    /// Removes an element from a set as far as it is seen here.
    pub fn remove(self, sets: &Collection, key: impl Into<Bytes>, element: impl Into<Bytes>) -> Self {
        self.with(sets, key, Action::Remove(element.into()))
    }

    /// Adds to a counter.
    pub fn increment(self, counters: &Collection, key: impl Into<Bytes>, amount: u64) -> Self {
        self.with(counters, key, Action::Increment(amount))
    }

    /// Subtracts from a counter.
    pub fn decrement(self, counters: &Collection, key: impl Into<Bytes>, amount: u64) -> Self {
        self.with(counters, key, Action::Decrement(amount))
    }

    /// Sets the value of a register.
    pub fn set(self, registers: &Collection, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.with(registers, key, Action::Set(Some(value.into())))
    }

    /// Clears the value of a register.
    pub fn clear(self, registers: &Collection, key: impl Into<Bytes>) -> Self {
        self.with(registers, key, Action::Set(None))
    }

    /// Any other write.
    pub fn with(mut self, collection: &Collection, key: impl Into<Bytes>, action: Action) -> Self {
        self.writes.push(Write { collection: collection.id(), key: key.into(), action });
        self
    }

    /// Writes everything, or nothing if any of it is refused, and returns when all of it is durable here.
    ///
    /// Together means on this node and in its log: peers get the writes one after the other.
    pub async fn commit(self) -> Result<Written, NodeError> {
        self.node.write(self.writes).await
    }

    /// The same in a cluster with one leader, where everybody gets the writes together: waits no longer than
    /// `patience`, as [`Commits::commit`](crate::Commits::commit) does.
    pub async fn commit_within(self, patience: Duration) -> Result<Committed, NodeError> {
        self.node.commits().commit(self.writes, patience).await
    }
}
