//! Whole nodes: what a sync and a durable write cost beside the sum of the parts that they cannot do without.

pub mod data;
pub mod nodes;
pub mod pair;
pub mod parts;
pub mod process;
pub mod writes;
