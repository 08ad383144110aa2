//! Leaderless clusters: what reads and writes of several nodes cost, on sockets and disks and without them.
#![allow(clippy::missing_panics_doc, reason = "a measurement that cannot be made ends")]

pub mod engines;
pub mod nodes;

use crdt_sync::leaderless::LeaderlessConfig;
use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
use crdt_sync::placement::{Layout, Member, Shape};
use crdt_sync::{Action, Bytes, Collection, NodeId};

/// Bytes of each value.
pub const VALUE: usize = 100;

const PARTITIONS: u16 = 64;

/// For whom an operation waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// W = R = 1.
    One,
    /// W = R = 2 of 3.
    Quorum,
    /// W = R = 3.
    All,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Setting a register.
    Write,
    /// Reading one on which all replicas agree.
    Read,
}

impl Wait {
    /// What a write at this level is asked with.
    pub fn writes(self) -> WriteOptions {
        match self {
            Self::One => WriteOptions::ONE,
            Self::Quorum => WriteOptions::QUORUM,
            Self::All => WriteOptions::ALL,
        }
    }

    /// What a read at this level is asked with.
    pub fn reads(self) -> ReadOptions {
        match self {
            Self::One => ReadOptions::ONE,
            Self::Quorum => ReadOptions::QUORUM,
            Self::All => ReadOptions::ALL,
        }
    }
}

impl Operation {
    /// As it is said in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Write => "writes",
            Self::Read => "reads",
        }
    }
}

fn id_of(node: usize) -> NodeId {
    NodeId::from_u128(node as u128 + 1)
}

/// Three copies of everything, on nodes that fail one by one.
fn ring(nodes: usize) -> LeaderlessConfig {
    let shape = Shape { partitions: PARTITIONS, replicas: 3, write_quorum: 2 };
    let members = (0..nodes).map(|node| Member::new(id_of(node), format!("rack {node}"))).collect();
    LeaderlessConfig::new(Layout::found(members, shape).expect("members that fit on a ring"))
}

fn collection() -> Collection {
    Collection::registers("written")
}

fn value(number: u64) -> Action {
    Action::Set(Some(Bytes::from(&[number.to_le_bytes()[0]; VALUE][..])))
}
