//! Leaderless: every key lives on N nodes, a write waits for W of them and a read for R.
//!
//! Where a key lives is said by the ring ([`placement`](crate::placement)). Whichever node a client asks *coordinates*
//! the operation: it asks the replicas, counts who answered, and replies with a report of what was reached in truth. A
//! write is carried out (its dot is minted) by one replica, the first that seems alive, and the others are told of it
//! as a state with exact dots, which may come in any order and more than once.
//!
//! What keeps replicas together when messages are lost and nodes are down, from the quickest to the surest: hints,
//! which a node keeps for one that it could not reach; reads, which repair whoever they find behind; and comparisons of
//! hash trees in the background.
//!
//! | module | what it does |
//! |---|---|
//! | [`coordinate`] | one operation: whom to ask, when it is reached, what to say of it |
//! | `config` | [`LeaderlessConfig`] |
//! | `requests`, `reply` | what clients ask for, and what they are told |
//! | `operations` | the operations under way, by number |
//! | `writes`, `reads` | carrying out what an operation asks for |
//! | `again` | operations that were refused for the ring |
//! | `serve`, `carried` | answering other coordinators, each request once |
//! | `found` | what a read compares and unites |
//! | `handoff` | bringing hints home |
//! | `barrier` | waiting until hints are home |
//! | `departures` | hints when nodes leave |
//! | `forgetting` | deleted documents, forgotten when all replicas hold the deletion |
//! | `filling` | a store that begins with nothing is filled before it answers reads |
//! | `ring` | the ring: telling it, changing it, moving data |
//! | `anti_entropy` | comparing partitions with their other owners |

mod again;
mod anti_entropy;
mod barrier;
mod carried;
mod config;
pub mod coordinate;
mod departures;
mod filling;
mod forgetting;
mod found;
mod handoff;
#[cfg(feature = "_planted_bugs")]
mod mistakes;
mod operations;
mod reads;
mod reply;
mod requests;
mod ring;
mod serve;
mod writes;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crdt_core::ReplicaId;
use replication_log::Lsn;

pub use config::LeaderlessConfig;
pub use reply::{HintsReply, QuorumReply, RingReply};

use crate::bytes::Bytes;
use crate::engine::{Activity, Context, Event, LinkId, PeerError, PeerStatus, Request, RequestId, Topology};
use crate::membership::HoldsBack;
use crate::metrics::Lag;
use crate::node::NodeId;
use crate::placement::{Detector, Placement, Progress};
use crate::reconcile;
use crate::replica::{Replica, RunError};
use crate::scope::Scope;
use crate::time::Instant;
use crate::wire::{MergedState, Message, Quorum};
use again::Again;
use anti_entropy::AntiEntropy;
use barrier::Barriers;
use carried::Carried;
use coordinate::Repairs;
use departures::Departures;
use filling::Fillings;
use forgetting::Forgetting;
use handoff::Handoff;
use operations::Operations;
use ring::Copying;

/// The state of the topology.
#[derive(Debug)]
pub(crate) struct Leaderless {
    /// Where everything is, as this node knows it.
    placement: Placement,
    /// Who seems to be alive.
    detector: Detector,
    peers: BTreeMap<NodeId, LinkId>,
    operations: Operations,
    again: Again,
    /// What was carried out for each peer since its link came up.
    carried: BTreeMap<NodeId, Carried>,
    handoff: Handoff,
    repairs: Repairs<NodeId>,
    anti_entropy: AntiEntropy,
    copying: Copying,
    filling: Fillings,
    departures: Departures,
    barriers: Barriers,
    forgetting: Forgetting,
    config: LeaderlessConfig,
    next_heartbeat: Instant,
}

