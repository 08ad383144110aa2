//! What can go wrong, one type per operation. All of it is the caller's to fix: this crate does no IO.

mod config;
mod probability;
mod strategy;
mod system;
mod tally;

pub use config::{
    ConfigError, DistancesError, LevelError, PlacementError, RequirementsError, SloppyError, TargetsError,
};
pub use probability::{
    AvailabilityError, ConfidenceError, DistributionError, EstimateError, OrderStatisticError,
    ProbabilityError, RateError,
};
#[cfg(feature = "simulation")]
pub use probability::{SimulationError, WarsError};
pub use strategy::{FractionError, ProfileError, StrategyError};
#[cfg(feature = "lp")]
pub use strategy::{PlanError, SearchError};
pub use system::{
    ExprError, MinimalError, ParseExprError, ShapeError, SystemAvailabilityError, SystemError,
    SystemLatencyError, TooComplex,
};
pub use tally::{AckError, CommitError, TallyError, VoteError, VotesError};
