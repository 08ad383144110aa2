//! The messages, from the greeting to the farewell.

use alloc::vec::Vec;

use crdt_core::{CausalContext, ReplicaId};
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::collection::CollectionId;
use crate::entry::{Chain, Position};
use crate::membership::Membership;
use crate::node::NodeId;
use crate::scope::{Scope, ScopedContext};

/// Everything one node says to another.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Message {
    /// The first message on a link, in both directions.
    Greeting(Greeting),
    /// How far the sender is: an advertisement and an acknowledgement in one.
    Frontier(Frontier),
    /// Consecutive entries of one origin.
    Run(Run),
    /// A step of a Merkle session.
    Session(Session),
    /// The sender is about to close the link, and why.
    Farewell(Farewell),
    /// What the sender knows of the members.
    Members(Members),
    /// What the sender knows of how far members are.
    Rows(Rows),
    /// A word about a forked identity.
    Fork(super::Fork),
    /// Consecutive entries of one origin, as far as a partial replica is sent them.
    Excerpt(super::Excerpt),
    /// A word among nodes of a leaderless cluster.
    Quorum(super::Quorum),
    /// A word among nodes of a cluster with one leader.
    Ship(super::Ship),
}

/// Who speaks, and what must agree before anything else is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Greeting {
    /// The sender.
    pub node: NodeId,
    /// Tells clusters apart. It is not a proof: whoever has seen it once can say it.
    pub cluster_check: [u8; 8],
    /// Into how many partitions keys are divided.
    pub partitions: u16,
    /// The declared collections, ascending.
    pub collections: Vec<CollectionId>,
    /// Drawn when the sender started: two processes under one name differ in it.
    pub incarnation: u64,
    /// What the sender holds, and all that it may be sent.
    pub scope: Scope,
}

/// What the sender applied and made durable in one partition, per origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frontier {
    /// The partition this speaks of.
    pub partition: u16,
    /// Entries that were sent above these heads were not taken; they must be sent again.
    pub rewind: bool,
    /// The sender has too much to catch up on, or to be caught up on, and asks the receiver to open a session.
    pub open: bool,
    /// The sender wants to hear in turn how far the receiver is.
    pub ask: bool,
    /// The identity the sender writes under now.
    pub writer: ReplicaId,
    /// All origins, ascending.
    pub origins: Vec<OriginStatus>,
    /// Origins of which the sender takes no more entries from the receiver, ascending.
    pub refused: Vec<ReplicaId>,
    /// The digest and the number of all keys of the partition, when both sides seem to be equally far.
    pub root: Option<(u128, u64)>,
    /// Stands for what the sender knows of forks and has carried out; zeros when there are none. Two sides compare
    /// trees only when it is the same.
    pub forks: [u8; 16],
}

/// One origin in a [`Frontier`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OriginStatus {
    /// The origin.
    pub origin: ReplicaId,
    /// Entries above this sequence can be asked of the sender.
    pub floor: u64,
    /// The last entry applied.
    pub head: Position,
    /// The sender applied all entries up to the head. Otherwise those in its scope.
    pub whole: bool,
}

/// Entries of one origin, in order and without gaps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The partition the entries belong to.
    pub partition: u16,
    /// Who wrote them.
    pub origin: ReplicaId,
    /// The position before the first of them.
    pub after: Position,
    /// The encoded entries.
    pub entries: Vec<Bytes>,
    /// The chain after the last of them.
    pub chain: Chain,
}

/// A step of the Merkle session `id` over one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The partition that is compared.
    pub partition: u16,
    /// Chosen by the initiator, ascending from one session to the next as long as a link is up.
    pub id: u64,
    /// What is said.
    pub step: SessionStep,
}

