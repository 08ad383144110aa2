//! Shipping: entries flow to whoever lacks them, frontiers flow back.
//!
//! A frontier is an advertisement and an acknowledgement in one, so nothing else need be remembered about a
//! peer: after any loss, the next frontier says where to go on. The sender runs ahead of it by a window.

use alloc::vec::Vec;

use crdt_core::ReplicaId;
use replication_log::Lsn;

use super::MultiLeader;
use super::lane::Gap;
use crate::engine::{Context, Event, PeerError};
use crate::entry::Position;
use crate::node::NodeId;
use crate::replica::check_position;
use crate::wire::{Frontier, Message, OriginStatus, Run};

impl MultiLeader {
    /// Tells a peer how far this node is, once that is durable.
    pub(super) fn advertise(&mut self, peer: NodeId, number: u16, context: &mut Context<'_>) {
        self.tell_frontier(peer, number, false, context);
    }

    fn tell_frontier(&mut self, peer: NodeId, number: u16, ask: bool, context: &mut Context<'_>) {
        let partition = context.replica.partition(number);
        let heads = partition.heads();
        let origins = partition
            .histories
            .iter()
            .map(|(origin, history)| OriginStatus {
                origin,
                floor: if partition.histories.is_whole(origin) {
                    history.served_from()
                } else {
                    history.head()
                }
                .sequence,
                head: history.head(),
                whole: partition.histories.is_whole(origin),
            })
            .collect();
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        let lane = &mut known.lanes[usize::from(number)];
        let in_session = self.sessions.contains_key(&number);
        let timing = &context.replica.config.timing;
        let gap = lane.gap(&partition.histories);
        let calls_for_session = gap.is_some_and(|gap| lane.calls_for_session(gap, timing));
        let open = peer < context.replica.config.node && calls_for_session;
        let seems_level = gap.is_some_and(Gap::is_closed);
        let compares = seems_level && !lane.meeting.is_partial();
        let root = compares.then(|| partition.cells.root()).map(|root| (root.digest, root.count));
        // While a session is open nothing would be taken; its end tells everybody.
        let rewind = !in_session && core::mem::take(&mut lane.must_rewind);
        lane.owes_acknowledgement = false;
        lane.told = context.now.instant;
        lane.advertised = Some(heads);
        let (writer, refused) = (context.replica.id, lane.refused.iter().copied().collect());
        known.told_writer = Some(writer);
        let forks = partition.forks_carried_out();
        let frontier =
            Frontier { partition: number, rewind, open, ask, writer, origins, refused, root, forks };
        let after = context.replica.journal.last();
        #[cfg(feature = "_planted_bugs")]
        let after = if context.replica.has_bug(crate::PlantedBug::AcknowledgedAheadOfDisk) {
            Lsn::ZERO
        } else {
            after
        };
        context.outbox.send(known.link, &Message::Frontier(frontier), after);
    }

    /// Answers entries that are durable by now.
    pub(super) fn acknowledge_all(&mut self, context: &mut Context<'_>) {
        let owed: Vec<(NodeId, u16)> = self
            .peers
            .iter()
            .flat_map(|(node, peer)| (0..).zip(&peer.lanes).map(|(number, lane)| (*node, number, lane)))
            .filter(|(_, _, lane)| lane.owes_acknowledgement)
            .map(|(node, number, _)| (node, number))
            .collect();
        for (node, number) in owed {
            self.advertise(node, number, context);
        }
    }

    /// A peer said how far it is.
    pub(super) fn on_frontier(
        &mut self,
        peer: NodeId,
        frontier: &Frontier,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let number = frontier.partition;
        super::check_partition(number, context)?;
        check_order(frontier, context)?;
        let heads: Vec<_> = frontier.origins.iter().map(|status| (status.origin, status.head)).collect();
        if context.replica.is_outrun_by(number, &heads) {
            super::renew_identity(context);
        }
        self.compare_forks(peer, number, frontier.forks, context);
        self.find_forks(peer, number, &heads, context);
        let now = context.now.instant;
        if let Some(known) = self.peers.get_mut(&peer) {
            known.writer = Some(frontier.writer);
        }
        let sequences = heads.iter().map(|(origin, head)| (*origin, head.sequence));
        self.stability.hear((number, peer), sequences, context.replica.config.limits.max_origins, now);
        self.lane(peer, number, |lane| lane.learn(frontier, now));
        self.compare(peer, number, frontier, context);
        self.report_level(peer, number, context);
        self.pump(peer, number, context);
        if frontier.ask {
            self.advertise(peer, number, context);
        }
        Ok(())
    }