impl Leaderless {
    pub(crate) fn new(now: Instant, config: &LeaderlessConfig, replica: &mut Replica) -> Self {
        // Nobody keeps the histories of others, so that nobody can tell later which of two writes under one dot came
        // first. A node that was copied, or restored from a backup, must not go on where it stood; and it cannot know.
        if replica.is_newly_founded() {
            replica.begin_unfilled();
        } else {
            replica.renew_identity();
        }
        replica.remember_what_dies();
        let layout = replica.layout().cloned().unwrap_or_else(|| config.layout.clone());
        Self {
            placement: Placement::new(replica.config.node, layout),
            detector: Detector::new(config.patience),
            peers: BTreeMap::new(),
            operations: Operations::numbered_from(replica.draw_number()),
            again: Again::default(),
            carried: BTreeMap::new(),
            handoff: Handoff::default(),
            repairs: Repairs::new(config.repairs),
            anti_entropy: AntiEntropy::new(now, replica),
            copying: Copying::default(),
            filling: Fillings::default(),
            departures: Departures::default(),
            barriers: Barriers::default(),
            forgetting: Forgetting::default(),
            config: config.clone(),
            next_heartbeat: now + replica.config.timing.heartbeat,
        }
    }

    /// Sends a message if there is a way; says whether there is.
    fn tell(&self, node: NodeId, message: Quorum, after: Lsn, context: &mut Context<'_>) -> bool {
        let Some(link) = self.peers.get(&node) else { return false };
        context.outbox.send(*link, &Message::Quorum(message), after);
        true
    }

    fn is_live(&self, node: NodeId, now: Instant) -> bool {
        node == self.placement.me() || (self.peers.contains_key(&node) && self.detector.is_live(node, now))
    }
}

impl Topology for Leaderless {
    fn peer_up(&mut self, node: NodeId, link: LinkId, _: Scope, context: &mut Context<'_>) {
        self.peers.insert(node, link);
        // Nothing comes over its earlier link any more, and another process of it counts anew.
        self.carried.remove(&node);
        self.filling.lost(node);
        self.detector.heard(node, context.now.instant);
        context.outbox.event(Event::PeerUp { node });
        self.anti_entropy.peer_up(node, link, context);
        self.tell_layout(node, context);
        self.ask_for_filling(node, context);
        // What got too old before a restart is not handed over.
        self.expire_hints(context);
        self.hand_off_to(node, context);
        self.tend_ring(context);
    }

    fn peer_down(&mut self, node: NodeId, context: &mut Context<'_>) {
        if self.peers.remove(&node).is_none() {
            return;
        }
        context.outbox.event(Event::PeerDown { node });
        self.detector.link_lost(node);
        self.handoff.lost(node);
        self.filling.lost(node);
        self.forgetting.lost(node);
        self.anti_entropy.peer_down(node, context);
        self.lose(node, context);
    }

    fn message(
        &mut self,
        peer: NodeId,
        message: Message,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        self.detector.heard(peer, context.now.instant);
        match message {
            Message::Quorum(Quorum::Mint(mint)) => {
                self.on_mint(peer, &mint, context);
                Ok(())
            }
            Message::Quorum(Quorum::Minted(minted)) => {
                self.on_minted(peer, minted, context);
                Ok(())
            }
            Message::Quorum(Quorum::Mutate(mutate)) => self.on_mutate(peer, &mutate, context),
            Message::Quorum(Quorum::Mutated { request, refused }) => {
                self.on_mutated(peer, request, refused, context);
                Ok(())
            }
            Message::Quorum(Quorum::Fetch(fetch)) => self.on_fetch(peer, &fetch, context),
            Message::Quorum(Quorum::Fetched { request, found }) => {
                self.on_fetched(peer, request, found, context)
            }
            Message::Quorum(Quorum::Layout(layout)) => {
                self.on_layout(peer, &layout, context);
                Ok(())
            }
            Message::Quorum(Quorum::Tombstones(asked)) => self.on_tombstones(peer, &asked, context),
            Message::Quorum(Quorum::TombstonesHeld { request, objections }) => {
                self.on_tombstones_held(peer, request, objections, context);
                Ok(())
            }
            Message::Quorum(Quorum::Filling(filling)) => self.on_filling(peer, &filling, context),
            Message::Session(session) => {
                self.anti_entropy.message(peer, session, context)?;
                self.take_synced(context);
                Ok(())
            }
            Message::Greeting(_) | Message::Farewell(_) => Ok(()),
            _ => Err(PeerError::Unexpected { what: "a message of another topology" }),
        }
    }

