//! Quorum systems: which sets of nodes may read, and which may write.

pub(crate) mod cheapest;
mod expr;
pub(crate) mod formula;
mod node_set;
mod quorum_system;
mod resilient;

pub use expr::{Expr, Shape};
pub use node_set::{MAX_NODES, NodeSet};
pub use quorum_system::QuorumSystem;