    /// Notes of which identities the two sides hold different histories.
    pub(super) fn find_forks(
        &mut self,
        peer: NodeId,
        number: u16,
        heads: &[(ReplicaId, Position)],
        context: &mut Context<'_>,
    ) {
        let unproven = context.replica.partition(number).unproven(heads);
        let now = context.now.instant;
        self.lane(peer, number, |lane| lane.note_unproven(unproven, now));
        for &(origin, head) in heads {
            #[cfg(feature = "_planted_bugs")]
            if context.replica.has_bug(crate::PlantedBug::EqualForkMissed)
                && context.replica.partition(number).histories.head(origin).sequence == head.sequence
            {
                continue;
            }
            let held = context.replica.partition(number).histories.get(origin);
            let known = held.and_then(|history| history.at(head.sequence));
            if known.is_some_and(|known| known.chain != head.chain) {
                self.forked(peer, number, origin, context);
                self.trace(peer, number, origin, context);
            } else if held.is_some_and(|history| history.head() == head) {
                self.is_one_again(peer, number, origin);
            }
        }
    }

    /// Decides what a frontier calls for: a session, or word that both sides are equally far.
    fn compare(&mut self, peer: NodeId, number: u16, frontier: &Frontier, context: &mut Context<'_>) {
        let partition = context.replica.partition(number);
        let timing = &context.replica.config.timing;
        let Some(lane) = self.peers.get(&peer).and_then(|peer| peer.lanes.get(usize::from(number))) else {
            return;
        };
        let sound = lane.is_sound();
        let gap = lane.gap(&partition.histories);
        let closed = gap.is_some_and(Gap::is_closed);
        let asked = frontier.open && !closed;
        if sound && (asked || gap.is_some_and(|gap| lane.calls_for_session(gap, timing))) {
            return self.open_session(peer, number, context);
        }
        // Trees over different parts have different roots.
        let compares = sound && closed && !lane.meeting.is_partial();
        let (Some(theirs), true) = (frontier.root, compares) else { return };
        let ours = partition.cells.root();
        if theirs == (ours.digest, ours.count) {
            self.lane(peer, number, |lane| lane.agreed = Some(ours));
        } else {
            // Both have applied the same and hold something else: the safety net.
            self.open_session(peer, number, context);
        }
    }

