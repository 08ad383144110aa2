//! States as bytes.

use alloc::vec::Vec;

use crdt_core::{Crdt, Limits, VersionDigest};

use crate::revision::{DecodeTreeError, RevisionTree};

/// A state that a backend outside of memory can keep: it has bytes.
///
/// The bytes are those of one key's state. What is decoded must have the version digest of what was
/// encoded; a backend keeps the digest beside the bytes and tells damage by it.
pub trait StoredState: Crdt + VersionDigest {
    /// Why bytes are not a state.
    type Error: core::error::Error;

    /// The bytes of this state of `key`.
    fn encode_state(&self, key: &[u8]) -> Vec<u8>;

    /// The state of `key` with exactly these bytes.
    fn decode_state(key: &[u8], bytes: &[u8], limits: &Limits) -> Result<Self, Self::Error>;
}

/// The canonical bytes of a tree. The digest of a tree covers every version in it, because the id of
/// a version covers its parents' ids.
impl<V> StoredState for RevisionTree<V>
where
    V: AsRef<[u8]> + From<Vec<u8>> + Clone + Eq,
{
    type Error = DecodeTreeError;

    fn encode_state(&self, key: &[u8]) -> Vec<u8> {
        self.encode_for_key(key)
    }

    fn decode_state(key: &[u8], bytes: &[u8], limits: &Limits) -> Result<Self, DecodeTreeError> {
        Self::decode_for_key(key, bytes, limits)
    }
}
