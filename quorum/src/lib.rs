#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod describe;
mod error;
mod latency;
mod overlap;
mod probability;
mod staleness;
mod system;
mod tally;

pub use config::QuorumConfig;
pub use describe::{Description, Picture};
pub use error::{
    AckError, ConfidenceError, ConfigError, DistributionError, EstimateError, ExprError, ProbabilityError,
    RateError, SimulationError, SystemError, TallyError, WarsError,
};
pub use latency::LatencyDistribution;
pub use overlap::{Classification, majority, overlap};
pub use probability::Probability;
pub use staleness::{Confidence, Delays, Estimate, ReplicaDelays, Simulation, Wars};
pub use system::{Expr, MAX_NODES, NodeSet, QuorumSystem, Shape};
pub use tally::{AckTally, Answer, Outcome, Role};
