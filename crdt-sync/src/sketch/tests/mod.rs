//! Tests of sketches.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod bytes;
mod estimates;
mod field;
mod figures;
mod golden;
mod hostile;
mod laws;
mod lessons;
mod oracle;
mod rates;
mod support;
