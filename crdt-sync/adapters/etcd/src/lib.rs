#![doc = include_str!("../README.md")]
#![allow(clippy::disallowed_methods, reason = "this is an edge: it waits for a server")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

mod coordinator;
mod directory;
mod keys;
mod register;

pub use coordinator::EtcdCoordinator;
pub use directory::EtcdDirectory;
pub use etcd_client;
