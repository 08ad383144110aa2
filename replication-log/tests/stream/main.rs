//! A log on its way to followers: what they get, whatever the way does to it, and what they refuse.
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
mod wire;
