//! How a node is opened.

use std::net::SocketAddr;
use std::time::Duration;

use crdt_sync::{ClusterKey, Collection, Limits, NodeId, Timing};

use crate::limits::NetworkLimits;
use crate::net::Protection;

/// TCP loses nothing while a connection lives, so repeating is for peers that are stuck, not for frames that are slow.
const RELIABLE: Timing = Timing {
    resend_after: Duration::from_secs(15),
    session_timeout: Duration::from_secs(60),
    ..Timing::DEFAULT
};

/// How a node is opened.
///
/// ```
/// use crdt_sync::{ClusterKey, Collection, Strategy};
/// use crdt_sync_driver::NodeOptions;
///
/// let options = NodeOptions::new(ClusterKey::from_bytes([7; 16]))
///     .collection(Collection::documents("notes", Strategy::Keep))
///     .collection(Collection::counters("visits"))
///     .listen(([127, 0, 0, 1], 0));
/// ```
#[derive(Clone, Debug)]
pub struct NodeOptions {
    pub(crate) cluster: ClusterKey,
    pub(crate) node: Option<NodeId>,
    pub(crate) collections: Vec<Collection>,
    pub(crate) partitions: u16,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) protection: Protection,
    pub(crate) beyond_loopback: bool,
    pub(crate) is_restored: bool,
    pub(crate) limits: Limits,
    pub(crate) network_limits: NetworkLimits,
    pub(crate) timing: Timing,
}

impl NodeOptions {
    /// A member of the cluster with this key. It has no collections and does not listen yet.
    pub fn new(cluster: ClusterKey) -> Self {
        Self {
            cluster,
            node: None,
            collections: Vec::new(),
            partitions: 1,
            listen: None,
            protection: Protection::None,
            beyond_loopback: false,
            is_restored: false,
            limits: Limits::default(),
            network_limits: NetworkLimits::default(),
            timing: RELIABLE,
        }
    }

    /// The node's name. Without it the node has the one its certificate names; without that, a new directory draws one
    /// at random, and an existing one keeps its own.
    pub fn node(mut self, node: NodeId) -> Self {
        self.node = Some(node);
        self
    }

    /// Declares a collection. Every node of the cluster must declare the same ones.
    pub fn collection(mut self, collection: Collection) -> Self {
        self.collections.push(collection);
        self
    }

    /// Into how many partitions keys are divided, the same on every node; one by default.
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = partitions;
        self
    }

    /// Accepts connections at this address; port 0 lets the system choose one.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Encrypts all connections, and accepts only peers that prove who they are. Any address is allowed then.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::tls::Tls) -> Self {
        self.protection = Protection::Tls(tls);
        self
    }

    /// Allows addresses other than this machine's own without TLS. Connections are neither encrypted nor authenticated:
    /// whoever can reach the node and knows the cluster's check value can read and write everything.
    pub fn allow_unprotected_network(mut self) -> Self {
        self.beyond_loopback = true;
        self
    }

    /// The directory was restored from a backup: the node writes under a fresh identity from now on.
    ///
    /// Somebody may have seen writes of the old identity that this directory does not hold. Going on under it would
    /// give other writes the same numbers, and the two histories could not be told apart any more.
    ///
    /// A node notices most copies by itself, by a marker in its directory, see [`Doubt`](crate::Doubt). It does not
    /// notice that the whole disk was put back to an earlier state, as a snapshot of a virtual machine does: there it
    /// must be told. One that is told too late notices when it meets somebody who knows better, and is then fenced
    /// off from its own past.
    pub fn restored_from_backup(mut self) -> Self {
        self.is_restored = true;
        self
    }

    /// Other bounds on connections than the default ones.
    pub fn network_limits(mut self, limits: NetworkLimits) -> Self {
        self.network_limits = limits;
        self
    }

    /// Other bounds on data than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Other waiting times than the default ones, which suit TCP.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }
}
