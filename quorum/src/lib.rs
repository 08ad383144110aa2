#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod advisor;
mod availability;
mod config;
mod describe;
mod error;
mod latency;
mod overlap;
mod presets;
mod probability;
mod report;
mod sloppy;
mod staleness;
mod system;
mod tally;
pub mod tune;

pub use availability::downtime_per_year;
pub use config::QuorumConfig;
pub use describe::{Description, Picture};
pub use error::{
    AckError, AvailabilityError, ConfidenceError, ConfigError, DistancesError, DistributionError,
    EstimateError, ExprError, LevelError, OrderStatisticError, PlacementError, ProbabilityError, RateError,
    RequirementsError, SimulationError, SloppyError, SystemError, TallyError, TargetsError, WarsError,
};
pub use latency::{LatencyDistribution, OrderStatistic};
pub use overlap::{Classification, majority, overlap};
pub use presets::{Level, Placement, Preset, RegionalLevel, RegionalQuorum};
pub use probability::Probability;
pub use report::Report;
pub use sloppy::{Durability, SloppyDescription, SloppyQuorum};
pub use staleness::{Confidence, Delays, Estimate, ReplicaDelays, Simulation, Wars};
pub use system::{Expr, MAX_NODES, NodeSet, QuorumSystem, Shape};
pub use tally::{AckTally, Answer, Outcome, Role};
