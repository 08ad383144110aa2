//! Real nodes of a leaderless cluster over loopback: quorums, a node that dies, one that joins, and everybody again from
//! disk.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod cluster;
mod hints;
mod quorums;
mod refused;
mod restart;
mod ring;
