#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

mod checks;
mod coverage;
mod dice;
mod disk;
mod faults;
mod model;
mod network;
mod observe;
mod phase;
mod queue;
mod simulation;
mod trace;
mod violation;
mod workload;
mod world;

pub use coverage::Coverage;
pub use dice::Dice;
pub use faults::{Fault, FaultCounts, Hostility};
pub use phase::{Phase, UnknownName};
pub use simulation::{Plan, Report, simulate};
pub use trace::Trace;
pub use violation::{Failure, Violation};
pub use workload::collections;
pub use world::{Loss, Notice, Setup, Shape, World};
