//! Several real nodes: what shape their network has, who belongs to them, and who may do what.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "in a test a panic is the report; one of them runs itself and kills it"
)]

mod members;
mod observed;
mod options;
mod partial;
mod quotes;
mod rejoin;
mod support;
mod topologies;
