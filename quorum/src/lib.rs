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
mod system;
mod tally;

pub use config::QuorumConfig;
pub use describe::{Description, Picture};
pub use error::{
    AckError, CommitError, ConfigError, ExprError, ProbabilityError, SystemError, TallyError, VoteError,
    VotesError,
};
pub use overlap::{Classification, majority, overlap};
pub use probability::Probability;
pub use system::{Expr, MAX_NODES, NodeSet, QuorumSystem, Shape};
pub use tally::{
    AckTally, Answer, CommitTally, JointCommitTally, JointVoteTally, Outcome, Progress, Role, SystemTally,
    Vote, VoteOutcome, VoteTally,
};
