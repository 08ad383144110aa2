//! What the engine asks of a topology: who is told what, and who answers.

use alloc::vec::Vec;
use core::fmt;

use crdt_core::ReplicaId;

use super::{Activity, Context, FailoverNews, LinkId, LogNews, PeerError, PeerStatus, Request, RequestId};
use crate::membership::HoldsBack;
use crate::metrics::Lag;
use crate::node::NodeId;
use crate::placement::Progress;
use crate::replica::Replica;
use crate::scope::Scope;
use crate::single_leader::Leadership;
use crate::time::Instant;
use crate::wire::Message;

/// How nodes replicate: one of the topologies, which stand beside each other and do not know each other.
pub(crate) trait Topology: fmt::Debug + Send + Sync {
    /// A peer can be reached over a link. It holds what lies within its scope, and is sent nothing else.
    fn peer_up(&mut self, node: NodeId, link: LinkId, scope: Scope, context: &mut Context<'_>);

    /// A peer can no longer be reached.
    fn peer_down(&mut self, node: NodeId, context: &mut Context<'_>);

    /// A peer said something. An error ends its link.
    fn message(&mut self, peer: NodeId, message: Message, context: &mut Context<'_>)
    -> Result<(), PeerError>;

    /// A client asks for something that takes more than this node's data. Returns what is not for the topology.
    fn request(&mut self, id: RequestId, request: Request, context: &mut Context<'_>) -> Option<Request>;

    /// More of the log is durable.
    fn durable(&mut self, context: &mut Context<'_>);

    /// The time has come that [`next_timer`](Self::next_timer) named, or another that the engine waited for. Returns
    /// whether a heartbeat is due: then links are looked after, too.
    fn timer(&mut self, context: &mut Context<'_>) -> bool;

    /// When something is to be done without being asked.
    fn next_timer(&self) -> Instant;

    /// A member said that this node was retired.
    fn evicted(&mut self, context: &mut Context<'_>);

    /// All connected peers, and whether each is known to hold the same as this node.
    fn peers(&self, replica: &Replica) -> Vec<PeerStatus>;

    /// How this node and each connected peer compare, per partition, in the order of [`peers`](Self::peers).
    fn lags(&self, replica: &Replica) -> Vec<(NodeId, Vec<Option<Lag>>)>;

    /// Whom stability waits for, and per partition what every member is known to have applied.
    fn stability(&self, replica: &Replica) -> (Vec<HoldsBack>, Vec<Vec<(ReplicaId, u64)>>);

    /// Merkle sessions that are open.
    fn sessions(&self) -> usize;

    /// The most bytes of one state that arrived in part.
    fn largest_partial_state(&self) -> usize;

    /// Counts what is under way, with all peers or with one.
    fn add_activity(&self, with: Option<NodeId>, activity: &mut Activity);

    /// In which order the nodes are asked for what lies in a partition; nobody where every node holds everything.
    fn preference_list(&self, partition: u16) -> Vec<NodeId> {
        let _ = partition;
        Vec::new()
    }

    /// How far a change of the ring is.
    fn ring_progress(&self) -> Option<Progress> {
        None
    }

    /// Something became of the log that nodes share.
    fn log(&mut self, news: LogNews, context: &mut Context<'_>) {
        let _ = (news, context);
    }

    /// The coordinator has answered, or a node was stopped.
    fn failover(&mut self, news: FailoverNews, context: &mut Context<'_>) {
        let _ = (news, context);
    }

    /// The log failed: whoever waits for it is told that nobody can know.
    fn log_failed(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Who leads, and how far everybody is; `None` where everybody does, or nobody.
    fn leadership(&self, replica: &Replica) -> Option<Leadership> {
        let _ = replica;
        None
    }

    /// Tells the topology to make a mistake.
    #[cfg(feature = "_planted_bugs")]
    fn plant(&mut self, bug: crate::PlantedBug);

    /// Whether it was told to make this mistake.
    #[cfg(feature = "_planted_bugs")]
    fn has_bug(&self, bug: crate::PlantedBug) -> bool;
}
