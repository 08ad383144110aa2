//! Forks: finding where two histories of one identity part, telling everybody, and dividing what is held.
//!
//! ```text
//! one side                                       the other
//!   Trace {positions}               ->                                (a chain value differed)
//!                                   <-           Trace {positions}    (between the last equal and the first other)
//!   Known {cuts}                   <->           Known {cuts}         (found; and whenever frontiers name other forks)
//!   Ask {floor}                     ->                                (the entries above the cut are not held here)
//!                                   <-           Lesson {entries}
//! ```
//!
//! All of it may be lost, doubled or late: traces narrow down from whatever they name, knowledge only grows, and what
//! is still open is said again with the heartbeat. While two sides know different forks, or either could not carry
//! out what it knows, they open no session over the partition.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crdt_core::ReplicaId;
use replication_log::Lsn;

use super::MultiLeader;
use super::lane::Lane;
use crate::engine::{Context, Event, PeerError};
use crate::entry::Position;
use crate::history::History;
use crate::limits::Limits;
use crate::node::NodeId;
use crate::replica::{Divided, Partition, RunError};
use crate::time::Instant;
use crate::wire::{Cut, Fork, ForkWord, KnownForks, Message};

/// Positions in one trace: each answer narrows the search to one part in as many.
const SAMPLES: u64 = 64;

/// What a trace shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trail {
    /// Both histories share this position and no later one.
    Cut(Position),
    /// They part somewhere between these sequences, both of which are known here.
    Between(u64, u64),
    /// They part below what one of them still knows.
    Forgotten,
    /// Nothing speaks for two histories.
    Same,
}

impl MultiLeader {
    /// A peer said something about forks.
    pub(super) fn on_fork(
        &mut self,
        peer: NodeId,
        fork: Fork,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let number = fork.partition;
        super::check_partition(number, context)?;
        if self.lane(peer, number, |lane| lane.meeting.is_partial()) == Some(true) {
            return Err(PeerError::Unexpected { what: "a word about forks to or from a partial replica" });
        }
        match fork.word {
            ForkWord::Trace { origin, samples } => {
                let ascending = samples.windows(2).all(|pair| pair[0].sequence < pair[1].sequence);
                if !ascending || samples.len() as u64 > SAMPLES + 1 {
                    return Err(PeerError::Disorder { what: "the positions of a trace" });
                }
                let heads: Vec<_> = samples.last().map(|last| (origin, *last)).into_iter().collect();
                renew_if_outrun(number, &heads, context);
                self.follow(peer, number, origin, &samples, context);
            }
            // While a session is open nothing may change its name; frontiers tell of it again afterwards.
            ForkWord::Known(_) | ForkWord::Lesson { .. } if self.sessions.contains_key(&number) => {}
            ForkWord::Known(known) => match self.learn_forks(number, &known, context) {
                // As many as may be are known: these stay fenced.
                Err(RunError::TooManyForks { .. }) => {
                    let roots: Vec<_> = known.cuts.iter().map(|(cut, _)| cut.root).collect();
                    for origin in roots {
                        self.give_up(peer, number, origin, context);
                    }
                }
                learned => learned?,
            },
            ForkWord::Ask { segment, after, head } => {
                renew_if_outrun(number, &[(segment, head)], context);
                self.teach(peer, number, segment, after, head, context);
            }
            ForkWord::Lesson { segment, run } => {
                let (filled, divided) = context.replica.take_lesson(number, segment, &run)?;
                if filled {
                    for lane in
                        self.peers.values_mut().filter_map(|peer| peer.lanes.get_mut(usize::from(number)))
                    {
                        lane.hopeless.remove(&segment);
                    }
                }
                if !divided.is_empty() {
                    self.after_change(number, &divided, context);
                }
            }
        }
        Ok(())
    }

