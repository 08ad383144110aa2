//! How often to ask which quorum.
//!
//! A quorum system says who may answer; a strategy says whom to ask, and with it how busy the nodes are, how many
//! messages are sent and how long operations take.

#[cfg(feature = "lp")]
mod candidates;
mod chosen;
#[cfg(feature = "lp")]
mod columns;
#[cfg(feature = "lp")]
mod dual;
#[cfg(feature = "lp")]
mod plan;
mod profile;
#[cfg(feature = "lp")]
mod program;
#[cfg(feature = "lp")]
mod search;

pub use chosen::Strategy;
#[cfg(feature = "lp")]
pub use plan::{Metric, Plan};
pub use profile::{NodeProfile, ReadFraction};
#[cfg(feature = "lp")]
pub use search::{Found, SystemSearch};
