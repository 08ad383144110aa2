//! Events: what an operator or an application may want to know. Nothing is lost or healed in silence.

use alloc::string::String;

use conflict_store::SettleError;
use crdt_core::{ReplicaId, Stamp};
use thiserror::Error;

use replication_log::Epoch;

use super::{LinkId, LogEvent};
use crate::authorize::Author;
use crate::collection::CollectionId;
use crate::failover::supervisor;
use crate::membership::MembershipError;
use crate::merkle;
use crate::node::NodeId;
use crate::placement::LearnError;
use crate::replica::{ItemKey, RecoverError, RunError};
use crate::wire::{Farewell, WireError};

/// Something that happened inside the engine.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A peer was greeted; data flows from now on.
    PeerUp {
        /// The peer.
        node: NodeId,
    },
    /// The last connection to a peer is gone.
    PeerDown {
        /// The peer.
        node: NodeId,
    },
    /// A connection was refused or closed by this side.
    LinkRefused {
        /// The connection.
        link: LinkId,
        /// Why.
        reason: Farewell,
    },
    /// The other side closes the connection.
    PeerLeaves {
        /// The connection.
        link: LinkId,
        /// Why it says it does.
        reason: Farewell,
    },
    /// A peer broke the protocol; its connection was closed and what it sent last had no effect.
    Violation {
        /// The connection.
        link: LinkId,
        /// What was wrong.
        error: PeerError,
    },
    /// This node leads no longer: the right to had an end, and nobody has made it longer in time.
    LeadEnded {
        /// Under which epoch it led.
        epoch: Epoch,
    },
    /// Something happened on the way to another leader.
    Failover(supervisor::Event),
    /// A node leads from now on, or is heard to.
    Leads {
        /// Who.
        node: NodeId,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// What a commit of this leader is worth has changed.
    Commit(replication_log::ship::commit::Event<NodeId>),
    /// A follower of this leader has fallen too far behind, or no longer is.
    Lag(replication_log::ship::lag::LagAlarm<NodeId>),
    /// The log that nodes share was cut or replaced, or is kept for somebody no longer. Told by the host.
    Log(LogEvent),
    /// A peer does not serve this node, or not any longer; it is asked again later.
    NotServed {
        /// Who.
        peer: NodeId,
        /// What it says.
        refusal: String,
    },
    /// This node, or a follower of it, does not follow whoever sent it something.
    NotFollowed {
        /// The other.
        peer: NodeId,
        /// Why.
        refusal: String,
    },
    /// A committed record of the log cannot be applied: this node shows what it has, and goes no further.
    LogUnusable {
        /// Why.
        error: RecoverError,
    },
    /// A Merkle session began.
    SessionStarted {
        /// The partner.
        peer: NodeId,
        /// The partition compared.
        partition: u16,
    },
    /// States of a session arrived or left.
    SessionProgress {
        /// The partner.
        peer: NodeId,
        /// Keys whose states arrived so far.
        received: u64,
        /// Keys whose states were sent so far.
        sent: u64,
        /// Keys whose states are still to be sent, as far as known.
        to_send: u64,
    },
    /// A Merkle session ended.
    SessionFinished {
        /// The partner.
        peer: NodeId,
        /// The partition compared.
        partition: u16,
        /// What it took.
        report: SessionReport,
    },
    /// A Merkle session was given up; it is tried again. What it merged stays merged.
    SessionAborted {
        /// The partner.
        peer: NodeId,
        /// The partition.
        partition: u16,
        /// Why.
        reason: String,
    },
    /// The state of a key is too large to be sent in a session; until it shrinks, a peer that cannot catch up entry
    /// by entry does not get it.
    StateTooLarge {
        /// The key.
        item: ItemKey,
        /// The bytes of its state.
        bytes: usize,
    },
    /// A document has more versions to choose from than before. Not where the last writer wins, not for versions that
    /// are in conflict since before a restart, and once the change is durable.
    Conflict {
        /// The document.
        item: ItemKey,
        /// How many live versions it has.
        versions: usize,
    },
    /// A document that was in conflict has one version again, or none.
    ConflictResolved {
        /// The document.
        item: ItemKey,
    },
    /// A hint for a node found no room: what it missed is found when trees are compared.
    HintRefused {
        /// Whose hint.
        owner: NodeId,
        /// The partition.
        partition: u16,
    },
    /// A node has what was kept for it, or another replica has it in its stead, or another node keeps it from now on;
    /// it is deleted here.
    HintsDelivered {
        /// Whose hints.
        owner: NodeId,
        /// How many.
        hints: usize,
    },
    /// What was kept for nodes got too old and was dropped: this node holds it as well, so that it is found when trees
    /// are compared.
    HintsExpired {
        /// The owner of the first of them.
        owner: NodeId,
        /// How many.
        hints: usize,
    },
    /// What was kept for nodes was given up, since it is so old that it might bring back what was deleted and
    /// forgotten, and no replica could be reached for as long as that; or since this node is on the ring no more. Where
    /// no replica had the write, it is lost.
    HintsLost {
        /// The owner of the first of them.
        owner: NodeId,
        /// How many.
        hints: usize,
    },
    /// Hints for a node that is gone for good were dropped: this node itself holds what it missed.
    HintsDiscarded {
        /// Whose hints.
        owner: NodeId,
        /// How many.
        hints: usize,
    },
    /// Hints for a node that gave up what they are about were passed on to those that hold it now.
    HintsReassigned {
        /// Whose hints.
        owner: NodeId,
        /// How many.
        hints: usize,
    },
    /// What a peer said of the ring was not believed.
    LayoutRefused {
        /// The peer.
        peer: NodeId,
        /// Why.
        error: LearnError,
    },
    /// Two changes of the ring were proposed at the same time, and this one is given up.
    RingProposalLost {
        /// The node that proposed it.
        by: NodeId,
    },
    /// The data of a partition was given up: other nodes hold it now.
    PartitionDropped {
        /// Which.
        partition: u16,
    },
    /// All that the other replicas hold of a partition is here, and this node answers reads of it from now on. Its
    /// store had begun with nothing.
    PartitionFilled {
        /// Which.
        partition: u16,
        /// Whether it was filled from so many that every acknowledged write was met. Otherwise as many replicas had
        /// lost what they held, or were declared dead, as a write may have been acknowledged by: what those alone held
        /// is lost. This is said also later, of a partition that was taken to be at the beginning of its cluster: a
        /// replica that was out of reach then holds something, or has not been heard of since.
        covered: bool,
    },
    /// A write to a register or a last-writer-wins document arrived that lost against one of this node's own, which was
    /// written in ignorance of it. Told by that node alone, of entries only (a state does not say when it was
    /// written over), and only if [`Config::tell_lost_writes`](crate::Config::tell_lost_writes) is set.
    ConcurrentWrite {
        /// The key.
        item: ItemKey,
        /// When, and under which identity, the write was made that nobody sees.
        lost: Stamp,
        /// The same of the one that is seen.
        kept: Stamp,
    },
    /// A rule could not end a conflict. The document is as it was, and is tried again when it changes.
    RuleFailed {
        /// The document.
        item: ItemKey,
        /// Why.
        error: SettleError,
    },
    /// A peer and this node have applied the same and hold the same.
    InSync {
        /// The peer.
        peer: NodeId,
        /// The partition.
        partition: u16,
    },
    /// This node and a peer hold two different histories of one identity. Until the fork is healed nothing of that
    /// identity flows between the two, and they open no session over the partition, so that neither side's writes
    /// are lost.
    ForkedReplica {
        /// The peer.
        peer: NodeId,
        /// The identity.
        origin: ReplicaId,
        /// The partition in which it showed.
        partition: u16,
    },
    /// A peer sent what it may not, or may not pass on; it had no effect. What it sends of its own ends its link
    /// instead, with a [`Violation`](Self::Violation).
    Unauthorized {
        /// The peer.
        peer: NodeId,
        /// The partition.
        partition: u16,
        /// The collection.
        collection: CollectionId,
        /// Who wrote it.
        author: Author,
    },
    /// A forked identity ends where its histories part; what this node held above it is a branch of its own now, under
    /// the same identity at everybody who held it.
    ForkHealed {
        /// The identity that ends.
        origin: ReplicaId,
        /// The partition.
        partition: u16,
        /// Its last sequence.
        after: u64,
        /// The identity under which the rest lives on.
        branch: ReplicaId,
    },
    /// A fork cannot be healed between this node and a peer: its histories part below what is still known of them, or
    /// more forks are known than may be; or this node got more of a branch than the peer has, as states, and nobody who
    /// has its entries was met for a while. The two stay fenced from each other in this partition, unless some other
    /// peer has the entries they lack. Nothing is lost; to bring them together, empty the node that has less to lose
    /// and let it catch up.
    ForkNotHealed {
        /// The peer.
        peer: NodeId,
        /// The identity.
        origin: ReplicaId,
        /// The partition.
        partition: u16,
    },
    /// This node holds a history that goes on above the end of a forked identity, and lacks the entries to divide
    /// it, or they are too many. It asks its peers for them, and until then takes no part in sessions over the
    /// partition. If nobody has them any more, empty the node and let it catch up.
    BranchNotDivided {
        /// The identity.
        origin: ReplicaId,
        /// The partition.
        partition: u16,
        /// Where it ends.
        after: u64,
    },
    /// A peer sent entries of a forked identity from above the place where it ends. They were not taken; they come
    /// again under the identity of their branch.
    BurntEntries {
        /// The peer.
        peer: NodeId,
        /// The identity.
        origin: ReplicaId,
        /// The partition.
        partition: u16,
    },
    /// A partial replica and a whole node know different forks, and only whole nodes can heal one. Entries flow as far
    /// as they can; the two compare nothing in this partition any more, and may stay apart. To bring them together,
    /// found the partial replica anew. Said by both, once per connection.
    PartialFenced {
        /// The peer.
        peer: NodeId,
        /// The partition.
        partition: u16,
    },
    /// Two live processes say they are one node. Both keep their data; the one that was here first is refused until
    /// the other is gone.
    DuplicateNode {
        /// Whom both claim to be.
        node: NodeId,
        /// The connection that was refused.
        link: LinkId,
    },
    /// This node's past became doubtful, so it writes under a new identity from now on.
    IdentityRenewed {
        /// The identity given up.
        old: ReplicaId,
        /// The new one.
        new: ReplicaId,
    },
    /// A node was seen for the first time, or first heard of. From now on it counts as a member.
    MemberJoined {
        /// The node.
        node: NodeId,
    },
    /// A member was retired: nothing more of it is merged, except what others had applied before they heard.
    MemberRetired {
        /// The node.
        node: NodeId,
    },
    /// A peer says that a member is retired, and is [not believed](crate::Authorize::believes_retired): nothing that it
    /// says of that member was taken over. Said once for each connection.
    RetirementRefused {
        /// The peer.
        peer: NodeId,
        /// The member, which may be this node.
        node: NodeId,
    },
    /// A peer sent entries or a frontier of a retired identity that lie beyond what is valid. They were not taken. Said
    /// once per peer, partition and identity as long as nothing changes among members.
    RetiredRefused {
        /// The peer; it may not have heard of the retirement yet, and is told.
        peer: NodeId,
        /// The retired identity.
        origin: ReplicaId,
        /// The partition.
        partition: u16,
    },
    /// Documents that every Active member knows to be deleted, in a leaderless cluster every replica, were forgotten;
    /// nothing of them is kept any more.
    DeletionsCollected {
        /// The partition.
        partition: u16,
        /// How many.
        documents: usize,
    },
    /// This node was retired. It takes no more writes and syncs with nobody; reads go on. What it wrote last may be
    /// known to nobody else: see [`Engine::rejoin`](super::Engine::rejoin).
    Evicted,
}

