//! Who speaks: nodes and the cluster they belong to.
//!
//! A *node* is a process that speaks to others; a [`ReplicaId`](crdt_core::ReplicaId) is an identity that
//! writes. A node keeps its [`NodeId`] for life and burns a replica id whenever its past becomes doubtful
//! (a restored backup, a clone), so the two are different types.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The name of a node, unique in its cluster. Ordered, so that two nodes agree who begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId([u8; 16]);

impl NodeId {
    /// A node id from its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A node id from a number; handy in tests.
    pub const fn from_u128(number: u128) -> Self {
        Self(number.to_be_bytes())
    }

    /// The sixteen bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The last four bytes, which are enough to tell nodes apart in a log line.
impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("node-")?;
        self.0[12..].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The secret that all members of one cluster share. It keys the hash trees, so that an outsider cannot
/// prepare keys that collide, and it tells clusters apart at the first frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClusterKey([u8; 16]);

impl ClusterKey {
    /// A cluster key from its bytes; they should come from a good random source.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The secret itself.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A value that tells clusters apart without telling the key: peers compare it in their greeting. It is always
    /// the same, so it proves nothing about who says it.
    pub fn check(&self) -> [u8; 8] {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&self.0);
        let digest = blake3::keyed_hash(&key, b"crdt-sync cluster check v1");
        let mut check = [0; 8];
        check.copy_from_slice(&digest.as_bytes()[..8]);
        check
    }
}

/// Never prints the secret.
impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(..)")
    }
}
