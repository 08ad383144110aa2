//! Helpers, and the tests that need more than one module.

mod support;
mod tree;
