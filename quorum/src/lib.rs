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
mod strategy;
mod system;
mod tally;

pub use availability::downtime_per_year;
pub use config::QuorumConfig;
pub use describe::{Description, Picture};
pub use error::{
    AckError, AvailabilityError, ConfigError, DistributionError, ExprError, FractionError, MinimalError,
    OrderStatisticError, ParseExprError, ProbabilityError, ProfileError, ShapeError, StrategyError,
    SystemAvailabilityError, SystemError, SystemLatencyError, TallyError, TooComplex,
};
#[cfg(feature = "lp")]
pub use error::{PlanError, SearchError};
pub use latency::{LatencyDistribution, OrderStatistic};
pub use overlap::{Classification, majority, overlap};
pub use probability::Probability;
#[cfg(feature = "lp")]
pub use strategy::{Found, Metric, Plan, SystemSearch};
pub use strategy::{NodeProfile, ReadFraction, Strategy};
pub use system::{Expr, MAX_NODES, NodeSet, QuorumSystem, Shape, SystemDescription, SystemPicture};
pub use tally::{AckTally, Answer, Outcome, Role};
