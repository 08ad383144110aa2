#![doc = include_str!("../README.md")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is an edge: it owns sockets")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the report"))]

mod directory;
mod respond;
mod server;
mod standing;

pub use directory::HttpDirectory;
pub use respond::{Response, respond};
pub use server::{ServerLimits, serve};
pub use standing::{Role, Standing};
