//! Registers: one value, and a rule for writes that race.

mod extremum;
mod lww;
mod mv;

pub use extremum::{MaxRegister, MinRegister};
pub use lww::{ClockAhead, LwwRegister};
pub use mv::MvRegister;
