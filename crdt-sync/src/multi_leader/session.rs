//! One side of a session: first the trees are compared, then the states that differ are exchanged.
//!
//! ```text
//! initiator                                      responder            (or the other way round, see `holds_back`)
//!   Open {standing}                 ->
//!                                   <-           Accept {standing}
//!   Tree ..                        <->           Tree ..
//!   States 0, 1, ..                 ->                                (of keys that differ)
//!   Sent {parts, weight}            ->
//!                                   <-           States 0, 1, ..      (what those lack, and keys not among them)
//!                                   <-           Sent {parts, weight}
//!   States ..                       ->                                (answers to states that were behind)
//!   End {parts}                    <->           End {parts}
//!   Done                           <->           Done
//! ```
//!
//! Every message may be lost, doubled or late: parts are numbered and acknowledged, and what was not answered
//! is said again.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crdt_core::ReplicaId;
use replication_log::Lsn;

use crate::bytes::Bytes;
use crate::cell::Answer;
use crate::collection::CollectionId;
use crate::engine::{Activity, PeerError, SessionReport};
use crate::entry::Position;
use crate::limits::Limits;
use crate::merkle::{self, Outcome, Root};
use crate::node::NodeId;
use crate::replica::{Coverage, ItemKey, Joined, Partition};
use crate::time::Instant;
use crate::wire::{ItemState, SessionStep, Standing, StatesPart};

/// A session with one peer over one partition.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) peer: NodeId,
    pub(super) id: u64,
    pub(super) initiator: bool,
    /// Where this side stood when its tree was photographed.
    pub(super) ours: Standing,
    /// The last record of this side's log at that moment.
    since: Lsn,
    /// Where the peer stood; known from its first message on.
    pub(super) theirs: Option<Standing>,
    /// Whether the peer's frontier may be taken over, as far as what it may do is concerned.
    pub(super) trusted: bool,
    /// Collections of which states were refused.
    pub(super) refused: BTreeSet<CollectionId>,
    pub(super) tree: TreeTalk,
    pub(super) outgoing: Outgoing,
    pub(super) incoming: Incoming,
    /// When the session last moved on.
    pub(super) progressed: Instant,
    /// When things were last said again.
    pub(super) repeated: Instant,
    pub(super) report: SessionReport,
}

/// The tree comparison, carried over messages that may be lost.
pub(super) struct TreeTalk {
    pub(super) session: merkle::Session,
    /// All frames of this side, to be said again.
    said: Vec<Bytes>,
    /// The next frame expected of the peer.
    heard: u32,
}

/// What this side sends.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Keys that are still to be sent: their whole states, or answers that are made already.
    pending: BTreeMap<ItemKey, Option<Bytes>>,
    /// Keys that were sent, each once.
    begun: BTreeSet<ItemKey>,
    /// Parts sent and not acknowledged.
    unacknowledged: BTreeMap<u32, StatesPart>,
    next: u32,
    acknowledged: u32,
    /// A state that is too large for a part, and how much of it was sent.
    started: Option<(ItemKey, Bytes, usize)>,
    /// States that were not sent because they are too large.
    left_out: bool,
    /// Bytes of the answers in `pending`.
    answers: usize,
    /// What the keys sent on this side's own account add to the root of its photographed tree.
    weight: Root,
    /// Whether the comparison said what to send.
    planned: bool,
    pub(super) sent: Option<u32>,
    pub(super) end: Option<u32>,
    /// Whether everything arrived here, and made the session complete.
    pub(super) done: Option<bool>,
}

/// What the peer sends.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// Parts that arrived, all of them from zero on.
    pub(super) parts: u32,
    /// How many parts the peer sent on its own account, and what their keys add to the root of its tree.
    pub(super) sent: Option<(u32, Root)>,
    /// A state that arrived in part.
    started: Option<(Bytes, Vec<u8>)>,
    /// How many parts the peer sent in all, and whether it left states out.
    pub(super) end: Option<(u32, bool)>,
    /// Whether everything arrived and was dealt with.
    pub(super) complete: bool,
    /// Whether the peer said that everything arrived there, and made the session complete.
    pub(super) done: Option<bool>,
}

