//! Real nodes of a cluster with one leader over loopback: what is committed, who is told, and everybody again from
//! disk.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "in a test a panic is the report; it looks at files, and one of them runs itself and kills it"
)]

mod checkpoints;
mod cluster;
mod commits;
mod deposed;
mod directories;
mod failover;
mod grants;
mod lesson;
mod operating;
mod outside;
mod partitions;
mod restarts;
#[cfg(feature = "tls")]
mod secured;
mod sessions;
mod snapshots;
mod trio;
