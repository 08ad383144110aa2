#![doc = include_str!("../README.md")]

mod family;
pub mod peers;
pub mod sessions;
pub mod workloads;