    /// Sends positions of this node's history of an identity of which the peer has another.
    pub(super) fn trace(&self, peer: NodeId, number: u16, origin: ReplicaId, context: &mut Context<'_>) {
        if let Some(history) = context.replica.partition(number).histories.get(origin) {
            let samples = samples_of(history, history.floor().sequence, history.head().sequence);
            self.say_of_forks(peer, number, ForkWord::Trace { origin, samples }, context);
        }
    }

    fn follow(
        &mut self,
        peer: NodeId,
        number: u16,
        origin: ReplicaId,
        samples: &[Position],
        context: &mut Context<'_>,
    ) {
        let Some(history) = context.replica.partition(number).histories.get(origin) else { return };
        match trail(history, samples) {
            Trail::Between(low, high) => {
                let samples = samples_of(history, low, high);
                self.say_of_forks(peer, number, ForkWord::Trace { origin, samples }, context);
            }
            Trail::Forgotten => {
                self.forked(peer, number, origin, context);
                let told = self.lane(peer, number, |lane| lane.hopeless.contains(&origin));
                if told == Some(false) {
                    self.give_up(peer, number, origin, context);
                    // The other side finds as little below its first position once it is shown what stands there here.
                    let first = samples.first().map_or(0, |first| first.sequence);
                    let samples = history_at(number, origin, first, context);
                    self.say_of_forks(peer, number, ForkWord::Trace { origin, samples }, context);
                }
            }
            Trail::Cut(after) if !self.sessions.contains_key(&number) => {
                self.forked(peer, number, origin, context);
                let root = context.replica.partition(number).forks.root_of(origin);
                let cuts = Vec::from([(Cut { after, root }, Vec::from([origin]))]);
                let known = KnownForks { cuts, ..KnownForks::default() };
                // More forks than may be known: this one stays fenced.
                if self.learn_forks(number, &known, context).is_err() {
                    self.give_up(peer, number, origin, context);
                }
            }
            Trail::Cut(_) | Trail::Same => {}
        }
    }

    /// The peer holds what this node holds of an identity, and both know the same forks. If it was forked, one of the
    /// two has gone over to the other's history meanwhile, in a session with a third.
    pub(super) fn is_one_again(&mut self, peer: NodeId, number: u16, origin: ReplicaId) {
        self.lane(peer, number, |lane| {
            if !lane.at_odds && lane.forked.remove(&origin) {
                lane.hopeless.remove(&origin);
            }
        });
    }

    /// A fork cannot be healed with a peer, as things are.
    pub(super) fn give_up(
        &mut self,
        peer: NodeId,
        number: u16,
        origin: ReplicaId,
        context: &mut Context<'_>,
    ) {
        let news = self.lane(peer, number, |lane| lane.hopeless.insert(origin));
        if news == Some(true) {
            context.outbox.event(Event::ForkNotHealed { peer, origin, partition: number });
        }
    }

    fn learn_forks(
        &mut self,
        number: u16,
        known: &KnownForks,
        context: &mut Context<'_>,
    ) -> Result<(), RunError> {
        let (changed, divided) = context.replica.learn_forks(number, known)?;
        if changed {
            self.after_change(number, &divided, context);
        }
        Ok(())
    }

    /// More is known of forks: the own identity may be one of them, and everybody hears of it.
    fn after_change(&mut self, number: u16, divided: &[Divided], context: &mut Context<'_>) {
        for &Divided { segment, after, branch } in divided {
            let (origin, partition) = (segment, number);
            context.outbox.event(Event::ForkHealed { origin, partition, after, branch });
        }
        for job in context.replica.partition(number).undivided() {
            let (origin, after) = (job.segment, job.after.sequence);
            context.outbox.event(Event::BranchNotDivided { origin, partition: number, after });
        }
        if context.replica.partition(number).forks.is_burnt(context.replica.id) {
            super::renew_identity(context);
        }
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        let forks = &context.replica.partition(number).forks;
        for node in &nodes {
            self.lane(*node, number, |lane| {
                lane.at_odds = true;
                lane.forked.retain(|origin| !forks.is_burnt(*origin));
                lane.hopeless.retain(|origin| !forks.is_burnt(*origin));
                lane.forget_sent(|origin| forks.is_burnt(origin));
            });
        }
        for node in nodes {
            self.tell_forks(node, number, context);
            self.advertise(node, number, context);
        }
    }