    /// Sends every peer what it lacks, as far as it is durable here.
    pub(super) fn pump_all(&mut self, context: &mut Context<'_>) {
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            for partition in 0..context.replica.config.partitions {
                self.pump(node, partition, context);
            }
        }
    }

    /// Sends a peer the entries it lacks in one partition, up to the window.
    pub(super) fn pump(&mut self, peer: NodeId, number: u16, context: &mut Context<'_>) {
        if self.peers.get(&peer).is_some_and(|known| known.told_writer != Some(context.replica.id)) {
            self.advertise(peer, number, context);
        }
        let timing = context.replica.config.timing;
        let partition = context.replica.partition(number);
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        let lane = &mut known.lanes[usize::from(number)];
        let in_session = self.sessions.get(&number).is_some_and(|session| session.peer == peer);
        let Some(gap) = lane.gap(&partition.histories) else {
            return;
        };
        let by_session = lane.calls_for_session(gap, &timing);
        if in_session || gap.missing_there == 0 || (by_session && !lane.has_failed()) {
            return;
        }
        let undivided = partition.undivided();
        let mut window =
            context.replica.config.limits.send_window.saturating_sub(lane.in_flight(&partition.histories));
        for (origin, history) in partition.histories.iter() {
            let arrived = self.advanced.get(&(number, origin));
            let too_fresh = arrived.is_some_and(|at| context.now.instant.since(*at) < timing.relay_after);
            let at_odds = lane.forked.contains(&origin) || undivided.iter().any(|job| job.segment == origin);
            let is_taken = !at_odds
                && partition.histories.is_whole(origin)
                && !lane.unwanted.contains(&origin)
                && !history.is_branch();
            if !is_taken || (origin != context.replica.id && too_fresh) {
                continue;
            }
            loop {
                let cursor = lane.cursor(origin);
                #[cfg(feature = "_planted_bugs")]
                let cursor = if context.replica.has_bug(crate::PlantedBug::LogFloorIgnored) {
                    cursor.max(history.floor().sequence)
                } else {
                    cursor
                };
                let budget = window.min(context.replica.config.limits.part_size);
                if !known.scope.is_everything() {
                    let whose = (origin, history);
                    let durable = context.outbox.durable();
                    let scope = known.scope.clone();
                    #[cfg(feature = "_planted_bugs")]
                    let scope = if context.replica.has_bug(crate::PlantedBug::ScopeIgnoredOnSend) {
                        crate::scope::Scope::everything()
                    } else {
                        scope
                    };
                    let Some(excerpt) = partition.next_excerpt(whose, cursor, &scope, budget, durable) else {
                        break;
                    };
                    window -= excerpt.bytes().min(window);
                    lane.sent_up_to(origin, excerpt.last().sequence, context.now.instant);
                    context.outbox.send(known.link, &Message::Excerpt(excerpt), Lsn::ZERO);
                    continue;
                }
                let Some(run) = next_run(number, origin, cursor, history, budget, context.outbox.durable())
                else {
                    break;
                };
                window -= run.entries.iter().map(|entry| entry.len()).sum::<usize>().min(window);
                lane.sent_up_to(origin, cursor + run.entries.len() as u64, context.now.instant);
                context.outbox.send(known.link, &Message::Run(run), Lsn::ZERO);
            }
        }
    }

    /// Tells a peer how far this node is, if it does not know or may have missed it, and asks for the same: what
    /// the peer said last may have been lost, too.
    pub(super) fn heartbeat(&mut self, peer: NodeId, number: u16, context: &mut Context<'_>) {
        let partition = context.replica.partition(number);
        let heads = partition.heads();
        let (now, timing) = (context.now.instant, &context.replica.config.timing);
        let keep_alive = timing.keep_alive;
        let stale = self.lane(peer, number, |lane| {
            lane.tire(now, timing.session_timeout);
            let quiet = now.since(lane.told) >= keep_alive;
            quiet || lane.advertised.as_ref() != Some(&heads) || !lane.is_level(partition)
        });
        if stale == Some(true) {
            self.tell_frontier(peer, number, true, context);
        }
        self.repeat_forks(peer, number, stale == Some(true), context);
        self.report_level(peer, number, context);
    }

    /// Says so when a lane has become level, once for every state of this node in which it is.
    pub(super) fn report_level(&mut self, peer: NodeId, number: u16, context: &mut Context<'_>) {
        let partition = context.replica.partition(number);
        let at = context.replica.journal.last();
        let news = self.lane(peer, number, |lane| {
            lane.is_level(partition) && lane.reported_level.replace(at) != Some(at)
        });
        if news == Some(true) {
            context.outbox.event(Event::InSync { peer, partition: number });
        }
    }

    /// What was sent long ago and is not acknowledged counts as lost.
    pub(super) fn resend_unacknowledged(&mut self, context: &mut Context<'_>) {
        let now = context.now.instant;
        let patience = context.replica.config.timing.resend_after;
        for lane in self.peers.values_mut().flat_map(|peer| &mut peer.lanes) {
            if lane.awaits_acknowledgement() && now.since(lane.progressed) >= patience {
                lane.rewind(now);
            }
        }
    }
}

/// The next entries of an origin for a peer that has everything up to `cursor`.
fn next_run(
    partition: u16,
    origin: ReplicaId,
    cursor: u64,
    history: &crate::history::History,
    budget: usize,
    durable: Lsn,
) -> Option<Run> {
    let after = history.at(cursor)?;
    let mut bytes = 0;
    let mut chain = after.chain;
    let mut entries = Vec::new();
    for retained in history.after(cursor)?.take_while(|retained| retained.lsn <= durable) {
        bytes += retained.bytes.len();
        if bytes > budget && (!entries.is_empty() || budget == 0) {
            break;
        }
        entries.push(retained.bytes.clone());
        chain = retained.chain;
    }
    (!entries.is_empty()).then_some(Run { partition, origin, after, entries, chain })
}

fn check_order(frontier: &Frontier, context: &Context<'_>) -> Result<(), PeerError> {
    let ascending = frontier.origins.windows(2).all(|pair| pair[0].origin < pair[1].origin);
    let sound = frontier
        .origins
        .iter()
        .all(|status| status.floor <= status.head.sequence && check_position(status.head).is_ok());
    let limit = context.replica.config.limits.max_origins;
    let refused = &frontier.refused;
    let refused = refused.len() <= limit && refused.windows(2).all(|pair| pair[0] < pair[1]);
    if ascending && sound && refused && frontier.origins.len() <= limit {
        Ok(())
    } else {
        Err(PeerError::Disorder { what: "the list of origins" })
    }
}
