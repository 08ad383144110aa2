//! Counters: every replica counts in entries of its own, and the value is their sum.

mod bounded;
mod bounded_row;
mod g;
mod pn;
mod reset;

pub use bounded::{BoundedCounter, SpendError};
pub use g::GCounter;
pub use pn::PnCounter;
pub use reset::ResetCounter;

use crate::ReplicaId;

/// An increment or decrement that would take the replica's own entry past `u64::MAX`.
///
/// The caller counted too far under one replica id. The counter is unchanged and there is no delta.
/// Other replicas are not affected, and the same replica can go on under a fresh id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{replica} has counted {current} and cannot count {amount} more; the counter is unchanged")]
pub struct CounterOverflow {
    /// Whose entry is full.
    pub replica: ReplicaId,
    /// What the entry holds.
    pub current: u64,
    /// What was to be added.
    pub amount: u64,
}