    /// Tells a peer all that is known of forks.
    pub(super) fn tell_forks(&mut self, peer: NodeId, number: u16, context: &mut Context<'_>) {
        let now = context.now.instant;
        self.lane(peer, number, |lane| lane.forks_told = Some(now));
        let known = context.replica.partition(number).forks.known();
        for part in parts_of(known, &context.replica.config.limits) {
            self.say_of_forks(peer, number, ForkWord::Known(part), context);
        }
    }

    /// A peer's frontier says which forks it knows and has carried out.
    pub(super) fn compare_forks(
        &mut self,
        peer: NodeId,
        number: u16,
        theirs: [u8; 16],
        context: &mut Context<'_>,
    ) {
        let ours = context.replica.partition(number).forks_carried_out();
        let (now, patience) = (context.now.instant, context.replica.config.timing.heartbeat / 2);
        let fenced = self.lane(peer, number, |lane| {
            let news = lane.meeting.is_partial() && theirs != ours && !lane.fenced;
            lane.fenced |= news;
            news
        });
        if fenced == Some(true) {
            context.outbox.event(Event::PartialFenced { peer, partition: number });
        }
        let must_tell = self.lane(peer, number, |lane| {
            lane.at_odds = theirs != ours;
            lane.at_odds && lane.forks_told.is_none_or(|told| now.since(told) >= patience)
        });
        let knows_any = !context.replica.partition(number).forks.known().is_empty();
        if must_tell == Some(true) && knows_any {
            self.tell_forks(peer, number, context);
        }
    }

    /// What is still open of forks is said again.
    /// Entries of branches that came as states are asked for as well, `if_any` are lacking: they show a fork within.
    pub(super) fn repeat_forks(
        &mut self,
        peer: NodeId,
        number: u16,
        if_any: bool,
        context: &mut Context<'_>,
    ) {
        let open = self.lane(peer, number, |lane| {
            let open = lane.forked.iter().filter(|origin| !lane.hopeless.contains(*origin));
            open.copied().collect::<Vec<_>>()
        });
        for origin in open.unwrap_or_default() {
            self.trace(peer, number, origin, context);
        }
        self.give_up_unproven(peer, number, context);
        let partition = context.replica.partition(number);
        let lanes = self.peers.values().filter_map(|peer| peer.lanes.get(usize::from(number)));
        // Of a fork whose place is not found entries are wanted from the beginning, of any other from the cut.
        let mut wanted: BTreeMap<ReplicaId, u64> =
            lanes.flat_map(|lane| &lane.forked).map(|origin| (*origin, 0)).collect();
        let mut lanes = self.peers.values().filter_map(|peer| peer.lanes.get(usize::from(number)));
        let unproven = lanes.any(|lane| !lane.unproven.is_empty());
        let has_room = partition.histories.retained_bytes() < context.replica.config.limits.max_retained / 2;
        if unproven || (if_any && has_room) {
            wanted.extend(partition.forks.branches());
        }
        for job in partition.undivided() {
            wanted.entry(job.segment).or_insert(job.after.sequence);
        }
        let asks = wanted.into_iter().filter_map(|(segment, after)| {
            let after = partition.forks.start_of(segment).unwrap_or(after);
            let history = partition.histories.get(segment)?;
            // What lies above the floor is held here: who has none of what lies below it need not answer.
            let head = history.floor();
            (head.sequence > after).then_some(ForkWord::Ask { segment, after, head })
        });
        let asks: Vec<ForkWord> = asks.collect();
        for ask in asks {
            self.say_of_forks(peer, number, ask, context);
        }
    }