/// What a Merkle session took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionReport {
    /// Turns of the tree comparison.
    pub rounds: u32,
    /// Bytes of the tree comparison, both ways.
    pub tree_bytes: u64,
    /// Whether the states exchanged accounted for the whole difference, so that the peer's frontier was taken over.
    /// Otherwise another session follows.
    pub complete: bool,
    /// Keys whose states were sent.
    pub states_sent: u64,
    /// Keys whose states were received.
    pub states_received: u64,
}

/// What a peer did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerError {
    /// A frame could not be read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Entries or states were refused.
    #[error(transparent)]
    Data(#[from] RunError),
    /// What the peer says of members was refused.
    #[error(transparent)]
    Members(#[from] MembershipError),
    /// The tree comparison went wrong.
    #[error("tree comparison: {0}")]
    Tree(#[from] merkle::ProtocolError),
    /// A message that cannot come at this point.
    #[error("{what} came where it cannot")]
    Unexpected {
        /// The message.
        what: &'static str,
    },
    /// A message that names a partition that does not exist.
    #[error("the peer named partition {partition}, which does not exist")]
    UnknownPartition {
        /// The number.
        partition: u16,
    },
    /// Entries of the peer's own that it may not write.
    #[error("{origin} may not write what it wrote to {collection:?}; nothing of it was merged")]
    Unauthorized {
        /// The identity it writes under.
        origin: ReplicaId,
        /// The collection of the first of them.
        collection: CollectionId,
    },
    /// A list that must be ascending is not, or is longer than allowed.
    #[error("{what} is not in order or too long")]
    Disorder {
        /// Which list.
        what: &'static str,
    },
}
