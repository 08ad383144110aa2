//! What a side of a session sends.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::queue::Queue;
use crate::bytes::Bytes;
use crate::cell::Answer;
use crate::limits::Limits;
use crate::merkle::Root;
use crate::replica::{Held, ItemKey, Joined, Partition};
use crate::wire::{ItemState, SessionStep, StatesPart};

/// What this side sends.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    queue: Queue,
    /// Parts sent and not acknowledged.
    unacknowledged: BTreeMap<u32, StatesPart>,
    next: u32,
    acknowledged: u32,
    started: Option<Started>,
    /// States that were not sent because they are too large.
    left_out: bool,
    /// What the keys sent on this side's own account add to the root of its photographed tree.
    weight: Root,
    /// Whether the comparison said what to send.
    planned: bool,
    pub(crate) sent: Option<u32>,
    pub(crate) end: Option<u32>,
    /// Whether everything arrived here, and made the session complete.
    pub(crate) done: Option<bool>,
}

/// A state whose turn it is, or that is too large for a part.
#[derive(Debug)]
struct Started {
    key: ItemKey,
    state: Bytes,
    /// Whether it is no news to the peer.
    old: bool,
    /// How much of it was sent.
    sent: usize,
}

/// What is sent of the states of a partition.
pub(super) struct Sending<'s> {
    pub(super) partition: &'s Partition,
    pub(super) limits: &'s Limits,
    /// Whether what is held under a key is no news to the peer.
    pub(super) is_old: &'s dyn Fn(&ItemKey, &Held) -> bool,
    /// States above the limit, which are left out.
    pub(super) too_large: &'s mut Vec<(ItemKey, usize)>,
}

impl Outgoing {
    /// A state of the peer's was joined: what it lacks is sent instead of the whole, and nothing if it lacks nothing.
    pub(crate) fn answer(&mut self, joined: Joined, max_bytes: usize) {
        self.queue.answer(joined, max_bytes);
    }

    pub(crate) fn pending(&self) -> usize {
        self.queue.len()
    }

    /// Whether every chosen state is on its way.
    pub(crate) fn is_drained(&self) -> bool {
        self.planned && self.queue.len() == 0 && self.started.is_none()
    }

    pub(crate) fn parts(&self) -> u32 {
        self.next
    }

    /// Whether the window has room for another part.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        self.next - self.acknowledged < limits.parts_window
    }

    /// The next part, if the window has room for one.
    pub(super) fn next_part(&mut self, sending: &mut Sending<'_>) -> Option<StatesPart> {
        let limits = sending.limits;
        if !self.has_room(limits) {
            return None;
        }
        let mut part: Option<StatesPart> = None;
        let mut size = 0;
        while size < limits.part_size
            && let Some(Started { key, state, old, sent }) = self.take_next(sending)
        {
            let index = self.next;
            let collection = key.collection;
            let part = part.get_or_insert_with(|| StatesPart {
                index,
                collection,
                items: Vec::new(),
                ahead: Vec::new(),
            });
            if part.collection != collection {
                self.started = Some(Started { key, state, old, sent });
                break;
            }
            let end = state.len().min(sent + limits.part_size - size);
            let more = end < state.len();
            let piece = if sent == 0 && !more { state.clone() } else { Bytes::from(&state[sent..end]) };
            size += key.key.len() + piece.len();
            part.items.push(ItemState { key: key.key.clone(), state: piece, more, old });
            if more {
                self.started = Some(Started { key, state, old, sent: end });
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

    /// The comparison says which keys to send, ascending, and what they add to the root.
    pub(super) fn plan(&mut self, keys: Vec<ItemKey>, weight: Root) {
        self.queue.choose(keys);
        self.weight = weight;
        self.planned = true;
    }

    /// What was begun, or else the next state whose turn it is.
    fn take_next(&mut self, sending: &mut Sending<'_>) -> Option<Started> {
        if let Some(started) = self.started.take() {
            return Some(started);
        }
        loop {
            let (key, answer) = self.queue.pop()?;
            let held = sending.partition.cells.get(&key);
            let state = match answer {
                Answer::Versions(versions) => versions,
                // What was taken out meanwhile is a state of nothing.
                _ => held.map(|held| held.cell.encode(&key.key)).unwrap_or_default(),
            };
            if state.len() <= sending.limits.max_state {
                let old = held.is_some_and(|held| (sending.is_old)(&key, held));
                return Some(Started { key, state, old, sent: 0 });
            }
            self.left_out = true;
            sending.too_large.push((key, state.len()));
        }
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
