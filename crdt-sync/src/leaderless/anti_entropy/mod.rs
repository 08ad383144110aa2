//! Anti-entropy: each owner of a partition compares it with each of the others, again and again, so that what
//! mutations, hints and repairs missed reaches everybody in the end.
//!
//! About once per [`Timing::compare_every`](crate::Timing::compare_every) the node with the lower id opens a
//! [session](crate::reconcile) over a partition with another of its owners. The opening says what it has seen and what
//! it holds; where the other side has seen and holds the same it says so, and that is all:
//!
//! ```text
//! Open {standing}  ->
//!                  <-  Done {complete}
//! ```
//!
//! Otherwise the trees are compared and the states that differ exchanged. There are no frontiers here, as nobody keeps
//! the histories of others: what a side has seen is the context of its partition, with holes for what is on its way.
//! States are joined by their exact dots. What the peer has seen is taken over only when the states that were exchanged
//! account for the whole difference of the two trees, or a key whose state was lost would pass for removed.
//!
//! Mutations of the partition are joined while a session lasts. That does no harm: what a session shows is joined like
//! any state, and what it takes over in the end is what the peer had seen when its tree was photographed. A dot among
//! it that the peer did not hold then was removed there, and one that it did hold was either held here as well, in a
//! key that did not differ, or came with the states.
//!
//! A node is in one session per partition and in one per peer; states leave no faster than
//! [`Limits::compared_per_second`](crate::Limits::compared_per_second).

mod conduct;
mod schedule;
#[cfg(test)]
mod tests;
mod throttle;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::engine::{Activity, Context, LinkId, PeerError};
use crate::node::NodeId;
use crate::reconcile::{Patience, Session};
use crate::replica::Replica;
use crate::time::Instant;
use crate::wire::{self, SessionStep};
use schedule::{Ending, Schedule};
use throttle::Throttle;

/// The conduct of all comparisons of one node.
#[derive(Debug)]
pub(crate) struct AntiEntropy {
    peers: BTreeMap<NodeId, Peer>,
    /// The photograph of a partition serves one session.
    sessions: BTreeMap<u16, Talk>,
    schedule: Schedule,
    throttle: Throttle,
    /// The number of the session this side opened last.
    last_session: u64,
    /// The version of the layout that the pairs come from.
    layout: u64,
    synced: Vec<Synced>,
    /// The partition whose session was last to send states: the next one goes first.
    served: u16,
    /// A session ended, so that another one may begin.
    freed: bool,
    next_tick: Instant,
}

/// A connected peer.
#[derive(Debug)]
struct Peer {
    link: LinkId,
    /// The number of the session it opened last: whatever opens an earlier one is late.
    opened: u64,
    /// It was told that nothing differs, which is said again when it asks again.
    told_equal: bool,
}

/// A session that is under way.
#[derive(Debug)]
struct Talk {
    session: Session,
    /// The version of the layout when it began.
    layout: u64,
    /// There are states to send, and the throttle holds them up.
    held_up: bool,
    /// How often the peer said that it is held up since it sent states last.
    life_signs: u32,
}

/// A session that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) partition: u16,
    pub(crate) peer: NodeId,
    /// The version of the layout when it began.
    pub(crate) layout: u64,
    /// Each side has all that either had when it began.
    pub(crate) complete: bool,
}

impl AntiEntropy {
    pub(crate) fn new(now: Instant, replica: &Replica) -> Self {
        let config = &replica.config;
        Self {
            peers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            schedule: Schedule::new(&config.timing),
            throttle: Throttle::new(config.limits.compared_per_second, now),
            last_session: 0,
            layout: 0,
            synced: Vec::new(),
            served: 0,
            freed: false,
            next_tick: now + config.timing.heartbeat,
        }
    }

    /// From this version of the layout on, these partitions are compared with these nodes. Sessions of pairs that are
    /// gone are given up. O(pairs · log).
    pub(crate) fn set_pairs(
        &mut self,
        layout: u64,
        pairs: impl IntoIterator<Item = (u16, NodeId)>,
        context: &mut Context<'_>,
    ) {
        self.layout = layout;
        let gone = self.schedule.set(pairs, context.now.instant, &mut context.replica.rng);
        for (partition, node) in gone {
            if self.sessions.get(&partition).is_some_and(|talk| talk.session.peer == node) {
                self.abort(partition, "the two do not own the partition together any more", context);
            }
        }
    }

    /// Something was lost or found to be behind: the partition is compared with that node soon.
    pub(crate) fn mark(&mut self, partition: u16, with: NodeId, now: Instant) {
        self.schedule.mark((partition, with), now);
    }

    /// Opens what can be opened of the sessions that are due, without waiting for the next look at them.
    pub(crate) fn open_marked(&mut self, context: &mut Context<'_>) {
        self.throttle.fill(context.now.instant);
        self.open_due(context);
    }

    /// Whether a session over the partition with that node is under way.
    pub(crate) fn compares(&self, partition: u16, with: NodeId) -> bool {
        self.sessions.get(&partition).is_some_and(|talk| talk.session.peer == with)
    }

