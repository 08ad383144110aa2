//! Maps: one whose values are types of this crate, and one of plain values in which the last write wins.

mod lww;
mod or;

pub use lww::{LwwMap, LwwMapDigest};
pub use or::OrMap;
