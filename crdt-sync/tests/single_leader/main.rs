//! Clusters with one leader: engines in one thread, real logs in memory, wires that deliver in order.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod basics;
mod cluster;
mod costs;
mod deposed;
mod failover;
mod handover;
mod lag;
mod log_trouble;
mod picture;
mod returned;
mod sessions;
mod snapshots;
mod takeover;
mod wires;
