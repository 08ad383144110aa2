//! Handles of a node of a leaderless cluster: quorum reads and writes, and the ring.

mod collections;
mod error;
mod quorum;
mod ring;

pub use collections::{QuorumCounters, QuorumDocuments, QuorumRegisters, QuorumSets};
pub use error::QuorumError;
pub(crate) use error::refused;
pub use quorum::{Quorum, Reached};
pub use ring::Ring;
