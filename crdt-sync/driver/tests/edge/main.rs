//! The edge of a node: real sockets, real files, and peers that mean no good.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test of the edge looks at its files, and copies them as people do"
)]

mod copies;
mod endings;
mod floods;
mod lengths;
mod support;
#[cfg(feature = "tls")]
mod tls;
mod watching;
