//! Leaderless replication as stories: five nodes, A to E, each key on three of them.

mod cluster;
mod handoff;
mod quorums;
mod repair;
mod ring;
