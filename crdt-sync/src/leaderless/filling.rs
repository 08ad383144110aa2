//! A store that begins with nothing: filled before it answers reads.
//!
//! A node whose disk was lost comes back under its name, at its place in the ring, and holds nothing. To a write it is
//! a replica as good as any. A read that counts it among R may miss what it acknowledged before: of a write that it and
//! B have, a read of it and C shows nothing. So a store that was begun anew takes part in writes that others carry out
//! (where nobody else can, it carries out those that are not judged by what is there), refuses reads
//! ([`Refusal::Filling`](super::coordinate::Refusal::Filling)) so that others are asked, and is no source for those
//! that copy, until it has been compared with so many others that every acknowledged write was met
//! ([`Refill`](crate::placement::Refill) says how many, and why). That is written down, partition by partition.
//!
//! Every new store begins like that, for no node can tell its first store from its second:
//!
//! - one that joins a ring copies what it gains before it is asked, and that fills it;
//! - one that comes back empty is compared with N - W + 1 others that are not being filled themselves;
//! - where all that live have been compared with, as far as that goes, there is no more to be had, and an event says if
//!   it is too little;
//! - where W of the primaries hold nothing, all of them were founded with the ring as it is now, and none is known that
//!   holds anything, the cluster is at its beginning, and nothing is to be had. They need not be all: a ring of which W
//!   nodes are up can be used. A primary that never was up counts among those that lost what they held; if it is not
//!   heard of soon, or turns out to hold something, an event says that there may have been more to be had. Where every
//!   primary said that it was new itself, there was not.
//!
//! What a write counted that was still under way when the disk was lost is lost with it: its reply may come when the
//! node has been filled already, from nodes that got the write only afterwards. So a coordinator that hears from a node
//! that it is being filled, for the first time since there is a way to it, takes back what that one acknowledged of
//! the writes under way, and asks it again. One that has no way to the node before the reply does not hear of it.
//!
//! ```text
//! Filling {unfilled, asks}  ->
//!                           <-  Filling {unfilled}
//! sessions of anti-entropy over what is missing
//! Filling {unfilled}        ->   to all, when that has become less
//! ```

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::Leaderless;
use crate::engine::{Context, Event, PeerError};
use crate::node::NodeId;
use crate::placement::Refill;
use crate::replica::{read_spans, spans_of};
use crate::time::Instant;
use crate::wire::{Filling, Quorum};

/// So many comparisons with a node may end without everything before it is taken to be all there is.
const TRIES: u32 = 3;

/// How far this node is filled, and what it knows of others.
#[derive(Debug, Default)]
pub(super) struct Fillings {
    /// The generation of the ring that the rest is about.
    generation: Option<u64>,
    /// The partitions that this node holds and is being filled with.
    open: BTreeSet<u16>,
    /// What peers said of themselves since their links came up.
    peers: BTreeMap<NodeId, Told>,
    /// With whom a partition was compared, and whether that node held all that it had acknowledged when it began.
    compared: BTreeMap<(u16, NodeId), bool>,
    /// How often a comparison ended and did not bring everything.
    in_part: BTreeMap<(u16, NodeId), u32>,
    /// Sessions that may have begun before the peer was filled.
    early: BTreeSet<(u16, NodeId)>,
    /// Who said that it held nothing of a partition and was founded with the ring, like this node. Some may have been
    /// filled since.
    new: BTreeSet<(u16, NodeId)>,
    /// The partitions that were taken to be at their beginning before all primaries were heard.
    founded: BTreeMap<u16, Founded>,
}

/// Primaries that were not heard when a partition was taken to be at its beginning.
#[derive(Debug)]
struct Founded {
    unheard: BTreeSet<NodeId>,
    /// So long they are waited for before it is said that they may have held something.
    until: Instant,
}

/// What a peer said of itself.
#[derive(Debug)]
struct Told {
    founded: u64,
    unfilled: BTreeSet<u16>,
}

/// What a partition was filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    /// Everything that was acknowledged.
    Covered,
    /// Everything that is left.
    Rest,
    /// There is nothing yet.
    Founding,
}

impl Fillings {
    /// There is no way to a node any more, or another process of it begins.
    pub(super) fn lost(&mut self, node: NodeId) {
        self.peers.remove(&node);
    }

    /// How many partitions this node is being filled with.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether a peer said that it holds all that it acknowledged.
    pub(super) fn is_whole(&self, node: NodeId, partition: u16) -> bool {
        self.peers.get(&node).is_some_and(|told| !told.unfilled.contains(&partition))
    }

    /// Whether a peer said that it does not.
    pub(super) fn is_unfilled(&self, node: NodeId, partition: u16) -> bool {
        self.peers.get(&node).is_some_and(|told| told.unfilled.contains(&partition))
    }
}

