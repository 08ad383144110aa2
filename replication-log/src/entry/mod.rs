//! What records mean to those who replay them.

mod physical;

pub use physical::{Applied, ApplyError, ByteRange, EntryError, PageChange, PhysicalApplier, PhysicalEntry};
pub(crate) use physical::{Context, changed_ranges};