    /// A peer can be reached, perhaps another process of it than before, which knows of no session.
    pub(crate) fn peer_up(&mut self, node: NodeId, link: LinkId, context: &mut Context<'_>) {
        self.forget(node, context);
        self.peers.insert(node, Peer { link, opened: 0, told_equal: false });
        self.open_due(context);
    }

    /// A peer can no longer be reached.
    pub(crate) fn peer_down(&mut self, node: NodeId, context: &mut Context<'_>) {
        self.forget(node, context);
        self.open_due(context);
    }

    fn forget(&mut self, node: NodeId, context: &mut Context<'_>) {
        self.peers.remove(&node);
        if let Some(partition) = self.partition_with(node) {
            self.interrupt(partition, "the peer is gone", Ending::Busy, context);
        }
    }

    /// A peer said something about a session.
    pub(crate) fn message(
        &mut self,
        peer: NodeId,
        message: wire::Session,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        if message.partition >= context.replica.config.partitions {
            return Err(PeerError::UnknownPartition { partition: message.partition });
        }
        self.throttle.fill(context.now.instant);
        let heard = self.hear(peer, message, context);
        if core::mem::take(&mut self.freed) {
            self.open_due(context);
        }
        heard
    }

    /// Looks for what is late and whose turn has come. Does nothing before it is time to.
    pub(crate) fn timer(&mut self, context: &mut Context<'_>) {
        let now = context.now.instant;
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + context.replica.config.timing.heartbeat;
        self.throttle.fill(now);
        let mut partitions: Vec<u16> = self.sessions.keys().copied().collect();
        let first = partitions.partition_point(|partition| *partition <= self.served);
        partitions.rotate_left(first);
        for partition in partitions {
            self.check(partition, context);
            self.proceed(partition, context);
        }
        self.freed = false;
        self.open_due(context);
    }

    pub(crate) fn next_timer(&self) -> Instant {
        self.next_tick
    }

    /// The sessions that came to their end since this was asked last. To be asked after every input, or they add up.
    pub(crate) fn take_synced(&mut self) -> Vec<Synced> {
        core::mem::take(&mut self.synced)
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The most bytes of one state that arrived in part.
    pub(crate) fn largest_partial_state(&self) -> usize {
        self.sessions.values().map(|talk| talk.session.incoming.partial()).max().unwrap_or_default()
    }

    /// Counts what is under way, with all peers or with one.
    pub(crate) fn add_activity(&self, with: Option<NodeId>, activity: &mut Activity) {
        let sessions = self.sessions.values().map(|talk| &talk.session);
        for session in sessions.filter(|session| with.is_none_or(|with| with == session.peer)) {
            session.add_activity(activity);
        }
    }

    /// The partition of the session with a peer.
    fn partition_with(&self, peer: NodeId) -> Option<u16> {
        let mut sessions = self.sessions.iter();
        sessions.find(|(_, talk)| talk.session.peer == peer).map(|(partition, _)| *partition)
    }

    /// Opens the sessions whose turn has come, and asks for those that are for others to open and were called for.
    fn open_due(&mut self, context: &mut Context<'_>) {
        let (me, now) = (context.replica.config.node, context.now.instant);
        let peers: Vec<NodeId> = self.peers.keys().copied().collect();
        for peer in peers {
            if me > peer {
                self.ask_due(peer, context);
            } else if self.partition_with(peer).is_none() {
                let free = |partition: &u16| !self.sessions.contains_key(partition);
                let next = self.schedule.due(peer, now).find(free);
                if let Some(partition) = next {
                    self.open(peer, partition, context);
                }
            }
        }
    }

    fn ask_due(&mut self, peer: NodeId, context: &mut Context<'_>) {
        let (timing, now) = (context.replica.config.timing, context.now.instant);
        let due: Vec<u16> = self.schedule.due(peer, now).collect();
        for partition in due {
            let marked = self.schedule.is_marked((partition, peer));
            if marked {
                self.tell(peer, (partition, 0), SessionStep::Ask, context);
            }
            let until = now + if marked { timing.resend_after } else { timing.compare_every };
            self.schedule.put_off((partition, peer), until);
        }
    }

    /// Repeats what was not answered in a session, and gives it up when it does not move on.
    fn check(&mut self, partition: u16, context: &mut Context<'_>) {
        let (timing, now) = (context.replica.config.timing, context.now.instant);
        let Some(talk) = self.sessions.get_mut(&partition) else { return };
        if talk.held_up {
            // The silence is this side's own, and the peer hears why.
            talk.session.progressed = now;
            if now.since(talk.session.repeated) >= timing.resend_after {
                talk.session.repeated = now;
                self.say(partition, |session| Vec::from([session.received()]), context);
            }
            return;
        }
        match talk.session.patience(now, &timing) {
            Patience::Ended => self.abort(partition, "nothing was heard for too long", context),
            Patience::Tried => self.say_again(partition, context),
            Patience::Left => {}
        }
    }
}