impl Leaderless {
    /// Whether this node holds a partition, and may lack what it acknowledged of it.
    pub(super) fn is_being_filled(&self, partition: u16, context: &Context<'_>) -> bool {
        #[cfg(feature = "_planted_bugs")]
        if context.replica.has_bug(crate::PlantedBug::UnfilledReadAnswered) {
            return false;
        }
        !context.replica.is_filled(partition) && self.placement.holds(self.placement.me(), partition)
    }

    /// Asks a peer what it lacks, while that matters here. To be called at every heartbeat: an answer may be lost.
    pub(super) fn ask_for_filling(&self, node: NodeId, context: &mut Context<'_>) {
        let Fillings { open, founded, .. } = &self.filling;
        if !open.is_empty() || !founded.is_empty() || self.placement.to_copy().next().is_some() {
            self.tell_filling(node, true, context);
        }
    }

    fn tell_filling(&self, node: NodeId, asks: bool, context: &mut Context<'_>) {
        let (founded, unfilled) = (self.config.layout.version(), spans_of(context.replica.unfilled()));
        let filling = Filling { asks, founded, unfilled };
        self.tell(node, Quorum::Filling(filling), context.replica.journal.last(), context);
    }

    /// A peer says what it lacks.
    pub(super) fn on_filling(
        &mut self,
        peer: NodeId,
        filling: &Filling,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let unfilled = read_spans(&filling.unfilled, context.replica.config.partitions);
        let unfilled = unfilled.ok_or(PeerError::Disorder { what: "the list of partitions to be filled" })?;
        if filling.asks {
            self.tell_filling(peer, false, context);
        }
        if filling.founded == self.config.layout.version() {
            let said_to_be_new = |partition: &&u16| unfilled.contains(partition);
            let mine = self.filling.open.iter().chain(self.filling.founded.keys()).filter(said_to_be_new);
            self.filling.new.extend(mine.map(|partition| (*partition, peer)));
        }
        if !self.filling.peers.contains_key(&peer) {
            self.take_back_acknowledgements(peer, &unfilled, context);
        }
        let before = self.filling.peers.insert(peer, Told { founded: filling.founded, unfilled });
        let sought: BTreeSet<u16> =
            self.filling.open.iter().copied().chain(self.placement.to_copy()).collect();
        for partition in sought {
            let is_news = match &before {
                None => true,
                Some(told) => told.unfilled.contains(&partition) && self.filling.is_whole(peer, partition),
            };
            if is_news && before.is_some() && self.filling.compared.get(&(partition, peer)) == Some(&false) {
                // It was compared before it had anything to give.
                self.filling.compared.remove(&(partition, peer));
            }
            if is_news && self.anti_entropy.compares(partition, peer) {
                self.filling.early.insert((partition, peer));
            } else if is_news {
                self.anti_entropy.mark(partition, peer, context.now.instant);
            }
        }
        self.conclude_filling(context);
        self.anti_entropy.open_marked(context);
        Ok(())
    }

    /// A node that there was no way to, or whose process was another one, is being filled with these partitions. What
    /// it acknowledged of the writes under way may be lost with its store; if it is not, it will say so again.
    fn take_back_acknowledgements(
        &mut self,
        peer: NodeId,
        unfilled: &BTreeSet<u16>,
        context: &mut Context<'_>,
    ) {
        for number in self.operations.writes_to(unfilled) {
            if let Some(writing) = self.operations.writes.get_mut(&number) {
                // Also who carried it out holds nothing of it any more.
                writing.is_told_again |= writing.minter == peer;
                writing.op.forgot(peer, context.now.instant);
            }
            self.drive_write(number, context);
        }
    }

    /// The ring changed, or became known. Pairs that are compared follow it already.
    pub(super) fn follow_ring_while_filling(&mut self, context: &mut Context<'_>) {
        let me = self.placement.me();
        let unfilled = context.replica.unfilled().iter().copied();
        self.filling.open = unfilled.filter(|partition| self.placement.holds(me, *partition)).collect();
        self.filling.founded.retain(|partition, _| self.placement.holds(me, *partition));
        let generation = Some(self.placement.generation());
        if self.filling.generation != generation {
            self.filling.generation = generation;
            self.filling.compared.clear();
            self.filling.in_part.clear();
        }
        let peers: Vec<NodeId> = self.peers.keys().copied().collect();
        for peer in peers {
            self.ask_for_filling(peer, context);
        }
        for partition in &self.filling.open {
            for source in self.placement.refill(*partition).sources {
                // Of others it is not known what a comparison with them would be worth.
                if self.filling.peers.contains_key(&source) {
                    self.anti_entropy.mark(*partition, source, context.now.instant);
                }
            }
        }
        self.conclude_filling(context);
    }

    /// A partition was compared with that node, to the end. Whether that node held all that it had acknowledged.
    pub(super) fn filled_from(&mut self, peer: NodeId, partition: u16, context: &Context<'_>) -> bool {
        let is_early = self.filling.early.remove(&(partition, peer));
        let is_whole = self.filling.is_whole(peer, partition);
        if is_early && is_whole {
            // What it was filled with meanwhile may be missing.
            self.anti_entropy.mark(partition, peer, context.now.instant);
        } else if self.filling.open.contains(&partition) && self.filling.peers.contains_key(&peer) {
            *self.filling.compared.entry((partition, peer)).or_default() |= is_whole;
        }
        // Who has no need to know has not asked, and was told nothing.
        is_whole && !is_early
    }

