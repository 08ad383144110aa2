//! Entries: what one origin wrote, in order, and the hash chain that makes the order checkable.
//!
//! Every write takes the next *sequence* of its origin in its partition. The entry's hash covers the hash
//! of the entry before it, so one 16-byte [`Chain`] value stands for the whole past of an origin: two nodes
//! that name the same sequence with different chain values hold two histories written under one name, a
//! *fork*, and learn it at the first comparison.

use alloc::vec::Vec;
use core::fmt;

use crdt_core::{Dot, Hlc, ReplicaId};
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::collection::CollectionId;

/// One write of one origin. Which origin, partition and sequence it has is said by what carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When the origin wrote it, by its hybrid logical clock.
    pub stamp: Hlc,
    /// Where the key lives.
    pub collection: CollectionId,
    /// What was written to.
    pub key: Bytes,
    /// What the write changed.
    pub delta: Delta,
}

/// The change of one write, as small as its kind allows.
///
/// The entry's own dot, *(origin, sequence)*, is not spelled out: an added element is live under it, and a
/// removal covers it together with the dots it lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Delta {
    /// New document versions, in the encoding of the conflict store for this key.
    Document(Bytes),
    /// An element is added and its earlier dots are superseded.
    SetAdd {
        /// What was added.
        element: Bytes,
        /// The dots it had where it was added.
        superseded: Vec<Dot>,
    },
    /// An element is removed, as far as it lives under the listed dots.
    SetRemove {
        /// What was removed: under a forked identity a dot may also be another element's.
        element: Bytes,
        /// The dots of the element, as far as the writer had seen them.
        dots: Vec<Dot>,
    },
    /// The origin's own totals after the write.
    Counter {
        /// The sum of all its increments of this key.
        incremented: u64,
        /// The sum of all its decrements of this key.
        decremented: u64,
        /// How much of `incremented` this write added: what stood before it is known without the entry before.
        raised: u64,
        /// How much of `decremented` this write added.
        lowered: u64,
    },
    /// The register's new value, or `None` when it is cleared.
    Register(Option<Bytes>),
}

impl Delta {
    /// The dots that the change speaks of besides the entry's own.
    pub(crate) fn named_dots(&self) -> &[Dot] {
        match self {
            Self::SetAdd { superseded: dots, .. } | Self::SetRemove { dots, .. } => dots,
            Self::Document(_) | Self::Counter { .. } | Self::Register(_) => &[],
        }
    }
}

/// The hash of an origin's history up to some sequence.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Chain([u8; 16]);

impl Chain {
    /// The history of an origin that wrote nothing yet.
    pub const START: Self = Self([0; 16]);

    /// The chain after `entry`, which is the encoded entry that follows this history.
    ///
    /// The origin and the partition are covered too: an entry cannot be passed off as another origin's.
    pub fn then(self, origin: ReplicaId, partition: u16, entry: &[u8]) -> Self {
        let partition = partition.to_le_bytes();
        let parts = [b"crdt-sync chain v1".as_slice(), &self.0, origin.as_bytes(), &partition, entry];
        let mut chain = [0; 16];
        chain.copy_from_slice(&hash_of(parts).as_bytes()[..16]);
        Self(chain)
    }
}

/// The hash of all parts, one after the other. Most entries are small, and then putting the parts together and hashing
/// them in one go costs half of hashing part by part.
fn hash_of(parts: [&[u8]; 5]) -> blake3::Hash {
    let mut together = [0; 256];
    let mut len = 0;
    for part in parts {
        let Some(room) = together.get_mut(len..len + part.len()) else {
            let mut hasher = blake3::Hasher::new();
            for part in parts {
                hasher.update(part);
            }
            return hasher.finalize();
        };
        room.copy_from_slice(part);
        len += part.len();
    }
    blake3::hash(&together[..len])
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A place in an origin's history: how many entries, and the hash of them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The sequence of the last entry; zero before the first.
    pub sequence: u64,
    /// The chain value after that entry.
    pub chain: Chain,
}
