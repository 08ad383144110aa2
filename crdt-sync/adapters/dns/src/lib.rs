#![doc = include_str!("../README.md")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is an edge: it owns sockets and starts processes"
)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

mod directory;
mod hook;
mod server;
mod zone;

pub use directory::DnsDirectory;
pub use hook::{Hook, Publish, PublishError, keep_published};
pub use server::{ServerLimits, serve};
pub use zone::{Zone, ZoneError};