impl Session {
    pub(super) fn new(
        peer: NodeId,
        id: u64,
        initiator: bool,
        (ours, since): (Standing, Lsn),
        tree: merkle::Session,
        now: Instant,
    ) -> Self {
        Self {
            peer,
            id,
            initiator,
            ours,
            since,
            theirs: None,
            trusted: true,
            refused: BTreeSet::new(),
            tree: TreeTalk { session: tree, said: Vec::new(), heard: 0 },
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            progressed: now,
            repeated: now,
            report: SessionReport::default(),
        }
    }

    /// Counts this session where it is under way.
    pub(super) fn add_activity(&self, activity: &mut Activity) {
        let stage = match (&self.theirs, self.outgoing.planned, self.outgoing.sent) {
            (None, ..) => &mut activity.opening,
            (_, false, _) => &mut activity.comparing,
            (.., None) => &mut activity.exchanging,
            (.., Some(_)) => &mut activity.concluding,
        };
        *stage += 1;
    }

    /// Everything is said and heard.
    pub(super) fn is_over(&self) -> bool {
        self.incoming.complete && self.incoming.done.is_some() && self.outgoing.done.is_some()
    }

    /// Whether this side waits for the other's states before it sends its own: most of what it would send, those show
    /// to be known there. Of the two it is the one that knows less, or else the responder.
    pub(super) fn holds_back(&self) -> bool {
        let Some(theirs) = &self.theirs else { return true };
        match (covers(&theirs.heads, &self.ours.heads), covers(&self.ours.heads, &theirs.heads)) {
            (true, false) => true,
            (false, true) => false,
            _ => !self.initiator,
        }
    }

    /// How the two sides' frontiers compare, as far as this one knows.
    pub(super) fn coverage(&self) -> Coverage {
        let Some(theirs) = &self.theirs else { return Coverage::default() };
        Coverage {
            here: covers(&self.ours.heads, &theirs.heads),
            there: covers(&theirs.heads, &self.ours.heads),
            lsn: self.since,
        }
    }

    /// Whether both sides took over the other's frontier.
    pub(super) fn brought_together(&self) -> bool {
        self.incoming.done == Some(true) && self.outgoing.done == Some(true)
    }

    /// Whether the states exchanged account for the whole difference of the two trees.
    ///
    /// Digests in the comparison are short and limits may cut it off; but trees are sums, so what is left of each
    /// side's photographed root after taking out the keys it sent must be the same to the last of 128 bits. Only
    /// then may the peer's frontier be taken over: else a key that was missed would count as removed.
    pub(super) fn accounts_for_all(&self) -> bool {
        let (Some(theirs), Some((_, weight)), Some((_, false))) =
            (&self.theirs, self.incoming.sent, self.incoming.end)
        else {
            return false;
        };
        self.trusted && root_of(&self.ours).without(self.outgoing.weight) == root_of(theirs).without(weight)
    }

    /// Once the trees are compared: which states to send. Returns whether that is known now. The comparison is over
    /// then and asks for nothing more, so that nobody looks at the photograph any more.
    pub(super) fn plan(&mut self, partition: &mut Partition) -> bool {
        if self.outgoing.planned {
            return true;
        }
        let Some(outcome) = self.tree.session.outcome() else {
            return false;
        };
        let handles: &[u64] = match outcome {
            Outcome::Converged => &[],
            Outcome::Differs(difference) => &difference.send,
        };
        let mut keys: Vec<_> =
            handles.iter().flat_map(|handle| partition.cells.photographed(*handle)).collect();
        keys.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        self.outgoing.weight = keys.iter().fold(self.outgoing.weight, |sum, (_, weight)| sum.with(*weight));
        // Answers that are made already stay as they are. Keys come in order, so that the map is built in one go.
        let mut pending: BTreeMap<_, _> = keys.into_iter().map(|(key, _)| (key, None)).collect();
        pending.append(&mut self.outgoing.pending);
        self.outgoing.pending = pending;
        self.outgoing.planned = true;
        partition.cells.forget_photograph();
        let stats = self.tree.session.stats();
        self.report.rounds = stats.rounds.into();
        self.report.tree_bytes = stats.bytes_sent + stats.bytes_received;
        true
    }

    /// What to say again when the peer has been silent.
    pub(super) fn unanswered(&self) -> Vec<SessionStep> {
        let mut steps = Vec::new();
        if self.initiator && self.theirs.is_none() {
            steps.push(SessionStep::Open(self.ours.clone()));
        }
        if !self.initiator && (self.tree.heard < 2 || self.outgoing.acknowledged == 0) {
            steps.push(SessionStep::Accept(self.ours.clone()));
        }
        if self.incoming.parts == 0 && self.incoming.sent.is_none() {
            steps.extend(self.tree.all());
        }
        steps.extend(self.outgoing.unanswered());
        steps
    }
}

