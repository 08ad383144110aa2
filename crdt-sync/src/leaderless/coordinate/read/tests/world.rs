//! Nodes with toy states, and a read of them under watch.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use super::super::*;
use super::START;

/// A set of values below 8 that knows what it has seen: what was seen and is not there was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Toy {
    pub(super) live: u8,
    pub(super) seen: u8,
}

impl Toy {
    pub(super) const NOTHING: Self = Self { live: 0, seen: 0 };

    pub(super) fn with(values: u8) -> Self {
        Self { live: values, seen: values }
    }

    pub(super) fn without(self, values: u8) -> Self {
        Self { live: self.live & !values, seen: self.seen | values }
    }

    pub(super) fn united(mut self, other: Self) -> Self {
        self.unite(&other);
        self
    }
}

impl Answer for Toy {
    fn digest(&self) -> Digest {
        if self.live == 0 { Digest::NotFound } else { Digest::Of(self.live.into()) }
    }

    fn unite(&mut self, other: &Self) {
        let (mine, theirs) = (*self, *other);
        self.live = (mine.live & theirs.live) | (mine.live & !theirs.seen) | (theirs.live & !mine.seen);
        self.seen |= theirs.seen;
    }

    fn lacking(&self, theirs: &Self) -> Option<Self> {
        let added = self.live & !theirs.seen;
        let removed = theirs.live & self.seen & !self.live;
        (added | removed != 0).then_some(Self { live: added, seen: added | removed })
    }
}

/// Nodes and what they hold, and a read of them. Nodes without a state refuse.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) op: ReadOp<char, Toy>,
    pub(super) states: BTreeMap<char, Toy>,
    /// What is asked and not answered.
    pub(super) open: BTreeMap<char, Wanted>,
    /// Repairs sent and not taken in.
    pub(super) repairing: BTreeMap<char, Toy>,
    pub(super) asked: Vec<(char, Wanted, Option<char>)>,
    pub(super) repairs: Vec<(char, Toy)>,
    pub(super) reply: Option<Result<Read<char, Toy>, Unmet<char>>>,
    /// Who sent a whole state.
    pub(super) wholes: BTreeSet<char>,
    pub(super) over: bool,
}

impl World {
    pub(super) fn new(
        replicas: Replicas<char>,
        options: ReadOptions,
        states: impl IntoIterator<Item = (char, Toy)>,
    ) -> Self {
        let mut world = Self {
            op: ReadOp::new(replicas, options, START).unwrap(),
            states: states.into_iter().collect(),
            open: BTreeMap::new(),
            repairing: BTreeMap::new(),
            asked: Vec::new(),
            repairs: Vec::new(),
            reply: None,
            wholes: BTreeSet::new(),
            over: false,
        };
        world.drain();
        world
    }

    /// `node` does what it was asked first.
    pub(super) fn answer(&mut self, node: char) {
        let Some(state) = self.states.get_mut(&node) else {
            self.open.remove(&node);
            return self.refuse(node);
        };
        match self.open.remove(&node) {
            Some(Wanted::Digest) => self.op.digest(node, state.digest(), START),
            Some(Wanted::Whole) => {
                self.wholes.insert(node);
                self.op.whole(node, *state, START);
            }
            None => {
                let Some(delta) = self.repairing.remove(&node) else { return };
                state.unite(&delta);
                self.op.repaired(node, START);
            }
        }
        self.drain();
    }

    pub(super) fn refuse(&mut self, node: char) {
        self.open.remove(&node);
        self.repairing.remove(&node);
        self.op.refused(node, Refusal::Overloaded, START);
        self.drain();
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.op.tick(now);
        self.drain();
    }

    /// Who owes something.
    pub(super) fn busy(&self) -> Vec<char> {
        let all: BTreeSet<char> = self.open.keys().chain(self.repairing.keys()).copied().collect();
        all.into_iter().collect()
    }

    pub(super) fn data(&self) -> Toy {
        *self.reply.as_ref().unwrap().as_ref().unwrap().data
    }

    pub(super) fn report(&self) -> &Report<char> {
        match self.reply.as_ref().unwrap() {
            Ok(read) => &read.report,
            Err(unmet) => unmet.report(),
        }
    }

    pub(super) fn drain(&mut self) {
        while let Some(action) = self.op.poll() {
            assert!(!self.over, "{action:?} after the end");
            match action {
                ReadAction::Ask { node, wanted, in_place_of } => {
                    assert_eq!(self.open.insert(node, wanted), None, "{node} is asked twice at once");
                    assert!(!self.asked.contains(&(node, wanted, in_place_of)), "{node} is asked again");
                    self.asked.push((node, wanted, in_place_of));
                }
                ReadAction::Repair { node, delta } => {
                    self.repairs.push((node, delta));
                    let waiting = self.repairing.entry(node).or_default();
                    *waiting = waiting.united(delta);
                }
                ReadAction::Reply(reply) => {
                    assert!(self.reply.is_none(), "a second reply");
                    if let Ok(read) = &reply {
                        assert!(!self.wholes.is_empty(), "a reply from digests alone");
                        assert!(read.data.live & !self.states.values().fold(0, |all, s| all | s.live) == 0);
                    }
                    self.reply = Some(reply);
                }
                ReadAction::Over => self.over = true,
            }
        }
        assert_eq!(self.over, self.op.is_over());
        assert_eq!(self.over, self.op.next_deadline().is_none());
        assert!(!self.over || self.reply.is_some(), "it ended without a reply");
    }
}