/// What is said in a Merkle session, in the order in which it is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SessionStep {
    /// The initiator asks for a session and says where it stands.
    Open(Standing),
    /// The responder agrees and says where it stands.
    Accept(Standing),
    /// The responder is in another session of this partition; the initiator tries again later.
    Busy,
    /// A frame of the tree comparison.
    Tree {
        /// Its number in this direction, counted from zero.
        index: u32,
        /// The frame.
        frame: Bytes,
    },
    /// States of keys that the receiver lacks or holds in another version.
    States(StatesPart),
    /// All parts up to this number arrived and are durable.
    Received {
        /// How many parts.
        parts: u32,
    },
    /// These are all keys whose states the sender knew the receiver to lack.
    Sent {
        /// How many parts it sent so far.
        parts: u32,
        /// What these keys add to the root of the sender's tree.
        weight: (u128, u64),
    },
    /// The sender also answered every state it was sent that was behind its own.
    End {
        /// How many parts it sent in all.
        parts: u32,
        /// Some states were left out because they are too large: the receiver must not take over the frontier.
        left_out: bool,
    },
    /// Everything arrived; nothing more follows.
    Done {
        /// Whether it accounted for the whole difference, so that the receiver's frontier is taken over.
        complete: bool,
    },
    /// The session is given up; what was merged stays merged.
    Abort,
    /// The sender, who does not open sessions with the receiver, asks it to open one over this partition soon. It
    /// belongs to no session.
    Ask,
}

impl SessionStep {
    /// Whether a side that says this, within a session, goes on waiting for the other. What opens or asks for a session
    /// is not said within one.
    pub(crate) fn awaits_answer(&self) -> bool {
        match self {
            Self::Accept(_)
            | Self::Tree { .. }
            | Self::States(_)
            | Self::Received { .. }
            | Self::Sent { .. }
            | Self::End { .. } => true,
            Self::Open(_) | Self::Ask | Self::Busy | Self::Done { .. } | Self::Abort => false,
        }
    }
}

/// What a side of a session had applied when its tree was photographed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The last position of each origin, ascending.
    pub heads: Vec<(ReplicaId, Position)>,
    /// Every dot it has seen: what is in here and not in a state was removed.
    pub context: CausalContext,
    /// What it has seen beyond that of the keys within some scopes.
    pub scoped: ScopedContext,
    /// The digest of all keys and their number.
    pub root: (u128, u64),
}

/// A part of the states that one side sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatesPart {
    /// Its number, counted from zero.
    pub index: u32,
    /// The collection that all items of the part belong to.
    pub collection: CollectionId,
    /// The items, at least one, of each key one. They ascend by key, but for the first: what is sent of a key that was
    /// begun before may be followed by any other.
    pub items: Vec<ItemState>,
    /// What the states may show of each origin beyond the sender's standing, ascending: what was written since, and
    /// what an earlier session brought that did not come to its end.
    pub ahead: Vec<(ReplicaId, u64)>,
}

/// The state of one key, or a piece of one that is too large for a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemState {
    /// The key.
    pub key: Bytes,
    /// Its state; empty when the sender holds nothing under this key any more.
    pub state: Bytes,
    /// The state goes on with the first item of the next part.
    pub more: bool,
    /// The receiver said that it has applied all that this state may show: where it holds nothing, it has forgotten
    /// that.
    pub old: bool,
}

/// What a node knows of the members of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Members {
    /// The sender wants to hear in turn what the receiver knows.
    pub ask: bool,
    /// All of it.
    pub known: Membership,
}

/// How far members are in one partition, as far as the sender heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// The partition.
    pub partition: u16,
    /// The sender wants to hear in turn what the receiver knows.
    pub ask: bool,
    /// Per Active member, ascending, the last sequence applied of each origin, ascending.
    pub rows: Vec<(NodeId, Vec<(ReplicaId, u64)>)>,
}

/// Why a link is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Farewell {
    /// The node shuts down, or its log failed.
    Leaving,
    /// The node has as many connections as it may.
    Full,
    /// Nothing was heard for too long.
    Silent,
    /// The other side belongs to another cluster.
    OtherCluster,
    /// The other side divides keys into another number of partitions.
    OtherPartitions,
    /// The other side declares other collections.
    OtherCollections,
    /// Another link to the same node is used instead.
    Replaced,
    /// The other side broke the protocol.
    Protocol,
    /// A node with the receiver's own id answered.
    Myself,
    /// The other side may not do what it did, or not read what there is.
    Unauthorized,
    /// The receiver was retired: nothing of it is merged any more.
    Retired,
    /// Another live process says it is the same node.
    Duplicate,
    /// Both sides hold a part of the data; each needs to meet a node that holds all of it.
    PartialReplica,
}
