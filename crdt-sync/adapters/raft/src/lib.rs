#![doc = include_str!("../README.md")]
#![allow(clippy::disallowed_methods, reason = "this is an edge: it owns a clock and chance")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

mod coordinator;
mod journal;
mod member;
mod register;
mod store;
mod transport;
mod types;

pub use coordinator::RaftCoordinator;
pub use member::{Member, StartError, Timing};
pub use store::Anywhere;
pub use transport::{CallFailed, Transport};
