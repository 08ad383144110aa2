//! Why connections are refused or ended, and how that is told.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crdt_sync::NodeId;
use thiserror::Error;

/// Something that happened at the edge of a node, before or beside what the engine says in its own events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkEvent {
    /// A connection was not made, or was ended by this side. Nothing the peer said on it from then on had an effect.
    Refused {
        /// The peer's address.
        address: SocketAddr,
        /// Whether this side dialed.
        dialed: bool,
        /// Why.
        reason: Refusal,
    },
    /// Connections from an address failed again and again, and it is not listened to for a while.
    LockedOut {
        /// The address.
        address: IpAddr,
        /// For how long.
        lasts: Duration,
    },
}

/// Why a connection was refused or ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The peer does not speak TLS, and this node does.
    #[error("the peer does not speak TLS")]
    NotTls,
    /// The peer speaks TLS, and this node does not.
    #[error("the peer speaks TLS, this node does not")]
    SpeaksTls,
    /// The peer showed no certificate.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// The peer's certificate was not issued by the cluster's authority, or its key is not pinned.
    #[error("the peer's certificate is not trusted")]
    NotTrusted,
    /// The peer's certificate has expired.
    #[error("the peer's certificate has expired")]
    Expired,
    /// The peer's certificate does not name exactly one node.
    #[error("the peer's certificate does not name exactly one node")]
    NoNode,
    /// The peer greeted as another node than its certificate stands for.
    #[error("the peer says it is node {claimed}, its certificate is of node {certified}")]
    OtherNode {
        /// The node of the certificate.
        certified: NodeId,
        /// The node of the greeting.
        claimed: NodeId,
    },
    /// The TLS handshake failed in another way.
    #[error("the TLS handshake failed: {cause}")]
    Handshake {
        /// What was wrong.
        cause: String,
    },
    /// The peer refused this node in the TLS handshake.
    #[error("the peer refused this node: {alert}")]
    ByPeer {
        /// The alert it sent.
        alert: String,
    },
    /// The connection broke before the peer had greeted.
    #[error("the connection broke before the greeting: {cause}")]
    Broken {
        /// What the system says.
        cause: String,
    },
    /// The peer closed the connection without having greeted.
    #[error("the peer closed the connection before it had greeted")]
    NoGreeting,
    /// The peer had not greeted at the deadline.
    #[error("the peer had not greeted at the deadline")]
    SlowGreeting,
    /// The peer announced a greeting longer than any.
    #[error("the peer announced a first frame of {length} bytes; at most {limit} are accepted")]
    LongGreeting {
        /// The length announced.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// The peer had not greeted, and its place was needed for another connection.
    #[error("the peer had not greeted, and its place was needed")]
    Displaced,
    /// There are as many connections as may be.
    #[error("there are as many connections as may be")]
    Full,
    /// There are as many connections from this address as may be.
    #[error("there are as many connections from this address as may be")]
    AddressFull,
    /// Connections from this address come too fast.
    #[error("connections from this address come too fast")]
    TooOften,
    /// The address is locked out.
    #[error("the address is locked out")]
    LockedOut,
    /// Nothing was heard for too long.
    #[error("the peer was silent for too long")]
    Idle,
    /// A frame took too long to arrive.
    #[error("a frame took too long to arrive")]
    SlowFrame,
    /// The peer takes nothing of what it is sent, or too slowly for what waits.
    #[error("the peer takes too little of what it is sent")]
    Stalled,
    /// The peer sends more than it may, without a pause.
    #[error("the peer sends more than it may, without a pause")]
    TooFast,
}

impl Refusal {
    /// Whether it counts against the peer's address. Mere bad luck does not.
    pub(super) fn is_strike(&self) -> bool {
        !matches!(
            self,
            Self::ByPeer { .. }
                | Self::Broken { .. }
                | Self::Displaced
                | Self::Full
                | Self::AddressFull
                | Self::TooOften
                | Self::LockedOut
                | Self::Idle
                | Self::Stalled
        )
    }
}
