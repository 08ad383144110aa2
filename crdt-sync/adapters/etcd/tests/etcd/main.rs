//! The coordinator and the directory with a real etcd.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it starts real servers")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod grants;
mod lost_answers;
mod server;
mod stale;
