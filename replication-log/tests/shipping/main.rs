//! Shipping a log to followers: what they get, whatever the way does to it, what they refuse, and what a leader and its
//! followers owe each other.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

#[path = "../common/mod.rs"]
mod common;
mod nodes;

mod bootstrap;
mod diverging;
mod epochs;
mod logical;
mod network;
mod physical;
mod policies;
mod timelines;
mod wire;
