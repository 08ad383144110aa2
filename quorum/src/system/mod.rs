//! Quorum systems: which sets of nodes may read, and which may write.

mod availability;
pub(crate) mod cheapest;
mod describe;
mod expr;
pub(crate) mod formula;
mod latency;
pub(crate) mod minimal;
mod node_set;
mod parse;
mod quorum_system;
mod residual;
mod resilience;
#[cfg(feature = "lp")]
mod resilient;
mod rule;
#[cfg(test)]
mod samples;
mod shapes;
mod sweep;
mod together;
mod validity;

pub use describe::{SystemDescription, SystemPicture};
pub use expr::{Expr, Shape};
pub use node_set::{MAX_NODES, NodeSet};
pub use quorum_system::QuorumSystem;
