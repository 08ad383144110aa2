#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod availability;
mod config;
mod describe;
mod error;
mod latency;
mod overlap;
mod probability;
mod system;
mod tally;

pub use availability::downtime_per_year;
pub use config::QuorumConfig;
pub use describe::{Description, Picture};
pub use error::{
    AckError, AvailabilityError, ConfigError, DistributionError, ExprError, OrderStatisticError,
    ProbabilityError, SystemError, TallyError,
};
pub use latency::{LatencyDistribution, OrderStatistic};
pub use overlap::{Classification, majority, overlap};
pub use probability::Probability;
pub use system::{Expr, MAX_NODES, NodeSet, QuorumSystem, Shape};
pub use tally::{AckTally, Answer, Outcome, Role};
