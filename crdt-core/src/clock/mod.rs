//! Who has seen what, and when things happened.
//!
//! Causality is exact and needs no time: [`CausalContext`] and [`VersionVector`] say which changes
//! a state covers. [`Hlc`] orders what causality leaves open, close to the time people see.
//!
//! Nothing here reads a clock. A wall time comes in as a [`WallTime`] and is treated as a hint:
//! it may stand still, jump and go back.

mod by_replica;
mod causal_context;
mod hlc;
mod ranges;
mod stability;
mod version_vector;
mod wall_time;

pub use causal_context::CausalContext;
pub use hlc::{Hlc, HlcClock, Observed, Stamp};
pub(crate) use ranges::{Range, Ranges};
pub use stability::stable_cut;
pub use version_vector::VersionVector;
pub use wall_time::WallTime;
