#![doc = include_str!("../README.md")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the edge: it owns the clock, the sockets, the files and the threads"
)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

mod batch;
mod checkpoints;
mod clock;
mod collections;
mod disk;
mod engine_thread;
mod error;
mod failover;
mod leaderless;
mod limits;
mod marker;
mod members;
mod net;
mod node;
mod opening;
mod options;
mod replay;
mod session;
mod shutdown;
mod single_leader;
#[cfg(feature = "tls")]
mod tls;
mod watch;

pub use batch::Batch;
pub use collections::{Counters, Documents, Registers, Sets};
pub use error::{NodeError, OpenError, UnusableCheckpoint};
pub use failover::{Failover, FailoverContradiction, StonithCommand, StonithHook};
pub use leaderless::{
    Quorum, QuorumCounters, QuorumDocuments, QuorumError, QuorumRegisters, QuorumSets, Reached, Ring,
};
pub use limits::{NetworkLimits, Rate};
pub use marker::Doubt;
pub use members::{NotRejoined, Rejoined};
pub use net::{Connection, Connections, NetworkEvent, Peer, Refusal, Traffic};
pub use node::Node;
pub use options::NodeOptions;
pub use session::Session;
pub use single_leader::{CommitError, Commits, Committed};
#[cfg(feature = "tls")]
pub use tls::{Identity, PublicKey, Tls, TlsError, Trust};
pub use watch::{Change, Watch, WatchError};

/// The front page's example, so that it is true.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;
