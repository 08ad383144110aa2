//! Sessions: a client finds at every node what it wrote and was shown at any.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crdt_sync::{Bytes, Cell, Collection, CollectionId, ItemKey, SessionToken, TokenError, Write, Written};

use crate::collections::{Counters, Documents, Registers, Sets};
use crate::error::NodeError;
use crate::node::Node;

/// A session of a client at one node. Clones share it, also when they ask at the same time.
///
/// A read waits until this node has what the session wrote and was shown, there or at another node, and fails with
/// [`NodeError::Behind`] if that takes too long. A write never waits.
///
/// ```
/// use crdt_sync::{ClusterKey, Collection};
/// use crdt_sync_driver::{Node, NodeOptions};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let home = tempfile::tempdir()?;
/// let titles = Collection::registers("titles");
/// let options = || {
///     NodeOptions::new(ClusterKey::from_bytes([7; 16])).collection(titles.clone()).listen(([127, 0, 0, 1], 0))
/// };
/// let here = Node::open(home.path().join("here"), options()).await?;
/// let there = Node::open(home.path().join("there"), options()).await?;
/// here.connect(there.local_addr().expect("it listens"))?;
///
/// let session = here.session();
/// session.registers(&titles).set("profile", "Hello").await?;
/// let token = session.token();
///
/// // The client's next request ends at the other node, and brings the token along.
/// let session = there.session().resume(&token)?;
/// assert_eq!(session.registers(&titles).get("profile").await?, Some("Hello".into()));
/// # here.shutdown().await;
/// # there.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    node: Node,
    token: Arc<Mutex<SessionToken>>,
}

impl Node {
    /// A session in which nothing happened yet.
    pub fn session(&self) -> Session {
        Session { node: self.clone(), token: Arc::default() }
    }
}

impl Session {
    /// The same, going on from a token as well, which another session of this cluster gave out.
    pub fn resume(self, token: &[u8]) -> Result<Self, TokenError> {
        self.advance(token)?;
        Ok(self)
    }

    /// The token of the session as it is now, to be carried by the client. It is no secret, and cannot be changed.
    pub fn token(&self) -> Vec<u8> {
        self.current().encode(self.node.seals().0)
    }

    /// Writes, all or nothing, and returns when everything is durable at this node.
    pub async fn write(&self, writes: Vec<Write>) -> Result<Written, NodeError> {
        self.node.write_in(Some(self), writes).await
    }

    /// The state of a key, once this node has what the session depends on in the key's partition.
    pub async fn read(&self, item: ItemKey) -> Result<Option<Cell>, NodeError> {
        self.node.read_in(Some(self), item).await
    }

    /// All keys of a collection with their states, in key order, once this node has all that the session depends on.
    pub async fn scan(&self, collection: CollectionId) -> Result<Vec<(Bytes, Cell)>, NodeError> {
        self.node.scan_in(Some(self), collection).await
    }

    /// The documents of a collection, as [`Node::documents`] has them.
    pub fn documents(&self, collection: &Collection) -> Documents {
        self.node.documents(collection).in_session(self)
    }

    /// The sets of a collection.
    pub fn sets(&self, collection: &Collection) -> Sets {
        self.node.sets(collection).in_session(self)
    }

    /// The counters of a collection.
    pub fn counters(&self, collection: &Collection) -> Counters {
        self.node.counters(collection).in_session(self)
    }

    /// The registers of a collection.
    pub fn registers(&self, collection: &Collection) -> Registers {
        self.node.registers(collection).in_session(self)
    }

    /// Takes over what a token says: answers that were asked for at the same time come in any order.
    pub(crate) fn advance(&self, token: &[u8]) -> Result<(), TokenError> {
        let (cluster, limits) = self.node.seals();
        let token = SessionToken::decode(token, cluster, limits)?;
        self.current().merge(&token)
    }

    fn current(&self) -> MutexGuard<'_, SessionToken> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
