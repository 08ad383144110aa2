#![doc = include_str!("../README.md")]

mod family;
pub mod leaderless;
pub mod logs;
pub mod machine;
pub mod maps;
pub mod paired;
pub mod peers;
pub mod planning;
pub mod quorums;
pub mod reconciling;
pub mod sessions;
pub mod shipping;
pub mod syncing;
pub mod workloads;
