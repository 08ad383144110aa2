//! What a side of a session sends.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::bytes::Bytes;
use crate::cell::Answer;
use crate::limits::Limits;
use crate::merkle::Root;
use crate::replica::{ItemKey, Joined, Partition};
use crate::wire::{ItemState, SessionStep, StatesPart};

/// What this side sends.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
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
    pub(crate) sent: Option<u32>,
    pub(crate) end: Option<u32>,
    /// Whether everything arrived here, and made the session complete.
    pub(crate) done: Option<bool>,
}

impl Outgoing {
    /// A state of the peer's was joined: what it lacks is sent instead of the whole, and nothing if it lacks nothing.
    /// Answers are kept only up to `max_bytes`; beyond it the whole states are made when their turn comes.
    pub(crate) fn answer(&mut self, joined: Joined, max_bytes: usize) {
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

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether every chosen state is on its way.
    pub(crate) fn is_drained(&self) -> bool {
        self.planned && self.pending.is_empty() && self.started.is_none()
    }

    pub(crate) fn parts(&self) -> u32 {
        self.next
    }

    /// Whether the window has room for another part.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        self.next - self.acknowledged < limits.parts_window
    }

    /// The next part, if the window has room for one. States above the limit are left out and named.
    pub(crate) fn next_part(
        &mut self,
        partition: &Partition,
        limits: &Limits,
        too_large: &mut Vec<(ItemKey, usize)>,
    ) -> Option<StatesPart> {
        if !self.has_room(limits) {
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
            part.items.push(ItemState { key: key.key.clone(), state: piece, more, old: false });
            if more {
                self.started = Some((key, state, end));
                break;
            }
        }
        self.next += u32::from(part.is_some());
        part
    }

    /// A part leaves, and is kept until it is acknowledged.
    pub(super) fn keep(&mut self, part: &StatesPart) {
        self.unacknowledged.insert(part.index, part.clone());
    }

    /// Whether the peer acknowledged any part.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.acknowledged > 0
    }

    /// What the keys sent on this side's own account add to the root of its photographed tree.
    pub(super) fn weight(&self) -> Root {
        self.weight
    }

    /// Whether the comparison said what to send.
    pub(super) fn is_planned(&self) -> bool {
        self.planned
    }

    /// The comparison says which keys to send, ascending, and what each adds to the root. Answers that are made already
    /// stay as they are.
    pub(super) fn plan(&mut self, keys: Vec<(ItemKey, Root)>) {
        self.weight = keys.iter().fold(self.weight, |sum, (_, weight)| sum.with(*weight));
        // Keys come in order, so that the map is built in one go.
        let mut pending: BTreeMap<_, _> = keys.into_iter().map(|(key, _)| (key, None)).collect();
        pending.append(&mut self.pending);
        self.pending = pending;
        self.planned = true;
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
    pub(crate) fn acknowledge(&mut self, parts: u32) -> bool {
        let news = parts > self.acknowledged && parts <= self.next;
        if news {
            self.acknowledged = parts;
            self.unacknowledged = self.unacknowledged.split_off(&parts);
        }
        news
    }

    /// Word that the first `parts` parts are all this side sends on its own account.
    pub(crate) fn said_sent(&self, parts: u32) -> SessionStep {
        SessionStep::Sent { parts, weight: (self.weight.digest, self.weight.count) }
    }

    /// Word that this side sent `parts` parts in all.
    pub(crate) fn said_end(&self, parts: u32) -> SessionStep {
        SessionStep::End { parts, left_out: self.left_out }
    }

    pub(super) fn unanswered(&self) -> impl Iterator<Item = SessionStep> {
        let parts = self.unacknowledged.values().cloned().map(SessionStep::States);
        let sent = self.sent.map(|parts| self.said_sent(parts));
        let end = self.end.map(|parts| self.said_end(parts));
        let done = self.done.map(|complete| SessionStep::Done { complete });
        parts.chain(sent).chain(end).chain(done)
    }
}
