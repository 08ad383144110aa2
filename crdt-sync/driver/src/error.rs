//! What can go wrong with a node.

use std::io;
use std::net::SocketAddr;

use conflict_store::ResolveError;
use crdt_sync::{NodeId, RecoverError, WriteError};
use replication_log::Lsn;
use thiserror::Error;

/// Why a node could not be opened, or cannot listen. Its directory is as it was, except for what the log's own
/// error says.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory is in use, or cannot be read or written.
    #[error("the directory cannot be used: {0}")]
    Storage(#[from] replication_log::storage::StorageError),
    /// The log is damaged where it was durable, or of another version.
    #[error("the log cannot be opened: {0}")]
    Log(#[from] replication_log::OpenError),
    /// The log's records could not be read back.
    #[error("the log cannot be read: {0}")]
    Read(#[from] replication_log::ReadError),
    /// The log belongs to another node or was written with another configuration.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// The address is not this machine's own, and the network is not protected.
    #[error("{address} is not a loopback address and connections are not encrypted; allow it explicitly")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The options name another node than the certificate. Peers would refuse it.
    #[error("the options say that this is node {named}, the certificate is of node {certified}")]
    OtherNode {
        /// The node of the options.
        named: NodeId,
        /// The node of the certificate.
        certified: NodeId,
    },
    /// The system gives no thread.
    #[error("no thread can be started: {0}")]
    Thread(io::Error),
}

/// Why a node did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The writes were refused, all of them.
    #[error(transparent)]
    Refused(#[from] WriteError),
    /// As many requests wait for the disk as may; nothing was done.
    #[error("too many requests wait for the disk; nothing was done")]
    Overloaded,
    /// The value is not durable yet and the deadline has passed; nothing was changed.
    #[error("record {lsn} is not durable yet; try again")]
    NotYetVisible {
        /// The record waited for.
        lsn: Lsn,
    },
    /// The log failed before the writes were known to be durable: whether they survived is known after the
    /// node is opened again.
    #[error("the log failed; whether record {lsn} is durable is unknown")]
    Unknown {
        /// The record.
        lsn: Lsn,
    },
    /// The node is shut down, or its log failed. Open it again.
    #[error("the node is shut down")]
    Ended,
    /// A conflict cannot be shown by the collection's rule.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The address is not this machine's own, and the network is not protected.
    #[error("{address} is not a loopback address and connections are not encrypted; allow it explicitly")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
}
