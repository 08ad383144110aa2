//! Registers: one value, and a rule for writes that race.

mod lww;

pub use lww::{ClockAhead, LwwRegister};
