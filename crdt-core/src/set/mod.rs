//! Sets: one that only grows, and one whose elements come and go.

mod g;

pub use g::GSet;
