//! The nodes under comparison. Both sides know which digests are open and in what order, so nodes
//! never travel.

use alloc::vec;
use alloc::vec::Vec;

use super::view::View;
use crate::merkle::frame::{DigestLevel, IndexSet};
use crate::merkle::prefix::Prefix;
use crate::merkle::prf::SessionPrf;
use crate::merkle::{Limits, ProtocolError};

/// The digests that this side has sent: the descendants of `parents`, `2^fanout` of each. The first
/// `answered` of them the peer has compared.
pub(super) struct Questions {
    parents: Vec<u32>,
    fanout: u8,
    /// The depth of the descendants.
    pub(super) bits: u8,
    answered: u32,
    differing: u32,
}

impl Questions {
    /// The question that two hellos with different roots ask.
    pub(super) fn root() -> Self {
        Self { parents: vec![0], fanout: 0, bits: 0, answered: 0, differing: 0 }
    }

    /// Whether nothing was asked yet but whether the roots are the same.
    pub(super) fn is_root(&self) -> bool {
        self.bits == 0
    }

    pub(super) fn below(parents: Vec<u32>, bits: u8, fanout: u8) -> Self {
        Self { parents, fanout, bits: bits + fanout, answered: 0, differing: 0 }
    }

    /// How many questions wait for their answer. A level has at most 2^20 nodes.
    pub(super) fn open(&self) -> u32 {
        let asked = u32::try_from(self.parents.len()).unwrap_or(u32::MAX) << self.fanout;
        asked - self.answered
    }

    /// Takes the next answers and returns the nodes that differ.
    pub(super) fn answer(&mut self, set: &IndexSet<'_>, limits: &Limits) -> Result<Vec<u32>, ProtocolError> {
        let open = self.open();
        if set.universe() > open {
            return Err(ProtocolError::NeverAsked { answered: set.universe(), open });
        }
        self.differing += set.len();
        if self.differing > limits.max_open_nodes {
            return Err(ProtocolError::TooManyNodes { max: limits.max_open_nodes });
        }
        let first = self.answered;
        self.answered += set.universe();
        Ok(set.iter().map(|position| self.node(first + position)).collect())
    }

    fn node(&self, position: u32) -> u32 {
        let parent = self.parents[(position >> self.fanout) as usize];
        descendant(parent, self.fanout, position & ((1 << self.fanout) - 1))
    }
}

/// The peer's digests compared with this side's nodes, frame by frame.
pub(super) struct Comparison {
    /// The depth of the compared nodes.
    pub(super) bits: u8,
    pub(super) compared: u32,
    pub(super) differing: Vec<Differing>,
    /// Fan-out and width, the same in every frame of the turn.
    shape: Option<(u8, u8)>,
    /// Whether differing nodes were left out, for lack of room, on this side.
    pub(super) overflow: bool,
}

/// A node that differs, its place among the questions, and how many items this side has below it.
#[derive(Clone, Copy)]
pub(super) struct Differing {
    pub(super) position: u32,
    pub(super) node: u32,
    pub(super) count: u32,
}

impl Comparison {
    /// The comparison that two hellos with different roots settle; this side has `count` items.
    pub(super) fn root(count: u32) -> Self {
        let differing = vec![Differing { position: 0, node: 0, count }];
        Self { bits: 0, compared: 1, differing, shape: None, overflow: false }
    }

    pub(super) fn new() -> Self {
        Self { bits: 0, compared: 0, differing: Vec::new(), shape: None, overflow: false }
    }

    /// Compares one frame's digests of the descendants of `parents`, nodes at depth `bits`.
    pub(super) fn add(
        &mut self,
        bits: u8,
        parents: &[u32],
        level: &DigestLevel<'_>,
        own: &Own<'_>,
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        if *self.shape.get_or_insert((level.fanout, level.width)) != (level.fanout, level.width) {
            return Err(ProtocolError::MixedTurn);
        }
        self.bits = bits + level.fanout;
        if self.bits > own.leaf_bits {
            return Err(ProtocolError::TooDeep { bits: self.bits, leaf_bits: own.leaf_bits });
        }
        let children = parents.iter().flat_map(|&parent| {
            (0..1 << level.fanout).map(move |child| descendant(parent, level.fanout, child))
        });
        for (node, theirs) in children.zip(level.iter()) {
            let cell = own.view.node(Prefix::new(self.bits, node));
            if (u32::from_be_bytes(own.prf.node(cell)) ^ theirs) & level.mask() != 0 {
                self.keep(Differing { position: self.compared, node, count: cell.count }, limits);
            }
            self.compared += 1;
        }
        Ok(())
    }

    /// How many items this side has below the differing nodes: in all, and at most below one.
    pub(super) fn own_items(&self) -> (u64, u64) {
        let counts = self.differing.iter().map(|differing| u64::from(differing.count));
        counts.fold((0, 0), |(total, most), count| (total + count, most.max(count)))
    }

    fn keep(&mut self, differing: Differing, limits: &Limits) {
        if self.differing.len() < limits.max_open_nodes as usize {
            self.differing.push(differing);
        } else {
            self.overflow = true;
        }
    }
}

/// This side's half of a comparison.
pub(super) struct Own<'a> {
    pub(super) view: &'a View,
    pub(super) prf: &'a SessionPrf,
    /// The depth of the leaves of the smaller tree.
    pub(super) leaf_bits: u8,
}

fn descendant(parent: u32, fanout: u8, child: u32) -> u32 {
    parent << fanout | child
}
