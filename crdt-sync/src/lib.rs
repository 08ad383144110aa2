#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod authorize;
mod bytes;
mod cell;
mod checkpoint;
mod collection;
mod engine;
mod entry;
pub mod failover;
mod history;
pub mod leaderless;
mod limits;
mod membership;
pub mod merkle;
pub mod metrics;
mod multi_leader;
mod node;
pub mod placement;
#[cfg(feature = "_planted_bugs")]
mod planted;
pub mod range;
mod reconcile;
mod replica;
pub mod routing;
mod rules;
mod scope;
mod session;
pub mod single_leader;
pub mod sketch;
pub mod time;
pub mod wire;

pub use authorize::{Author, Authorization, Authorize, Op};
pub use bytes::Bytes;
pub use cell::{Cell, CellError};
pub use checkpoint::{CheckpointError, CheckpointPiece, RestoreError, node_of_checkpoint};
pub use collection::{Collection, CollectionId, Kind, Strategy};
pub use engine::{
    Activity, Engine, Event, FailoverNews, FailoverTask, Input, LinkId, LogEvent, LogNews, LogStanding,
    LogTask, Memory, Output, PartitionStatus, PeerError, PeerStatus, Reply, Request, RequestId,
    SessionReport, Status,
};
pub use entry::{Chain, Delta, Entry, Position};
pub use limits::{Limits, Timing, TimingError};
pub use membership::{
    FinalFrontier, Forgotten, HoldsBack, Member, Membership, MembershipError, Rejoin, RejoinError,
    RetireError, Unacknowledged, Unseen,
};
pub use node::{ClusterKey, NodeId};
#[cfg(feature = "_planted_bugs")]
pub use planted::{PlantedBug, UnknownBug};
pub use replica::{
    Action, Config, ItemKey, RecoverError, Replication, RunError, RunOutcome, Write, WriteError, Written,
    node_of_log,
};
pub use rules::{Rule, RuleError, Rules, ShowError};
pub use scope::{Scope, ScopeOutOfOrder, ScopedContext, Selector};
pub use session::{Causal, Missing, SessionToken, TokenError};
