//! Failover: supervisors, voters and a coordinator in one thread, on clocks that run apart and wires that fail.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small"
)]

mod detection;
mod elections;
mod fencing;
mod handovers;
mod host;
mod inputs;
mod simulation;
mod splits;
mod study;
mod world;
