//! Other crates that do the same, each behind the traits of [`workloads`](crate::workloads).

pub mod crdt_kit;
pub mod crdts;
pub mod dson;
