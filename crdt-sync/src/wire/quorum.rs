//! What nodes of a leaderless cluster say to each other.

use alloc::boxed::Box;
use alloc::vec::Vec;

use conflict_store::VersionId;
use crdt_core::{CausalContext, Dot};
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::collection::CollectionId;
use crate::leaderless::coordinate::{Refusal, Wanted};
use crate::node::NodeId;
use crate::placement::Layout;
use crate::replica::{ItemKey, Write, WriteError};

/// A message of a leaderless cluster. Requests are answered by number, and name the version of the ring by which the
/// receiver was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Quorum {
    /// Carry out a write: the receiver holds the key, or stands in for a node that does.
    Mint(Mint),
    /// What became of it.
    Minted(Minted),
    /// Take in what was written elsewhere.
    Mutate(Mutate),
    /// It is durable here, or was refused.
    Mutated {
        /// The number of the request.
        request: u64,
        /// Why not.
        refused: Option<Refusal>,
    },
    /// Say what is held under a key.
    Fetch(Fetch),
    /// This is.
    Fetched {
        /// The number of the request.
        request: u64,
        /// What is held.
        found: Found,
    },
    /// What the sender knows of the ring.
    Layout(Box<Layout>),
    /// Are these the deletions that you hold, too? Or: forget them.
    Tombstones(Tombstones),
    /// What the receiver of that says.
    TombstonesHeld {
        /// The number of the request.
        request: u64,
        /// The places of those documents of which the node holds something else than that deletion, or still does;
        /// `None` when it takes no part.
        objections: Option<Vec<u32>>,
    },
    /// Of which partitions the sender may lack what it has acknowledged.
    Filling(Filling),
}

/// A write to be carried out by another node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mint {
    /// The number of the request.
    pub request: u64,
    /// The version of the sender's ring.
    pub ring: u64,
    /// The primary for which the receiver stands in; it keeps a hint for it.
    pub in_place_of: Option<NodeId>,
    /// What the writer saw, where it saw more than the receiver may hold.
    pub seen: Option<MergedState>,
    /// For a removal on top of what was read: dots that the receiver must have seen, as others know some of them to be
    /// dead, and not under which key they were.
    pub before: CausalContext,
    /// The write.
    pub write: Write,
}

/// What became of a [`Mint`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Minted {
    /// The number of the request.
    pub request: u64,
    /// What was written, and what the others are to be told; or why nothing was written.
    pub outcome: Result<CarriedOut, Unminted>,
}

/// A write that was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CarriedOut {
    /// The document versions that were written.
    pub versions: Vec<VersionId>,
    /// What the others are to be told.
    pub told: MergedState,
    /// What they are to be told beside it.
    pub removal: Option<Removal>,
}

/// A removal from a set: of an element, as far as anything of it was ever seen where it was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    /// What is removed.
    pub element: Bytes,
    /// Dots that are beside those that were told. Whatever the receiver holds of the element under these is gone; a
    /// replica that has not seen them all cannot vouch for the removal yet.
    pub before: CausalContext,
}

/// Why a write did not come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unminted {
    /// The node does not do it. Nothing of the write is anywhere.
    Refused(Refusal),
    /// The write cannot be done. Nothing of it is anywhere.
    Impossible(WriteError),
    /// It was carried out in place of another node, for which no hint could be kept: it may be found later, or not.
    NotKept,
}

/// Something to be taken in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mutate {
    /// The number of the request.
    pub request: u64,
    /// The version of the sender's ring.
    pub ring: u64,
    /// The primary for which the receiver stands in; it keeps a hint for it.
    pub in_place_of: Option<NodeId>,
    /// What to take in.
    pub told: MergedState,
    /// What else to take away.
    pub removal: Option<Removal>,
}

/// A question for what is held under a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fetch {
    /// The number of the request.
    pub request: u64,
    /// The version of the sender's ring.
    pub ring: u64,
    /// Which key.
    pub item: ItemKey,
    /// The digest or the state.
    pub wanted: Wanted,
    /// Of which element to say also what died of it.
    pub died: Option<Bytes>,
}

/// Of which partitions a node may lack what it has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filling {
    /// Whether it wants to know the same of the receiver.
    pub asks: bool,
    /// The version of the ring with which its store was founded; 0 if it was told of the ring by others.
    pub founded: u64,
    /// Spans of numbers of partitions, both ends included: ascending, and no two of them touch.
    pub unfilled: Vec<(u16, u16)>,
}

/// Deleted documents of one partition, to be forgotten together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstones {
    /// The number of the request.
    pub request: u64,
    /// The version of the sender's ring.
    pub ring: u64,
    /// The partition.
    pub partition: u16,
    /// Whether to forget them. The sender was told by all replicas that they hold the same.
    pub forget: bool,
    /// The documents, ascending, and the digests of their states.
    pub documents: Vec<(ItemKey, u128)>,
}

/// What is held under a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Found {
    /// The digest of the state; `None` when nothing is held.
    Digest(Option<u128>),
    /// The state, and what was seen of it.
    Whole(KeyState),
    /// The node does not say.
    Refused(Refusal),
}

/// A state with exactly the dots it carries and those it covers. It can be joined in any order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedState {
    /// The partition of the key.
    pub partition: u16,
    /// The collection of the key.
    pub collection: CollectionId,
    /// The key.
    pub key: Bytes,
    /// The state; no bytes when nothing is left.
    pub state: Bytes,
    /// The dots that it covers and does not carry, ascending.
    pub removed: Vec<Dot>,
}

/// What a replica holds under a key, and all that it has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeyState {
    /// The state; no bytes when nothing is held.
    pub state: Bytes,
    /// The context of the key's partition, for a set; empty for other kinds, which do not need it.
    pub context: CausalContext,
    /// What died of an element, if that was asked for.
    pub died: Option<Died>,
}

/// What is known of the dots of an element that are not alive any more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Died {
    /// Those that died lately.
    pub lately: Vec<Dot>,
    /// All others are among these.
    pub before: CausalContext,
}
