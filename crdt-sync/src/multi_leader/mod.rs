//! Multi-leader: every node takes writes, and what each writes reaches all.
//!
//! Peers tell each other their frontiers. Who is a little behind is sent the entries it lacks, of whatever
//! origin, by whoever holds them, so that rings, stars and meshes all work; who is far behind, or new, compares
//! trees with its peer in a Merkle session and gets the states of the keys that differ.

pub(crate) mod authority;
mod forks;
mod lag;
mod lane;
#[cfg(test)]
mod lane_tests;
mod members;
mod partial;
mod reconcile;
mod shipping;
mod stability;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crdt_core::ReplicaId;

use crate::bytes::Bytes;
use crate::engine::{Activity, Context, Event, LinkId, PeerError, PeerStatus, Request, RequestId, Topology};
use crate::membership::{HoldsBack, Stability};
use crate::metrics::Lag;
use crate::node::NodeId;
use crate::reconcile::{Session, apply, renew_identity};
use crate::replica::{Partition, Replica, RunError, RunOutcome};
use crate::scope::Scope;
use crate::time::Instant;
use crate::wire::{Message, Run};
use lane::{Lane, Meeting};

/// The state of the topology: which peers there are, how far each is, and which sessions are open.
#[derive(Debug)]
pub(crate) struct MultiLeader {
    peers: BTreeMap<NodeId, Peer>,
    /// At most one session per partition: while it is open, nobody else's entries are applied there.
    sessions: BTreeMap<u16, Session>,
    /// The number of the session this side opened last.
    last_session: u64,
    /// When an origin last advanced here: what arrives now is on its way to others, too.
    advanced: BTreeMap<(u16, ReplicaId), Instant>,
    next_heartbeat: Instant,
    /// How far each member is known to be.
    stability: Stability,
    #[cfg(feature = "_planted_bugs")]
    planted: Option<crate::PlantedBug>,
}

/// A connected peer.
#[derive(Debug)]
struct Peer {
    link: LinkId,
    /// What it holds, and all that it may be sent.
    scope: Scope,
    /// The identity it writes under, as it says.
    writer: Option<ReplicaId>,
    /// The identity of this node that it was told.
    told_writer: Option<ReplicaId>,
    /// One per partition.
    lanes: Vec<Lane>,
    /// As of which of its versions this node found to know the same of members as the peer.
    agreed_members: Option<u64>,
    /// Whom the peer said to be retired without being believed.
    disbelieved: BTreeSet<NodeId>,
    /// Retired origins of which the peer sent more than is valid, since anything changed among members.
    refused: BTreeSet<(u16, ReplicaId)>,
}

impl MultiLeader {
    pub(crate) fn new(now: Instant, replica: &Replica) -> Self {
        Self {
            peers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            last_session: 0,
            advanced: BTreeMap::new(),
            next_heartbeat: now + replica.config.timing.heartbeat,
            stability: Stability::default(),
            #[cfg(feature = "_planted_bugs")]
            planted: None,
        }
    }
}

impl Topology for MultiLeader {
    /// A peer can be reached: it is told how far this node is.
    fn peer_up(&mut self, node: NodeId, link: LinkId, scope: Scope, context: &mut Context<'_>) {
        let meeting = Meeting {
            whole: scope.is_everything(),
            with_whole: context.replica.config.scope.is_everything(),
        };
        let new_lane = |_: &Partition| Lane::new(context.now.instant, meeting);
        let lanes: Vec<Lane> = context.replica.partitions.iter().map(new_lane).collect();
        #[cfg(feature = "_planted_bugs")]
        let lanes = self.mistaken(lanes);
        let peer = Peer {
            link,
            scope,
            writer: None,
            told_writer: None,
            lanes,
            agreed_members: None,
            disbelieved: BTreeSet::new(),
            refused: BTreeSet::new(),
        };
        self.peers.insert(node, peer);
        context.outbox.event(Event::PeerUp { node });
        self.meet(node, context);
        for partition in 0..context.replica.config.partitions {
            self.advertise(node, partition, context);
        }
    }

    fn peer_down(&mut self, node: NodeId, context: &mut Context<'_>) {
        if self.peers.remove(&node).is_none() {
            return;
        }
        context.outbox.event(Event::PeerDown { node });
        let lost: Vec<u16> = self.sessions.iter().filter(|(_, s)| s.peer == node).map(|(n, _)| *n).collect();
        for partition in lost {
            self.abort_session(partition, "the peer is gone", context);
        }
    }

