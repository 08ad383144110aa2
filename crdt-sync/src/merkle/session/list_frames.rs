//! Item lists laid out over frames: several small lists in one frame, or one long list over several.

use alloc::vec::Vec;

use super::link::Link;
use super::lists::Listed;
use crate::merkle::frame::{self, FLAG_CUT, FLAG_MORE, FLAG_PARTIAL, LIST_HEAD, MEMBER, OVERHEAD, Tag};

pub(super) struct ListFrames<'a> {
    link: &'a mut Link,
    /// The bytes of a frame for its set and its lists.
    budget: usize,
    width: u8,
    parameter: u8,
    /// The first question that the sent frames leave open.
    answered: u32,
    /// The frame under construction: the questions about differing nodes, and the lists.
    positions: Vec<u32>,
    lists: Vec<u8>,
    /// The last entry of the latest list.
    latest: u64,
}

impl<'a> ListFrames<'a> {
    /// For fingerprints of `width` bits, about `per_list` in each list. No single entry may take more
    /// than about half a frame, however uneven the lists are.
    pub(super) fn new(link: &'a mut Link, budget: usize, width: u8, per_list: u64) -> Self {
        let most = 1 << (4 * budget.max(1)).ilog2();
        let parameter = frame::list_parameter(width, per_list.min(most));
        Self {
            link,
            budget,
            width,
            parameter,
            answered: 0,
            positions: Vec::new(),
            lists: Vec::new(),
            latest: 0,
        }
    }

    /// Adds the list of the node that the question at `position` was about.
    pub(super) fn add(&mut self, position: u32, list: &[Listed]) {
        if self.room() < MEMBER + LIST_HEAD || self.fitting(list, 0) == 0 && !list.is_empty() {
            self.flush(0, self.end());
        }
        self.positions.push(position);
        self.latest = 0;
        self.write(list);
    }

    /// Goes on with the latest list.
    pub(super) fn go_on(&mut self, list: &[Listed]) {
        if !list.is_empty() {
            self.flush(FLAG_MORE, self.end());
            self.write(list);
        }
    }

    fn write(&mut self, list: &[Listed]) {
        let mut rest = list;
        loop {
            let (now, later) = rest.split_at(self.fitting(rest, self.latest));
            let numbers = now.iter().map(|(fingerprint, _)| *fingerprint);
            frame::write_list(&mut self.lists, self.parameter, self.latest, numbers);
            self.latest = now.last().map_or(self.latest, |(last, _)| *last);
            if later.is_empty() {
                break;
            }
            self.flush(FLAG_MORE, self.end());
            rest = later;
        }
    }

    /// Sends the last frame, which answers all of the `asked` questions. `cut` says that the last
    /// list is not whole, `partial` that differing nodes were left out.
    pub(super) fn finish(mut self, asked: u32, cut: bool, partial: bool) {
        let flags = if cut { FLAG_CUT | FLAG_PARTIAL } else { 0 } | if partial { FLAG_PARTIAL } else { 0 };
        self.flush(flags, asked);
    }

    /// How many of the first entries fit into the frame.
    fn fitting(&self, list: &[Listed], from: u64) -> usize {
        let mut room = 8 * self.room().saturating_sub(LIST_HEAD + MEMBER) as u64;
        let Some((highest, _)) = list.last() else { return 0 };
        let most =
            ((highest - from) >> self.parameter) + list.len() as u64 * frame::gap_len(0, self.parameter);
        if most <= room {
            return list.len();
        }
        let mut latest = from;
        let fits = |(fingerprint, _): &&Listed| {
            let gap = fingerprint - core::mem::replace(&mut latest, *fingerprint);
            let left = room.checked_sub(frame::gap_len(gap, self.parameter));
            room = left.unwrap_or(room);
            left.is_some()
        };
        list.iter().take_while(fits).count()
    }

    fn flush(&mut self, flags: u8, end: u32) {
        let answered = core::mem::replace(&mut self.answered, end);
        let mut frame = self.link.frame(Tag::Items);
        frame.reserve(OVERHEAD + self.positions.len() * MEMBER + self.lists.len());
        frame.byte(flags);
        frame.set(end - answered, self.positions.iter().map(|position| position - answered));
        frame.byte(self.width);
        frame.byte(self.parameter);
        frame.bytes(&self.lists);
        self.link.send(frame);
        self.positions.clear();
        self.lists.clear();
    }

    fn end(&self) -> u32 {
        self.positions.last().map_or(self.answered, |last| last + 1)
    }

    fn room(&self) -> usize {
        self.budget.saturating_sub(self.lists.len() + self.positions.len() * MEMBER)
    }
}
