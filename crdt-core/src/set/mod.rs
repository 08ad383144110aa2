//! Sets: one that only grows, one with a single removal, and two whose elements come and go.

mod g;
mod or;
mod rw;
mod rw_marks;
mod table;
mod two_phase;

pub use g::GSet;
pub use or::OrSet;
pub use rw::RwSet;
pub use rw_marks::RwMarks;
pub use two_phase::TwoPhaseSet;