    fn message(
        &mut self,
        peer: NodeId,
        message: Message,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        match message {
            Message::Frontier(frontier) => self.on_frontier(peer, &frontier, context),
            Message::Run(run) => self.on_run(peer, &run, context),
            Message::Excerpt(excerpt) => self.on_excerpt(peer, &excerpt, context),
            Message::Session(session) => self.on_session(peer, session, context),
            Message::Members(members) => self.on_members(peer, &members, context),
            Message::Rows(rows) => self.on_rows(peer, rows, context),
            Message::Fork(fork) => self.on_fork(peer, fork, context),
            Message::Quorum(_) | Message::Ship(_) => {
                Err(PeerError::Unexpected { what: "a message of another topology" })
            }
            Message::Greeting(_) | Message::Farewell(_) => Ok(()),
        }
    }

    fn request(&mut self, id: RequestId, request: Request, context: &mut Context<'_>) -> Option<Request> {
        match request {
            Request::Retire { node } => {
                self.retire(id, node, context);
                None
            }
            other => Some(other),
        }
    }

    /// More of the log is durable: what it holds may be sent, and what it received be acknowledged.
    fn durable(&mut self, context: &mut Context<'_>) {
        let limit = context.replica.config.limits.max_retained;
        let durable = context.outbox.durable();
        for partition in &mut context.replica.partitions {
            partition.histories.shrink_to(limit, durable);
        }
        self.acknowledge_all(context);
        self.pump_all(context);
    }

    /// Looks for what is late: acknowledgements, sessions, peers that lag. Returns whether it was time to.
    fn timer(&mut self, context: &mut Context<'_>) -> bool {
        if context.now.instant < self.next_heartbeat {
            return false;
        }
        self.next_heartbeat = context.now.instant + context.replica.config.timing.heartbeat;
        self.check_sessions(context);
        self.resend_unacknowledged(context);
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            self.remind_of_members(node, context);
            for partition in 0..context.replica.config.partitions {
                self.heartbeat(node, partition, context);
            }
        }
        self.pump_all(context);
        self.tend_stability(context);
        true
    }

    fn next_timer(&self) -> Instant {
        self.next_heartbeat
    }

    fn peers(&self, replica: &Replica) -> Vec<PeerStatus> {
        let is_level = |peer: &Peer| {
            peer.lanes.iter().zip(&replica.partitions).all(|(lane, partition)| lane.is_level(partition))
        };
        self.peers.iter().map(|(node, peer)| PeerStatus { node: *node, in_sync: is_level(peer) }).collect()
    }

    fn lags(&self, replica: &Replica) -> Vec<(NodeId, Vec<Option<Lag>>)> {
        self.all_lags(replica).collect()
    }

    fn sessions(&self) -> usize {
        self.sessions.len()
    }

    fn largest_partial_state(&self) -> usize {
        self.sessions.values().map(|session| session.incoming.partial()).max().unwrap_or_default()
    }

    fn add_activity(&self, with: Option<NodeId>, activity: &mut Activity) {
        let concerns = |peer: NodeId| with.is_none_or(|with| with == peer);
        for (_, peer) in self.peers.iter().filter(|(node, _)| concerns(**node)) {
            activity.shipping += peer.lanes.iter().filter(|lane| lane.awaits_acknowledgement()).count();
        }
        activity.forgetting += if with.is_none() { self.stability.waiting() } else { 0 };
        for session in self.sessions.values().filter(|session| concerns(session.peer)) {
            session.add_activity(activity);
        }
    }

    fn evicted(&mut self, context: &mut Context<'_>) {
        let news = context.replica.evict();
        self.spread(&news, context);
    }

    fn stability(&self, replica: &Replica) -> (Vec<HoldsBack>, Vec<Vec<(ReplicaId, u64)>>) {
        let stable = (0..replica.config.partitions).map(|number| self.stability.stable(number, replica));
        (self.stability.held_back_by(replica), stable.collect())
    }

    #[cfg(feature = "_planted_bugs")]
    fn plant(&mut self, bug: crate::PlantedBug) {
        self.planted = Some(bug);
    }

    #[cfg(feature = "_planted_bugs")]
    fn has_bug(&self, bug: crate::PlantedBug) -> bool {
        self.planted == Some(bug)
    }
}

impl MultiLeader {
    /// Entries of some origin arrived.
    fn on_run(&mut self, peer: NodeId, run: &Run, context: &mut Context<'_>) -> Result<(), PeerError> {
        check_partition(run.partition, context)?;
        if !context.replica.config.scope.is_everything() {
            return Err(PeerError::Unexpected { what: "a run for a partial replica" });
        }
        let whose = (run.partition, run.origin);
        let entries = entries_of(run);
        if !self.is_taken(peer, whose) || !self.admits_entries(peer, whose, entries, context)? {
            return Ok(());
        }
        let applied = apply(context, |replica, wall| replica.apply_run(run, wall));
        self.conclude_run(peer, whose, applied, context)
    }

    /// Whether entries of an origin can be taken from a peer now.
    fn is_taken(&mut self, peer: NodeId, (partition, origin): (u16, ReplicaId)) -> bool {
        if self.sessions.contains_key(&partition) {
            self.lane(peer, partition, |lane| lane.must_rewind = true);
            return false;
        }
        self.lane(peer, partition, |lane| lane.forked.contains(&origin)) != Some(true)
    }

