#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

mod checks;
mod clients;
mod coverage;
mod cuts;
mod dice;
mod disk;
mod extras;
mod faults;
mod leaderless;
mod lineage;
mod model;
mod network;
mod observe;
mod phase;
mod plan;
mod queue;
mod registers;
mod scenario;
mod schedule;
mod seen;
mod shown;
mod shrink;
mod simulation;
mod topology;
mod trace;
mod violation;
mod workload;
mod world;

pub use coverage::Coverage;
pub use cuts::Cuts;
pub use dice::Dice;
pub use extras::{Extra, Extras};
pub use faults::{Fault, FaultCounts, Hostility};
pub use phase::{Phase, UnknownName};
pub use plan::Plan;
pub use registers::{NotLinearizable, RegisterHistory};
pub use scenario::{Scenario, Size, faults_of_names, name_of_shape, names_of_faults, shape_of_name};
pub use schedule::{Schedule, ScheduleError};
pub use shrink::{Shrunk, shrink};
pub use simulation::{Report, simulate};
pub use topology::Topology;
pub use trace::Trace;
pub use violation::{Failure, Violation};
pub use workload::collections;
pub use world::{Loss, Notice, Setup, Shape, World};
