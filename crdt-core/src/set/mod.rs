//! Sets: one that only grows, and one whose elements come and go.

mod g;
mod or;

pub use g::GSet;
pub use or::OrSet;