    /// Nobody has sent the entries of a branch that would tell whether the peer has its beginning.
    fn give_up_unproven(&mut self, peer: NodeId, number: u16, context: &mut Context<'_>) {
        let (now, patience) = (context.now.instant, context.replica.config.timing.session_timeout);
        let unproven = self.lane(peer, number, |lane| {
            let is_late = lane.unproven_since.is_some_and(|since| now.since(since) >= patience);
            if is_late { lane.unproven.clone() } else { BTreeSet::new() }
        });
        for origin in unproven.unwrap_or_default() {
            self.give_up(peer, number, origin, context);
        }
    }

    /// Sends the entries that a peer lacks to divide a history, if they are held here.
    fn teach(
        &self,
        peer: NodeId,
        number: u16,
        segment: ReplicaId,
        after: u64,
        head: Position,
        context: &mut Context<'_>,
    ) {
        let partition = context.replica.partition(number);
        let run = partition.lineage(partition.forks.root_of(segment), after, head);
        let size = |run: &crate::wire::Run| run.entries.iter().map(|entry| entry.len()).sum::<usize>();
        if let Some(run) = run.filter(|run| size(run) <= context.replica.config.limits.max_batch) {
            self.say_of_forks(peer, number, ForkWord::Lesson { segment, run }, context);
        }
    }

    /// Nothing is said to or by a partial replica: what is known of forks names keys, and it could not divide anything.
    fn say_of_forks(&self, peer: NodeId, partition: u16, word: ForkWord, context: &mut Context<'_>) {
        let is_whole = |peer: &&super::Peer| peer.lanes.iter().all(|lane| !lane.meeting.is_partial());
        if let Some(peer) = self.peers.get(&peer).filter(is_whole) {
            let after: Lsn = context.replica.journal.last();
            context.outbox.send(peer.link, &Message::Fork(Fork { partition, word }), after);
        }
    }
}

/// Somebody knows writes of this node that it does not know itself: a backup was restored.
fn renew_if_outrun(number: u16, heads: &[(ReplicaId, Position)], context: &mut Context<'_>) {
    if context.replica.is_outrun_by(number, heads) {
        super::renew_identity(context);
    }
}

impl Partition {
    /// The branches of which a peer holds less than this node, which cannot tell whether that is the beginning of its
    /// own: it got the branch as states, without entries.
    pub(super) fn unproven(&self, heads: &[(ReplicaId, Position)]) -> BTreeSet<ReplicaId> {
        let is_unproven = |(origin, head): &&(ReplicaId, Position)| {
            let history = self.histories.get(*origin).filter(|_| self.forks.start_of(*origin).is_some());
            history.is_some_and(|history| {
                head.sequence < history.head().sequence && history.at(head.sequence).is_none()
            })
        };
        heads.iter().filter(is_unproven).map(|(origin, _)| *origin).collect()
    }

    /// Stands for what is known of forks and was carried out: two nodes that name everything alike share it.
    pub(super) fn forks_carried_out(&self) -> [u8; 16] {
        let digest = self.forks.digest();
        // Nobody who has carried it out says the opposite.
        if self.undivided().is_empty() { digest } else { digest.map(|byte| !byte) }
    }
}

impl Lane {
    /// These branches cannot be compared with what the peer has of them.
    pub(super) fn note_unproven(&mut self, unproven: BTreeSet<ReplicaId>, now: Instant) {
        self.hopeless.retain(|origin| !self.unproven.contains(origin) || unproven.contains(origin));
        self.unproven_since = self.unproven_since.or(Some(now)).filter(|_| !unproven.is_empty());
        self.unproven = unproven;
    }

    /// Whether entries, states and positions mean the same on both sides.
    pub(super) fn is_sound(&self) -> bool {
        self.forked.is_empty() && self.unproven.is_empty() && !self.at_odds
    }
}

