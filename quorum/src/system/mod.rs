//! Quorum systems: which sets of nodes may read, and which may write.

mod cheapest;
mod expr;
mod formula;
mod node_set;
mod quorum_system;

pub use expr::{Expr, Shape};
pub use node_set::{MAX_NODES, NodeSet};
pub use quorum_system::QuorumSystem;
