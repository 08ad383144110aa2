//! What the Raft is made of.

use std::io::Cursor;

use crate::register::{Decision, Stamped};

openraft::declare_raft_types!(
    /// The register's questions and decisions.
    pub(crate) Types:
        D = Stamped,
        R = Decision,
);

pub(crate) type Entry = openraft::Entry<Types>;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type Vote = openraft::Vote<u64>;
pub(crate) type Meta = openraft::SnapshotMeta<u64, openraft::BasicNode>;
pub(crate) type Membership = openraft::StoredMembership<u64, openraft::BasicNode>;
pub(crate) type StorageError = openraft::StorageError<u64>;
pub(crate) type Raft = openraft::Raft<Types>;
