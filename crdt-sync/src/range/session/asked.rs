//! What this side has said and waits to hear about: ranges with their digests, and lists of items.

use alloc::vec;
use alloc::vec::Vec;

use crate::merkle::frame::index_set::IndexSet;
use crate::range::{KeyRange, ProtocolError};

#[derive(Default)]
pub(super) struct Asked {
    questions: Vec<Question>,
    /// How many questions the peer has answered, and how many of those ranges differ.
    answered: u32,
    differing: u32,
    /// The ranks of the listed items, in the order of the lists.
    listed: Vec<u64>,
    /// How many of the listed items the peer has spoken about, unless it is done.
    covered: Option<u32>,
}

/// A range whose digest this side has sent, and how many items it holds there.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) range: KeyRange,
    pub(super) ours: u32,
}

impl Asked {
    /// The question that two hellos with different sums ask.
    pub(super) fn root(range: KeyRange, ours: u32) -> Self {
        Self { questions: vec![Question { range, ours }], ..Self::default() }
    }

    pub(super) fn ask(&mut self, range: KeyRange, ours: u32) {
        self.questions.push(Question { range, ours });
    }

    /// Notes a list, which may be empty: that it is one is told as well.
    pub(super) fn list(&mut self, ranks: impl Iterator<Item = u64>) {
        self.listed.extend(ranks);
        self.covered.get_or_insert(0);
    }

    /// Whether there is nothing to hear.
    pub(super) fn is_settled(&self) -> bool {
        self.open() == 0 && self.covered.is_none()
    }

    /// Takes the next answers and returns the ranges that differ, whose number is bounded by `max`.
    pub(super) fn answer(&mut self, set: &IndexSet<'_>, max: u32) -> Result<Vec<Question>, ProtocolError> {
        let (answered, open) = (set.universe(), self.open());
        if answered > open {
            return Err(ProtocolError::NeverAsked { answered, open });
        }
        self.differing += set.len();
        if self.differing > max {
            return Err(ProtocolError::TooManyRanges { max });
        }
        let next = self.questions[self.answered as usize..].iter();
        let next: Vec<&Question> = next.take(answered as usize).collect();
        self.answered += answered;
        Ok(set.iter().map(|position| next[position as usize].clone()).collect())
    }

    /// Takes what the peer wants of the next of the listed items, and returns their ranks.
    pub(super) fn wants(&mut self, set: &IndexSet<'_>) -> Result<Vec<u64>, ProtocolError> {
        let answered = set.universe();
        let Some(covered) = self.covered else {
            return Err(ProtocolError::NeverAsked { answered, open: 0 });
        };
        let len = u32::try_from(self.listed.len()).unwrap_or(u32::MAX);
        let open = len - covered;
        if answered > open {
            return Err(ProtocolError::NeverAsked { answered, open });
        }
        if answered == 0 && open > 0 {
            return Err(ProtocolError::Idle);
        }
        self.covered = (answered < open).then_some(covered + answered);
        let listed = &self.listed[covered as usize..];
        Ok(set.iter().map(|position| listed[position as usize]).collect())
    }

    fn open(&self) -> u32 {
        u32::try_from(self.questions.len()).unwrap_or(u32::MAX) - self.answered
    }
}
