#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(test)]
extern crate std;

mod config;
mod describe;
mod error;
mod overlap;
mod tally;

pub use config::QuorumConfig;
pub use describe::{Description, Picture};
pub use error::{AckError, ConfigError, TallyError};
pub use overlap::{Classification, majority, overlap};
pub use tally::{AckTally, Answer, Outcome, Role};
