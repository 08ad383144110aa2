#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

mod checks;
mod dice;
mod disk;
mod faults;
mod model;
mod network;
mod observe;
mod queue;
mod simulation;
mod trace;
mod violation;
mod workload;
mod world;

pub use dice::Dice;
pub use faults::{Fault, FaultCounts, Hostility};
pub use simulation::{Plan, Report, simulate};
pub use trace::Trace;
pub use violation::{Failure, Violation};
pub use workload::collections;
pub use world::{Notice, Setup, World};