impl TreeTalk {
    /// The frames this side has to say now.
    pub(super) fn poll(&mut self) -> Vec<SessionStep> {
        let first = self.said.len();
        while let Some(frame) = self.session.poll_frame() {
            self.said.push(frame.into());
        }
        self.all().skip(first).collect()
    }

    /// Takes a frame if it is the next one; says whether it was.
    pub(super) fn hear(
        &mut self,
        index: u32,
        frame: &[u8],
        partition: &Partition,
    ) -> Result<bool, merkle::ProtocolError> {
        if index != self.heard {
            return Ok(false);
        }
        self.heard += 1;
        self.session.handle(frame, &partition.cells)?;
        Ok(true)
    }

    fn all(&self) -> impl Iterator<Item = SessionStep> {
        (0..).zip(&self.said).map(|(index, frame)| SessionStep::Tree { index, frame: frame.clone() })
    }
}

impl core::fmt::Debug for TreeTalk {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TreeTalk")
            .field("said", &self.said.len())
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    /// A state of the peer's was joined: what it lacks is sent instead of the whole, and nothing if it lacks nothing.
    /// Answers are kept only up to `max_bytes`; beyond it the whole states are made when their turn comes.
    pub(super) fn answer(&mut self, joined: Joined, max_bytes: usize) {
        if self.begun.contains(&joined.key) {
            return;
        }
        match joined.answer {
            Answer::Nothing => self.pending.remove(&joined.key),
            Answer::Versions(answer) if self.answers + answer.len() <= max_bytes => {
                self.answers += answer.len();
                self.pending.insert(joined.key, Some(answer))
            }
            Answer::Versions(_) | Answer::Whole => self.pending.insert(joined.key, None),
        };
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether every chosen state is on its way.
    pub(super) fn is_drained(&self) -> bool {
        self.planned && self.pending.is_empty() && self.started.is_none()
    }

    pub(super) fn parts(&self) -> u32 {
        self.next
    }

    /// The next part, if the window has room for one. States above the limit are left out and named.
    pub(super) fn next_part(
        &mut self,
        partition: &Partition,
        stood: &[(ReplicaId, Position)],
        limits: &Limits,
        too_large: &mut Vec<(ItemKey, usize)>,
    ) -> Option<StatesPart> {
        if self.next - self.acknowledged >= limits.parts_window {
            return None;
        }
        let mut part: Option<StatesPart> = None;
        let mut size = 0;
        while size < limits.part_size && self.start_next(partition, limits.max_state, too_large) {
            let Some((key, state, sent)) = self.started.take() else { break };
            let index = self.next;
            let collection = key.collection;
            let part = part.get_or_insert_with(|| StatesPart {
                index,
                collection,
                items: Vec::new(),
                ahead: Vec::new(),
            });
            if part.collection != collection {
                self.started = Some((key, state, sent));
                break;
            }
            let end = state.len().min(sent + limits.part_size - size);
            let more = end < state.len();
            let piece = if sent == 0 && !more { state.clone() } else { Bytes::from(&state[sent..end]) };
            size += key.key.len() + piece.len();
            part.items.push(ItemState { key: key.key.clone(), state: piece, more });
            if more {
                self.started = Some((key, state, end));
                break;
            }
        }
        let mut part = part?;
        part.ahead = partition.ahead_of(stood);
        self.next += 1;
        self.unacknowledged.insert(part.index, part.clone());
        Some(part)
    }

    /// Sees to it that a state is at hand to be sent; false when there is none left.
    fn start_next(
        &mut self,
        partition: &Partition,
        max_state: usize,
        too_large: &mut Vec<(ItemKey, usize)>,
    ) -> bool {
        while self.started.is_none() {
            let Some((item, answer)) = self.pending.pop_first() else { return false };
            self.answers -= answer.as_ref().map_or(0, |answer| answer.len());
            let whole = || partition.cells.get(&item).map(|held| held.cell.encode(&item.key));
            let state = answer.or_else(whole).unwrap_or_default();
            self.begun.insert(item.clone());
            if state.len() > max_state {
                self.left_out = true;
                too_large.push((item, state.len()));
            } else {
                self.started = Some((item, state, 0));
            }
        }
        true
    }

    /// The peer has all parts below this number; returns whether that is news.
    pub(super) fn acknowledge(&mut self, parts: u32) -> bool {
        let news = parts > self.acknowledged && parts <= self.next;
        if news {
            self.acknowledged = parts;
            self.unacknowledged = self.unacknowledged.split_off(&parts);
        }
        news
    }

    /// Word that the first `parts` parts are all this side sends on its own account.
    pub(super) fn said_sent(&self, parts: u32) -> SessionStep {
        SessionStep::Sent { parts, weight: (self.weight.digest, self.weight.count) }
    }

    /// Word that this side sent `parts` parts in all.
    pub(super) fn said_end(&self, parts: u32) -> SessionStep {
        SessionStep::End { parts, left_out: self.left_out }
    }

    fn unanswered(&self) -> impl Iterator<Item = SessionStep> {
        let parts = self.unacknowledged.values().cloned().map(SessionStep::States);
        let sent = self.sent.map(|parts| self.said_sent(parts));
        let end = self.end.map(|parts| self.said_end(parts));
        let done = self.done.map(|complete| SessionStep::Done { complete });
        parts.chain(sent).chain(end).chain(done)
    }
}

impl Incoming {
    /// Whether this is the part that comes next.
    pub(super) fn expects(&self, index: u32) -> bool {
        index == self.parts
    }