    /// What became of entries, and what the peer is told of it.
    fn conclude_run(
        &mut self,
        peer: NodeId,
        (partition, origin): (u16, ReplicaId),
        applied: Result<RunOutcome, RunError>,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        match applied {
            Ok(RunOutcome::Applied(0)) => self.advertise(peer, partition, context),
            Ok(RunOutcome::Applied(entries)) => {
                self.lane(peer, partition, |lane| lane.early.remove(&origin));
                self.applied(peer, (partition, origin), entries, context);
            }
            Ok(RunOutcome::Early { applied, missing }) => {
                let (now, limit) = (context.now.instant, context.replica.config.limits.max_origins);
                self.lane(peer, partition, |lane| lane.await_dot(origin, missing, now, limit));
                self.applied(peer, (partition, origin), applied, context);
            }
            Ok(RunOutcome::Gap) => self.ask_again(peer, partition, context),
            Ok(RunOutcome::Retired) => self.refuse_retired(peer, partition, origin, context),
            Err(RunError::Forked { origin, .. }) => {
                self.forked(peer, partition, origin, context);
                self.trace(peer, partition, origin, context);
            }
            // The peer does not know yet, or cannot help it; what it sent lives on as a branch.
            Err(RunError::Burnt { origin, .. }) => {
                let news = self.lane(peer, partition, |lane| {
                    lane.at_odds = true;
                    lane.burnt.insert(origin)
                });
                if news == Some(true) {
                    context.outbox.event(Event::BurntEntries { peer, origin, partition });
                }
                self.advertise(peer, partition, context);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Entries of a run are applied, if any; others that came too early may have waited for them.
    fn applied(
        &mut self,
        peer: NodeId,
        (partition, origin): (u16, ReplicaId),
        entries: usize,
        context: &mut Context<'_>,
    ) {
        if entries == 0 {
            return;
        }
        context.outbox.counters.entries_applied += entries as u64;
        self.advanced.insert((partition, origin), context.now.instant);
        self.lane(peer, partition, |lane| lane.owes_acknowledgement = true);
        self.wake_early(partition, context);
    }

    /// Asks again for entries that named dots which were not known here and are now.
    fn wake_early(&mut self, number: u16, context: &Context<'_>) {
        let seen = &context.replica.partition(number).context;
        for known in self.peers.values_mut() {
            let Some(lane) = known.lanes.get_mut(usize::from(number)) else { continue };
            if lane.wake_early(seen) {
                lane.must_rewind = true;
                lane.owes_acknowledgement = true;
            }
        }
    }

    /// Entries are missing before the ones that arrived: one word about it is enough until something changes here.
    fn ask_again(&mut self, peer: NodeId, partition: u16, context: &mut Context<'_>) {
        let at = context.replica.journal.last();
        let news = self.lane(peer, partition, |lane| lane.rewind_asked.replace(at) != Some(at));
        if news == Some(true) {
            self.lane(peer, partition, |lane| lane.must_rewind = true);
            self.advertise(peer, partition, context);
        }
    }

    /// An identity turned out to have two pasts: between this node and that peer nothing more of it flows.
    fn forked(&mut self, peer: NodeId, partition: u16, origin: ReplicaId, context: &mut Context<'_>) {
        if self.lane(peer, partition, |lane| lane.forked.insert(origin)) != Some(true) {
            return;
        }
        context.outbox.event(Event::ForkedReplica { peer, origin, partition });
        if self.lane(peer, partition, |lane| lane.meeting.is_partial()) == Some(true) {
            self.give_up(peer, partition, origin, context);
        }
        if origin == context.replica.id {
            renew_identity(context);
        }
    }

    fn lane<T>(&mut self, peer: NodeId, partition: u16, f: impl FnOnce(&mut Lane) -> T) -> Option<T> {
        self.peers.get_mut(&peer)?.lanes.get_mut(usize::from(partition)).map(f)
    }

    #[cfg(feature = "_planted_bugs")]
    fn mistaken(&self, mut lanes: Vec<Lane>) -> Vec<Lane> {
        let ignores_floors = self.has_bug(crate::PlantedBug::LogFloorIgnored);
        for lane in &mut lanes {
            lane.ignores_floors = ignores_floors;
        }
        lanes
    }
}

/// The entries of a run with their sequences.
fn entries_of(run: &Run) -> impl Iterator<Item = (u64, &Bytes)> {
    (run.after.sequence.saturating_add(1)..).zip(&run.entries)
}

fn check_partition(partition: u16, context: &Context<'_>) -> Result<(), PeerError> {
    if partition < context.replica.config.partitions {
        Ok(())
    } else {
        Err(PeerError::UnknownPartition { partition })
    }
}
