//! Whole nodes: what a sync and a durable write cost beside the sum of the parts that they cannot do without.
#![allow(clippy::missing_panics_doc, reason = "a measurement that cannot be made ends")]

pub mod data;
pub mod events;
pub mod nodes;
pub mod pair;
pub mod parts;
pub mod process;
pub mod writes;
