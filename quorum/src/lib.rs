#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod describe;
mod error;
mod overlap;
mod probability;
mod strategy;
mod system;
mod tally;

pub use config::QuorumConfig;
pub use describe::{Description, Picture};
#[cfg(feature = "lp")]
pub use error::PlanError;
pub use error::{
    AckError, ConfigError, ExprError, FractionError, ProbabilityError, ProfileError, StrategyError,
    SystemError, TallyError,
};
pub use overlap::{Classification, majority, overlap};
pub use probability::Probability;
#[cfg(feature = "lp")]
pub use strategy::{Metric, Plan};
pub use strategy::{NodeProfile, ReadFraction, Strategy};
pub use system::{Expr, MAX_NODES, NodeSet, QuorumSystem, Shape};
pub use tally::{AckTally, Answer, Outcome, Role};
