//! What an engine counted and how far behind its peers are, as one snapshot.
//!
//! Counting is a few integer additions at the two doors of the engine and changes nothing of what it does.
//! [`Exposition`] writes a snapshot as text that monitoring systems read.

mod counters;
#[cfg(test)]
mod tests;
mod text;

use alloc::vec::Vec;

pub use counters::{Counters, Flow, MessageFlows};
use replication_log::Lsn;
pub use text::Exposition;

use crate::node::NodeId;
use crate::time::{Instant, WallTime};

/// Where an engine stands, in numbers.
///
/// Made by [`Engine::metrics`](crate::Engine::metrics).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// The node.
    pub node: NodeId,
    /// The last durable record of its log.
    pub durable: Lsn,
    /// The last record handed to its log; above `durable` by what the disk still has to do.
    pub appended: Lsn,
    /// The connected peers, ascending.
    pub peers: Vec<PeerMetrics>,
    /// The partitions, by their numbers.
    pub partitions: Vec<PartitionMetrics>,
    /// Merkle sessions that are open.
    pub open_merkle_sessions: usize,
    /// Requests that wait for the disk.
    pub requests_waiting_for_disk: usize,
    /// Requests in sessions of clients that wait for entries of other nodes.
    pub requests_waiting_for_entries: usize,
    /// Outputs that wait for the disk: messages and replies.
    pub gated_outputs: usize,
    /// What was counted since the engine was opened.
    pub counters: Counters,
}

/// A connected peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerMetrics {
    /// The peer.
    pub node: NodeId,
    /// When anything arrived from it last, on the clock of the caller of the engine.
    pub heard: Option<Instant>,
    /// Whether both sides have applied the same entries and compared what they hold, since either last changed as
    /// far as this node knows.
    pub in_sync: bool,
    /// How the two sides compare, per partition; `None` before the peer said how far it is.
    pub lag: Vec<Option<Lag>>,
}

/// How far two nodes are apart in a partition, as far as this one knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Entries the peer has and this node lacks.
    pub missing_here: u64,
    /// Entries this node has and the peer has not acknowledged.
    pub missing_there: u64,
    /// What those that the peer has not acknowledged come to; `None` where that cannot be known: some of them are not
    /// kept as entries any more, so that states will be sent in their place, or the peer is a partial replica, which
    /// is sent a part of them.
    pub owed: Option<Owed>,
}

/// Entries that a peer has not acknowledged, in bytes and in time.
///
/// Only the side that has the entries knows either. Of what a node itself lacks it knows the number,
/// [`Lag::missing_here`]; how much and how old that is, the peer's own numbers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// Their bytes, as they will be sent, without the frames around them.
    pub bytes: u64,
    /// When the oldest of them was written, by the clock of the node that wrote it; `None` when there are none. How
    /// long the peer has been behind is the time from then to now, as exactly as the clocks of the nodes agree. A
    /// stamp is never below one that its writer had seen, so that it is late where another's clock was fast.
    pub oldest: Option<WallTime>,
}

/// A partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionMetrics {
    /// Keys that are held.
    pub keys: usize,
    /// Origins whose entries it follows.
    pub origins: usize,
    /// Bytes of recent entries that are kept to be handed on.
    pub retained_bytes: usize,
}
