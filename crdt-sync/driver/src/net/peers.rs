//! Which connections lead to whom.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crdt_sync::{LinkId, NodeId, PeerStatus};

/// A connected peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The peer.
    pub node: NodeId,
    /// Whether both sides have applied the same entries and compared what they hold, since either last changed as far
    /// as this node knows.
    pub in_sync: bool,
    /// The connections on which it greeted, the latest last. More than one only while one takes the place of another or
    /// is about to be refused; none for a moment while one ends.
    pub connections: Vec<Connection>,
}

/// A connection to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// The peer's end of it. Where the peer dialed, that is not where it listens.
    pub address: SocketAddr,
    /// Whether this node dialed.
    pub dialed: bool,
    /// Whether it is encrypted, and the peer has proved that it is the node it says it is.
    pub certified: bool,
}

/// The connections on which a peer said who it is, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Greeted(Arc<Mutex<BTreeMap<LinkId, (NodeId, Connection)>>>);

impl Greeted {
    pub(super) fn add(&self, link: LinkId, node: NodeId, connection: Connection) {
        self.held().insert(link, (node, connection));
    }

    pub(super) fn remove(&self, link: LinkId) {
        self.held().remove(&link);
    }

    /// A peer with its connections. O(connections).
    pub(crate) fn peer(&self, status: &PeerStatus) -> Peer {
        let held = self.held();
        let to_it = held.values().filter(|(node, _)| *node == status.node);
        let connections = to_it.map(|(_, connection)| *connection).collect();
        Peer { node: status.node, in_sync: status.in_sync, connections }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<LinkId, (NodeId, Connection)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
