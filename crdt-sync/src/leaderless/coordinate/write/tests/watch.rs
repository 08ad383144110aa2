//! A write under watch: what it asks for is checked as it comes.

use std::vec::Vec;

use super::super::*;
use super::START;

/// A write and everything it said.
#[derive(Debug, Clone)]
pub(super) struct Watched<N> {
    pub(super) op: WriteOp<N>,
    pub(super) asked: Vec<(N, Option<N>)>,
    pub(super) reply: Option<Result<Report<N>, Unmet<N>>>,
    pub(super) hints: Vec<N>,
    pub(super) over: bool,
    /// Whose acknowledgement was told while it listened.
    pub(super) acknowledged: Vec<N>,
    /// Who acknowledged or was given up.
    settled: Vec<N>,
    now: Instant,
}

impl<N: Ord + Copy + core::fmt::Debug> Watched<N> {
    pub(super) fn new(replicas: Replicas<N>, options: WriteOptions) -> Self {
        let op = WriteOp::new(replicas, options, START).unwrap();
        let mut watched = Self {
            op,
            asked: Vec::new(),
            reply: None,
            hints: Vec::new(),
            over: false,
            acknowledged: Vec::new(),
            settled: Vec::new(),
            now: START,
        };
        watched.drain(START);
        watched
    }

    pub(super) fn acknowledged(&mut self, node: N) {
        if !self.over && self.was_asked(node) {
            self.acknowledged.push(node);
            self.settled.push(node);
        }
        self.op.acknowledged(node, self.now);
        self.drain(self.now);
    }

    pub(super) fn refused(&mut self, node: N) {
        if self.was_asked(node) {
            self.settled.push(node);
        }
        self.op.refused(node, Refusal::Overloaded, self.now);
        self.drain(self.now);
    }

    pub(super) fn unreachable(&mut self, node: N) {
        if self.was_asked(node) {
            self.settled.push(node);
        }
        self.op.unreachable(node, self.now);
        self.drain(self.now);
    }

    pub(super) fn tick(&mut self, now: Instant) {
        let before = self.now;
        self.now = now;
        self.op.tick(now);
        self.drain(before);
    }

    pub(super) fn was_asked(&self, node: N) -> bool {
        self.asked.iter().any(|(asked, _)| *asked == node)
    }

    pub(super) fn reached(&self) -> &Report<N> {
        self.reply.as_ref().unwrap().as_ref().unwrap()
    }

    pub(super) fn unmet(&self) -> &Unmet<N> {
        self.reply.as_ref().unwrap().as_ref().unwrap_err()
    }

    /// The primaries for which nobody has a copy: all that a hint is for, by the plainest reading.
    pub(super) fn without_a_copy(&self, primaries: &[N], coordinator: Option<N>) -> Vec<N> {
        let has_copy = |owner: &N| {
            self.asked.iter().any(|(node, in_place_of)| {
                in_place_of.unwrap_or(*node) == *owner && self.acknowledged.contains(node)
            })
        };
        primaries.iter().copied().filter(|node| !has_copy(node) && Some(*node) != coordinator).collect()
    }

    fn drain(&mut self, before: Instant) {
        while let Some(action) = self.op.poll() {
            assert!(!self.over, "{action:?} after the end");
            match action {
                WriteAction::Ask { node, in_place_of } => {
                    assert!(!self.settled.contains(&node), "{node:?} is asked although it is settled");
                    if let Some((_, first)) = self.asked.iter().find(|(asked, _)| *asked == node) {
                        assert_eq!(*first, in_place_of, "{node:?} is asked in two roles");
                        assert!(self.now > before, "{node:?} is asked twice at once");
                    }
                    self.asked.push((node, in_place_of));
                }
                WriteAction::Reply(reply) => {
                    assert_eq!(self.reply, None, "a second reply");
                    self.reply = Some(reply);
                }
                WriteAction::Hint { owner } => self.hints.push(owner),
                WriteAction::Over => self.over = true,
            }
        }
        assert_eq!(self.over, self.op.is_over());
        assert_eq!(self.over, self.op.next_deadline().is_none());
        assert!(!self.over || self.reply.is_some(), "it ended without a reply");
    }
}
