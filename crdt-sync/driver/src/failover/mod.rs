//! Nodes that take over by themselves: what they need of the world outside, and their handle.
//!
//! The engine decides. Whom it has asked and whom it has stopped is done by tasks of the runtime that opened the node,
//! so that neither a coordinator nor a hook that hangs holds up anything but itself.

mod command;
mod coordinator;
mod handle;
mod helpers;
mod hook;

use crdt_sync::failover::GrantedBy;
use thiserror::Error;

pub use command::StonithCommand;
pub(crate) use coordinator::SharedCoordinator;
pub use handle::Failover;
pub(crate) use helpers::Helpers;
pub(crate) use hook::SharedHook;
pub use hook::StonithHook;

use crate::options::NodeOptions;

/// Options of a node that contradict each other on failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FailoverContradiction {
    /// The right to lead is granted by a coordinator, and there is none:
    /// [`NodeOptions::coordinator`](crate::NodeOptions::coordinator).
    #[error("a coordinator is to grant the right to lead, and none is given")]
    NoCoordinator,
    /// There is a coordinator that nobody would ask: in a cluster without failover, or where the nodes grant the right
    /// to lead themselves.
    #[error("a coordinator is given, and by the configuration it grants nothing")]
    UnusedCoordinator,
    /// An old leader is to be stopped, and nobody knows how: [`NodeOptions::stonith`](crate::NodeOptions::stonith).
    #[error("old leaders are to be stopped, and nothing is given that does")]
    NoStonith,
    /// There is a hook that stops old leaders, and no rule by which it would be called.
    #[error("something is given that stops old leaders, and by the configuration none is stopped")]
    UnusedStonith,
}

/// Whether there is what the configuration asks for, and nothing that it does not.
pub(crate) fn check(options: &NodeOptions) -> Result<(), FailoverContradiction> {
    let rules = options.failover_rules();
    let asks = rules.is_some_and(|rules| matches!(rules.granted_by, GrantedBy::Coordinator { .. }));
    let stops = rules.is_some_and(|rules| rules.stonith.is_some());
    match (asks, options.coordinator.is_some(), stops, options.stonith.is_some()) {
        (true, false, ..) => Err(FailoverContradiction::NoCoordinator),
        (false, true, ..) => Err(FailoverContradiction::UnusedCoordinator),
        (.., true, false) => Err(FailoverContradiction::NoStonith),
        (.., false, true) => Err(FailoverContradiction::UnusedStonith),
        _ => Ok(()),
    }
}
