//! Tests of sketches.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod figures;
mod oracle;
mod support;
