//! A turn laid out over frames: wants first, then an entry for each range that differs; several
//! small entries in one frame, or one long list over several.

use alloc::vec::Vec;

use super::link::Link;
use crate::merkle::frame::{index_set, varint};
use crate::range::Limits;
use crate::range::frame::{
    FLAG_MORE, FLAG_PARTIAL, FLAG_WANTS, KIND_ALL, KIND_LIST, LIST_HEAD, MEMBER, OVERHEAD,
    POSITIONS_PER_BYTE, Tag, WANTS_HEAD,
};

pub(super) struct TurnWriter<'a> {
    link: &'a mut Link,
    limits: &'a Limits,
    width: u8,
    /// The first question that the sent frames leave open.
    answered: u32,
    /// The frame under construction: wants, the questions about differing ranges, and their answers.
    wants: Vec<u8>,
    positions: Vec<u32>,
    entries: Vec<u8>,
}

impl<'a> TurnWriter<'a> {
    pub(super) fn new(link: &'a mut Link, limits: &'a Limits, width: u8) -> Self {
        let (wants, positions, entries) = Default::default();
        Self { link, limits, width, answered: 0, wants, positions, entries }
    }

    /// Says which of the `listed` items are wanted, and how many will be sent.
    pub(super) fn wants(&mut self, wanted: &[u32], listed: u32, sending: usize) {
        let per_frame = u32::try_from((self.budget() - WANTS_HEAD) * POSITIONS_PER_BYTE).unwrap_or(u32::MAX);
        let mut sending = u32::try_from(sending).unwrap_or(u32::MAX);
        let (mut rest, mut covered) = (wanted, 0);
        loop {
            let end = listed.min(covered + per_frame);
            let (now, later) = rest.split_at(rest.partition_point(|position| *position < end));
            index_set::write(&mut self.wants, end - covered, now.iter().map(|position| position - covered));
            varint::write(&mut self.wants, core::mem::take(&mut sending));
            (rest, covered) = (later, end);
            if covered == listed {
                return;
            }
            self.flush(0, 0);
        }
    }

    /// Says that the peer gets all of a range; or nothing, and `false`, if there is no room.
    pub(super) fn all(&mut self, position: u32, count: u32) -> bool {
        let mut entry = Vec::new();
        varint::write(&mut entry, KIND_ALL);
        varint::write(&mut entry, count);
        let is_told = entry.len() <= self.room_for_entry();
        if is_told {
            self.entry(position, &entry);
        }
        is_told
    }

    /// Adds a split, which fits in [`TurnWriter::room_for_entry`].
    pub(super) fn split(&mut self, position: u32, entry: &[u8]) {
        self.entry(position, entry);
    }

    /// Lists the items of a range; or nothing, and `false`, if there is no room.
    pub(super) fn list(&mut self, position: u32, list: impl ExactSizeIterator<Item = u64>) -> bool {
        let width = usize::from(self.width);
        let needed = list.len() * width;
        // Each frame that a long list takes has some bytes of its own.
        let frames = needed / (self.budget() / 2) + 1;
        if needed + frames * (OVERHEAD + LIST_HEAD) + MEMBER > self.allowance() {
            return false;
        }
        if self.room() < MEMBER + LIST_HEAD + width {
            self.flush(0, self.end());
        }
        self.positions.push(position);
        varint::write(&mut self.entries, KIND_LIST);
        let mut list = list.peekable();
        loop {
            let fitting = (self.room().saturating_sub(LIST_HEAD) / width).min(list.len());
            varint::write(&mut self.entries, u32::try_from(fitting).unwrap_or(u32::MAX));
            for fingerprint in list.by_ref().take(fitting) {
                self.entries.extend_from_slice(&fingerprint.to_be_bytes()[8 - width.min(8)..]);
            }
            if list.peek().is_none() {
                return true;
            }
            self.flush(FLAG_MORE, self.end());
        }
    }

    /// The longest entry that a frame, and the bound on amplification, have room for.
    pub(super) fn room_for_entry(&self) -> usize {
        let in_frame = self.budget() - MEMBER;
        in_frame.min(self.allowance().saturating_sub(OVERHEAD + MEMBER))
    }

    /// Sends the last frame, which answers all of the `asked` questions. `partial` says that
    /// differing ranges were left out.
    pub(super) fn finish(mut self, asked: u32, partial: bool) {
        self.flush(if partial { FLAG_PARTIAL } else { 0 }, asked);
    }

    fn entry(&mut self, position: u32, entry: &[u8]) {
        if self.room() < MEMBER + entry.len() {
            self.flush(0, self.end());
        }
        self.positions.push(position);
        self.entries.extend_from_slice(entry);
    }

    fn flush(&mut self, flags: u8, end: u32) {
        let answered = core::mem::replace(&mut self.answered, end);
        let mut frame = self.link.frame(Tag::Answers);
        frame.push(if self.wants.is_empty() { flags } else { flags | FLAG_WANTS });
        frame.append(&mut self.wants);
        let positions = self.positions.iter().map(|position| position - answered);
        index_set::write(&mut frame, end - answered, positions);
        frame.push(self.width);
        frame.append(&mut self.entries);
        self.positions.clear();
        self.link.send(frame);
    }

    /// The first question behind the entries so far.
    fn end(&self) -> u32 {
        self.positions.last().map_or(self.answered, |last| last + 1)
    }

    /// The bytes of a frame for wants, positions and entries.
    fn budget(&self) -> usize {
        self.limits.max_frame - OVERHEAD
    }

    fn room(&self) -> usize {
        self.budget().saturating_sub(self.pending())
    }

    fn pending(&self) -> usize {
        self.wants.len() + self.positions.len() * MEMBER + self.entries.len()
    }

    /// What the bound on amplification leaves, less the frame under construction and a last one.
    fn allowance(&self) -> usize {
        let left = usize::try_from(self.link.allowance(self.limits)).unwrap_or(usize::MAX);
        left.saturating_sub(self.pending() + 2 * OVERHEAD)
    }
}
