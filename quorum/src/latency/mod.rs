//! How long it takes: one answer, and as many answers as a quorum needs.

mod distribution;
mod harmonic;
mod integral;
mod order;
mod search;
mod shape;

pub use distribution::LatencyDistribution;
pub use order::OrderStatistic;