    /// The next part arrived: the states that are complete with it.
    pub(super) fn take(&mut self, part: StatesPart, max_state: usize) -> Result<StatesPart, PeerError> {
        let mut whole = StatesPart { items: Vec::with_capacity(part.items.len()), ..part };
        for item in part.items {
            match self.started.take() {
                None if !item.more => whole.items.push(item),
                None => self.started = Some((item.key, item.state.to_vec())),
                Some((key, mut state)) if key == item.key && state.len() + item.state.len() <= max_state => {
                    state.extend_from_slice(&item.state);
                    if item.more {
                        self.started = Some((key, state));
                    } else {
                        whole.items.push(ItemState { state: state.into(), ..item });
                    }
                }
                Some(_) => return Err(PeerError::Disorder { what: "the pieces of a large state" }),
            }
        }
        self.parts += 1;
        Ok(whole)
    }

    /// The peer says how many parts it sends on its own account. It says so once, or the same again.
    pub(super) fn hear_sent(&mut self, parts: u32, weight: Root) -> Result<(), PeerError> {
        match self.sent {
            Some(known) if known != (parts, weight) => {
                Err(PeerError::Disorder { what: "the counts of parts" })
            }
            _ => {
                self.sent = Some((parts, weight));
                Ok(())
            }
        }
    }

    /// The peer says how many parts it sent in all, after it said how many on its own account.
    pub(super) fn hear_end(&mut self, parts: u32, left_out: bool) -> Result<(), PeerError> {
        let early = self.sent.is_some_and(|(sent, _)| parts < sent);
        if early || self.end.is_some_and(|known| known != (parts, left_out)) {
            return Err(PeerError::Disorder { what: "the counts of parts" });
        }
        self.end = Some((parts, left_out));
        Ok(())
    }

    /// The bytes of the state that arrived in part.
    pub(super) fn partial(&self) -> usize {
        self.started.as_ref().map_or(0, |(_, state)| state.len())
    }

    /// Whether all states the peer sent on its own account arrived.
    pub(super) fn has_all_sent(&self) -> bool {
        self.sent.is_some_and(|(sent, _)| self.parts >= sent)
    }

    /// Whether all states the peer sent arrived.
    pub(super) fn has_all(&self) -> bool {
        self.started.is_none() && self.end.is_some_and(|(end, _)| self.parts >= end)
    }
}

fn root_of(standing: &Standing) -> Root {
    Root { digest: standing.root.0, count: standing.root.1 }
}

/// Whether the heads reach everywhere at least as far as the others.
fn covers(heads: &[(ReplicaId, Position)], others: &[(ReplicaId, Position)]) -> bool {
    others.iter().all(|(origin, other)| {
        let at = heads.binary_search_by_key(origin, |(origin, _)| *origin);
        at.is_ok_and(|at| heads[at].1.sequence >= other.sequence)
    })
}