    fn request(&mut self, id: RequestId, request: Request, context: &mut Context<'_>) -> Option<Request> {
        self.on_request(id, request, context)
    }

    fn durable(&mut self, context: &mut Context<'_>) {
        self.now_durable(context);
        forget_own_entries(context);
        self.tend_ring(context);
    }

    fn timer(&mut self, context: &mut Context<'_>) -> bool {
        self.tick(context);
        self.begin_again_what_is_due(context);
        self.anti_entropy.timer(context);
        self.take_synced(context);
        self.answer_barriers(context);
        if context.now.instant < self.next_heartbeat {
            return false;
        }
        self.next_heartbeat = context.now.instant + context.replica.config.timing.heartbeat;
        self.expire_hints(context);
        self.follow_departures(context);
        self.hand_on_what_cannot_wait(context);
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            // Also a sign of life.
            self.tell_layout(node, context);
            self.ask_for_filling(node, context);
            self.hand_off_to(node, context);
        }
        self.compare_what_was_missed(context);
        self.doubt_foundings(context);
        self.tend_ring(context);
        self.drop_what_moved_away(context);
        self.answer_barriers(context);
        self.forget_old_deletions(context);
        true
    }

    fn next_timer(&self) -> Instant {
        let regular = self.next_heartbeat.min(self.anti_entropy.next_timer());
        let waiting = self.operations.next_deadline().into_iter().chain(self.barriers.next_deadline());
        waiting.chain(self.again.next_deadline()).fold(regular, Instant::min)
    }

    fn evicted(&mut self, _: &mut Context<'_>) {}

    fn peers(&self, _: &Replica) -> Vec<PeerStatus> {
        self.peers.keys().map(|node| PeerStatus { node: *node, in_sync: false }).collect()
    }

    fn lags(&self, _: &Replica) -> Vec<(NodeId, Vec<Option<Lag>>)> {
        self.peers.keys().map(|node| (*node, Vec::new())).collect()
    }

    fn stability(&self, replica: &Replica) -> (Vec<HoldsBack>, Vec<Vec<(ReplicaId, u64)>>) {
        (Vec::new(), replica.partitions.iter().map(|_| Vec::new()).collect())
    }

    fn sessions(&self) -> usize {
        self.anti_entropy.sessions()
    }

    fn largest_partial_state(&self) -> usize {
        self.anti_entropy.largest_partial_state()
    }

    fn preference_list(&self, partition: u16) -> Vec<NodeId> {
        self.placement.preference_list(partition).collect()
    }

    fn ring_progress(&self) -> Option<Progress> {
        Some(Progress { filling: self.filling.len(), ..self.placement.progress() })
    }

    fn add_activity(&self, with: Option<NodeId>, activity: &mut Activity) {
        self.anti_entropy.add_activity(with, activity);
        self.operations.add_activity(with, activity);
        self.handoff.add_activity(with, activity);
        if with.is_none() {
            self.again.add_activity(activity);
        }
    }

    #[cfg(feature = "_planted_bugs")]
    fn plant(&mut self, _: crate::PlantedBug) {}

    #[cfg(feature = "_planted_bugs")]
    fn has_bug(&self, _: crate::PlantedBug) -> bool {
        false
    }
}

/// What this node wrote is told as states, and to nobody as entries: those that are durable are not needed any more.
/// O(partitions).
fn forget_own_entries(context: &mut Context<'_>) {
    let durable = context.outbox.durable();
    for partition in &mut context.replica.partitions {
        partition.histories.shrink_to(0, durable);
    }
}

/// Joins what was told of a key, and returns the record that this rests on.
fn take_in(told: &MergedState, context: &mut Context<'_>) -> Result<Lsn, RunError> {
    take_in_removal(told, None, context)
}

/// The same, where it may be known that all dots that are covered are of one element.
fn take_in_removal(
    told: &MergedState,
    removes: Option<&Bytes>,
    context: &mut Context<'_>,
) -> Result<Lsn, RunError> {
    reconcile::apply(context, |replica, wall| replica.merge_removal(told, removes, wall)).map(|(_, lsn)| lsn)
}