/// What the positions of another history show when compared with this one.
fn trail(history: &History, samples: &[Position]) -> Trail {
    let (mut low, mut high) = (None, None);
    for sample in samples {
        match history.at(sample.sequence) {
            Some(known) if known == *sample => low = Some(known),
            Some(_) => {
                high = high.or(Some(sample.sequence));
            }
            None => {}
        }
    }
    let head = history.head().sequence;
    match (low, high) {
        (Some(low), Some(high)) if high == low.sequence + 1 => Trail::Cut(low),
        (Some(low), Some(high)) => Trail::Between(low.sequence, high),
        (Some(low), None) if low.sequence < head && samples.last() != Some(&low) => {
            Trail::Between(low.sequence, head)
        }
        (Some(_), None) => Trail::Same,
        (None, _) => match samples.first() {
            // The other side knows nothing below its first position, this side nothing below its floor.
            Some(first) if history.at(first.sequence).is_some() => Trail::Forgotten,
            Some(first) if first.sequence < history.floor().sequence => {
                Trail::Between(history.floor().sequence, high.unwrap_or(head))
            }
            _ => Trail::Same,
        },
    }
}

/// The position of an identity at a sequence, if it is known.
fn history_at(number: u16, origin: ReplicaId, sequence: u64, context: &Context<'_>) -> Vec<Position> {
    let history = context.replica.partition(number).histories.get(origin);
    history.and_then(|history| history.at(sequence)).into_iter().collect()
}

/// Positions from `low` to `high`, both included, evenly spaced.
fn samples_of(history: &History, low: u64, high: u64) -> Vec<Position> {
    let step = (high.saturating_sub(low) / (SAMPLES - 1)).max(1);
    let inner = (0..SAMPLES).map(|n| low.saturating_add(n.saturating_mul(step))).take_while(|at| *at < high);
    inner.chain([high]).filter_map(|at| history.at(at)).collect()
}

/// Knowledge in parts that fit in a frame. Cuts come first, and branches with them: a ceiling is taken in only where a
/// cut of its segment is known.
fn parts_of(known: KnownForks, limits: &Limits) -> Vec<KnownForks> {
    let KnownForks { cuts, branches, ceilings } = known;
    let mut parts = Vec::from([KnownForks { cuts, branches, ceilings: Vec::new() }]);
    let mut bytes = 0;
    for ceiling in ceilings {
        let size = ceiling.key.len() + 64;
        bytes += size;
        if bytes > limits.part_size {
            parts.push(KnownForks::default());
            bytes = size;
        }
        if let Some(part) = parts.last_mut() {
            part.ceilings.push(ceiling);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::Collection;
    use crate::wire::Ceiling;

    #[test]
    fn cuts_come_before_ceilings_and_each_part_fits() {
        let limits = Limits { part_size: 1_000, ..Limits::default() };
        let ceiling = |length: usize| Ceiling {
            collection: Collection::counters("counts").id(),
            key: alloc::vec![b'k'; length].into(),
            segment: ReplicaId::from_u128(1),
            incremented: 1,
            decremented: 0,
        };
        let cut = Cut { after: Position::default(), root: ReplicaId::from_u128(1) };
        let ceilings: Vec<_> = [900, 900, 5_000, 100, 100].map(ceiling).into();
        let cuts = Vec::from([(cut, Vec::new())]);
        let known = KnownForks { cuts, ceilings, ..KnownForks::default() };
        let parts = parts_of(known.clone(), &limits);
        assert!(parts[1..].iter().all(|part| part.cuts.is_empty()));
        assert_eq!(parts[0].cuts, known.cuts);
        let lengths: Vec<Vec<usize>> = parts
            .iter()
            .map(|part| part.ceilings.iter().map(|ceiling| ceiling.key.len()).collect())
            .collect();
        assert_eq!(lengths, [&[900][..], &[900], &[5_000], &[100, 100]]);
    }
}