    /// A comparison came to its end and did not bring everything. Where that happens again and again, a state is too
    /// large, or may not be had here, and there is no more to be had.
    pub(super) fn filled_in_part_from(&mut self, peer: NodeId, partition: u16) {
        let is_early = self.filling.early.remove(&(partition, peer));
        if !is_early && self.filling.open.contains(&partition) && self.filling.is_whole(peer, partition) {
            let tries = self.filling.in_part.entry((partition, peer)).or_default();
            *tries += 1;
            if *tries >= TRIES {
                self.filling.compared.entry((partition, peer)).or_default();
            }
        }
    }

    /// Answers reads of what is filled from now on.
    pub(super) fn conclude_filling(&mut self, context: &mut Context<'_>) {
        let filled: Vec<(u16, Filled)> = self
            .filling
            .open
            .iter()
            .filter_map(|number| Some((*number, self.filled_with(*number)?)))
            .collect();
        for (partition, with) in &filled {
            self.filling.open.remove(partition);
            let lsn = context.replica.note_filled(*partition);
            if *with == Filled::Founding {
                self.note_founded(*partition, context);
            } else {
                let covered = *with == Filled::Covered;
                context.outbox.event_after(Event::PartitionFilled { partition: *partition, covered }, lsn);
            }
        }
        if !filled.is_empty() {
            let peers: Vec<NodeId> = self.peers.keys().copied().collect();
            for peer in peers {
                self.tell_filling(peer, false, context);
            }
        }
        self.doubt_foundings(context);
    }

    fn note_founded(&mut self, partition: u16, context: &Context<'_>) {
        let sources = self.placement.refill(partition).sources.into_iter();
        let unheard: BTreeSet<NodeId> =
            sources.filter(|node| !self.filling.new.contains(&(partition, *node))).collect();
        if !unheard.is_empty() {
            let until = context.now.instant + context.replica.config.timing.compare_every;
            self.filling.founded.insert(partition, Founded { unheard, until });
        }
    }

    /// Says of which partitions there may have been more than nothing: a primary that was not heard when they were
    /// taken to be at their beginning holds something, or was not heard for a while. To be called at every heartbeat.
    /// O(partitions in doubt × N).
    pub(super) fn doubt_foundings(&mut self, context: &mut Context<'_>) {
        let mut founded = core::mem::take(&mut self.filling.founded);
        founded.retain(|partition, Founded { unheard, until }| {
            unheard.retain(|node| !self.filling.new.contains(&(*partition, *node)));
            let holds_some = unheard.iter().any(|node| self.filling.is_whole(*node, *partition));
            let in_vain = !unheard.is_empty() && (holds_some || *until <= context.now.instant);
            if in_vain {
                let event = Event::PartitionFilled { partition: *partition, covered: false };
                context.outbox.event_after(event, context.replica.journal.last());
            }
            !unheard.is_empty() && !in_vain
        });
        self.filling.founded = founded;
    }

    /// Whether a partition is filled, and with what. O(N log peers).
    fn filled_with(&self, partition: u16) -> Option<Filled> {
        let Refill { sources, needed, founders } = self.placement.refill(partition);
        let compared = |node: &&NodeId| self.filling.compared.get(&(partition, **node));
        let whole = sources.iter().filter(|node| compared(node) == Some(&true)).count();
        if whole >= needed {
            return Some(Filled::Covered);
        }
        let version = self.placement.version();
        let told = |node: &NodeId| self.filling.peers.get(node);
        let is_new = |node: &&NodeId| {
            told(node).is_some_and(|told| told.founded == version && told.unfilled.contains(&partition))
        };
        // Everybody who can be heard is heard first.
        let may_hold_it = |node: &NodeId| {
            let unheard = self.peers.contains_key(node) && told(node).is_none();
            unheard || self.filling.is_whole(*node, partition)
        };
        let new = 1 + sources.iter().filter(is_new).count();
        if self.config.layout.version() == version && !sources.iter().any(may_hold_it) && new >= founders {
            return Some(Filled::Founding);
        }
        let was_new = |node: &NodeId| {
            let has_nothing = !self.filling.is_whole(*node, partition);
            self.filling.new.contains(&(partition, *node)) && (has_nothing || compared(&node) == Some(&true))
        };
        let are_all = sources.len() + 1 == self.placement.read_set(partition).len();
        if self.config.layout.version() == version && are_all && sources.iter().all(was_new) {
            // What those hold that are filled already was written since, and is here.
            return Some(Filled::Covered);
        }
        sources.iter().all(|node| compared(&node).is_some()).then_some(Filled::Rest)
    }
}
