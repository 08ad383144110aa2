#![doc = include_str!("../README.md")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the edge: it owns the clock, the sockets, the files and the threads"
)]

mod checkpoints;
mod clock;
mod collections;
mod disk;
mod engine_thread;
mod error;
mod net;
mod node;
mod options;
mod session;

pub use collections::{Counters, Documents, Registers, Sets};
pub use error::{NodeError, OpenError, UnusableCheckpoint};
pub use net::Traffic;
pub use node::Node;
pub use options::NodeOptions;
pub use session::Session;

/// The front page's example, so that it is true.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;
