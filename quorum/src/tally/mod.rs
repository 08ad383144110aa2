//! Counting answers while they come in.

mod ack;

pub use ack::{AckTally, Answer, Outcome, Role};
