//! Other crates that do the same, each behind the traits of [`workloads`](crate::workloads) or
//! [`quorums`](crate::quorums).

pub mod crdt_kit;
pub mod crdts;
pub mod dson;
pub mod quoracle;
pub mod quorum_set;
