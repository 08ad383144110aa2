//! Everything that is promised of the crate, a topic per module.
//!
//! It is one program: to link a dozen takes longer than to run them.

mod advisor;
mod advisor_lessons;
mod allocations;
mod availability;
mod calculator;
mod commit;
mod estimates;
mod expressions;
mod known_systems;
mod latency;
mod lessons;
mod overlap;
mod presets;
mod published;
#[cfg(feature = "lp")]
mod search;
mod sloppy;
mod staleness;
#[cfg(feature = "lp")]
mod strategies;
mod system_tally;
mod systems;
mod tune;
#[cfg(feature = "simulation")]
mod visibility;
mod votes;
