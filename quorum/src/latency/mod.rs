//! How long it takes.

mod distribution;
mod shape;

pub use distribution::LatencyDistribution;
