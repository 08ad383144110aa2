//! Other crates that do the same, each behind the traits of [`workloads`](crate::workloads).

pub mod crdts;
