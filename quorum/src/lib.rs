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
mod strategy;
mod system;
mod tally;
pub mod tune;

pub use availability::downtime_per_year;
pub use config::QuorumConfig;
pub use describe::{Description, Picture};
pub use error::{
    AckError, AvailabilityError, CommitError, ConfidenceError, ConfigError, DistancesError,
    DistributionError, EstimateError, ExprError, FractionError, LevelError, MinimalError,
    OrderStatisticError, ParseExprError, PlacementError, ProbabilityError, ProfileError, RateError,
    RequirementsError, ShapeError, SloppyError, StrategyError, SystemAvailabilityError, SystemError,
    SystemLatencyError, TallyError, TargetsError, TooComplex, VoteError, VotesError,
};
#[cfg(feature = "lp")]
pub use error::{PlanError, SearchError};
#[cfg(feature = "simulation")]
pub use error::{SimulationError, WarsError};
pub use latency::{LatencyDistribution, OrderStatistic};
pub use overlap::{Classification, majority, overlap};
pub use presets::{Level, Placement, Preset, RegionalLevel, RegionalQuorum};
pub use probability::Probability;
pub use report::Report;
pub use sloppy::{Durability, SloppyDescription, SloppyQuorum};
pub use staleness::{Confidence, Estimate};
#[cfg(feature = "simulation")]
pub use staleness::{Delays, ReplicaDelays, Simulation, Wars};
#[cfg(feature = "lp")]
pub use strategy::{Found, Metric, Plan, SystemSearch};
pub use strategy::{NodeProfile, ReadFraction, Strategy};
pub use system::{Expr, MAX_NODES, NodeSet, QuorumSystem, Shape, SystemDescription, SystemPicture};
pub use tally::{
    AckTally, Answer, CommitTally, JointCommitTally, JointVoteTally, Outcome, Progress, Role, SystemTally,
    Vote, VoteOutcome, VoteTally,
};
