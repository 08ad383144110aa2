//! Helpers, and the tests that need more than one module.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod checkpoint;
mod cost;
mod deviations;
mod golden;
mod horizon;
mod hostile;
mod loss;
mod model;
mod rotate;
mod session;
mod sketch;
pub(super) mod support;
mod tree;
mod upkeep;
