//! Item lists laid out over frames: several small lists in one frame, or one long list over several.

use alloc::vec::Vec;

use super::link::Link;
use super::lists::Listed;
use crate::merkle::frame::{self, FLAG_CUT, FLAG_MORE, FLAG_PARTIAL, LIST_HEAD, MEMBER, Tag};

pub(super) struct ListFrames<'a> {
    link: &'a mut Link,
    /// The bytes of a frame for its set and its lists.
    budget: usize,
    width: u8,
    /// The first question that the sent frames leave open.
    answered: u32,
    /// The frame under construction: the questions about differing nodes, and the lists.
    positions: Vec<u32>,
    lists: Vec<u8>,
}

impl<'a> ListFrames<'a> {
    pub(super) fn new(link: &'a mut Link, budget: usize, width: u8) -> Self {
        Self { link, budget, width, answered: 0, positions: Vec::new(), lists: Vec::new() }
    }

    /// Adds the list of the node that the question at `position` was about.
    pub(super) fn add(&mut self, position: u32, list: &[Listed]) {
        let width = usize::from(self.width);
        if self.room() < MEMBER + LIST_HEAD + width {
            self.flush(0, self.end());
        }
        self.positions.push(position);
        let mut rest = list;
        loop {
            let fitting = self.room().saturating_sub(LIST_HEAD) / width;
            let (now, later) = rest.split_at(rest.len().min(fitting));
            frame::write_list(&mut self.lists, self.width, now.iter().map(|(fingerprint, _)| *fingerprint));
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

    fn flush(&mut self, flags: u8, end: u32) {
        let answered = core::mem::replace(&mut self.answered, end);
        let mut frame = self.link.frame(Tag::Items);
        frame.byte(flags);
        frame.set(end - answered, self.positions.iter().map(|position| position - answered));
        frame.byte(self.width);
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
