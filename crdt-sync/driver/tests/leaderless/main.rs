//! Real nodes of a leaderless cluster over loopback: quorums, a node that dies, one that joins, and everybody again
//! from disk.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "in a test a panic is the report; one of them runs itself and kills it"
)]

mod cluster;
mod hints;
mod killed;
mod quorums;
mod refused;
mod restart;
mod ring;
