//! Helpers, and the tests that need more than one module.

mod cost;
mod golden;
mod hostile;
mod session;
mod support;
mod tree;
