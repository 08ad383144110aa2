//! Sets: one that only grows, and one whose elements come and go.

mod g;
mod indexed;
mod or;
#[cfg(feature = "serde")]
mod or_serde;

pub use g::GSet;
pub use or::OrSet;
