//! Checkpoints against the log they stand for, their bytes, and what is refused.

mod golden;
mod hostile;
mod laws;
mod rare;
mod support;
