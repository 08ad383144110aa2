//! Leaderless replication as stories: five nodes, A to E, each key on three of them.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::many_single_char_names, reason = "the theory calls its nodes A to E")]

mod again;
mod cluster;
mod costs;
mod deletions;
mod departures;
mod filling;
mod generations;
mod handoff;
mod limits;
mod on_top;
mod quorums;
mod removals;
mod repair;
mod ring;
mod unfilled;
mod wires;
