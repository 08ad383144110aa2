//! The first turns: how much differs, and which way finds it for the fewest bytes.

use super::plan::{self, Spread};
use super::questions::Questions;
use super::sketching::has_kept;
use super::{Phase, Session};
use crate::merkle::frame::{MAX_FANOUT, NodeBytes, Tag};
use crate::merkle::prefix::Prefix;
use crate::merkle::trace::{Choice, Side, Step, Way};
use crate::merkle::{ItemSource, Limits, ProtocolError};
use crate::sketch::{Cell, Chance, Estimate};

/// The first estimate compares 64 nodes, in as many bytes.
const FIRST_BITS: u8 = 6;
/// With fewer nodes that agree an estimate is none.
const MIN_AGREEING: u32 = 8;
/// A difference in a sketch costs about as much: 1.36 cells, and the answer.
const SKETCHED: u64 = 20;
/// The cells alone.
const SKETCHED_CELLS: u64 = 16;
/// Making a sketch on the spot takes both sides about as long for each item as a byte takes on its way, at
/// 100 Mbit/s: a sketch of 1,000 items has to save as many bytes.
const MAKING: u64 = 1;
/// Below so many bytes a list is not worth an estimate.
const TINY_LIST: u64 = 200;
/// What a welcome, and the head of a frame behind it, leave of the first answer.
pub(super) const FIRST_LIST: u64 = Limits::MAX_FIRST_ANSWER as u64 - 256;

impl Session {
    /// The acceptor's first turn, or the turn of a side that was given it: nothing is known but the
    /// roots.
    pub(super) fn first_turn(&mut self, items: &dyn ItemSource) -> Phase {
        let (own, peer) = (u64::from(self.view.root().count), u64::from(self.peer_count));
        let (smaller, apart) = (self.stream_bytes(), own.abs_diff(peer));
        let can_sketch = self.can_sketch(1, items);
        let mut choice = Choice {
            way: Way::Stream,
            estimate: apart.max(1),
            sketch: can_sketch.then_some(SKETCHED * apart),
            tree: None,
            stream: smaller,
        };
        // Most differs anyway, or there is next to nothing: the smaller side lists.
        if let Some(smaller) = smaller
            && (smaller <= TINY_LIST || smaller <= SKETCHED * apart)
        {
            self.link.trace.choose(choice);
            return self.stream(smaller, items);
        }
        // An estimate pays if a sketch can follow, and is an offer to make one.
        if can_sketch {
            return self.send_estimate(FIRST_BITS.min(self.leaf_bits));
        }
        choice.way = Way::Tree;
        self.link.trace.choose(choice);
        self.answer(&self.root_differs(), items)
    }

    /// Every side compares its nodes at a depth with the peer's, which tells about how much differs.
    pub(super) fn on_estimate(
        &mut self,
        body: &[u8],
        items: &dyn ItemSource,
    ) -> Result<Phase, ProtocolError> {
        let NodeBytes { bits, digests } = NodeBytes::decode(body)?;
        if bits > self.leaf_bits {
            return Err(ProtocolError::TooDeep { bits, leaf_bits: self.leaf_bits });
        }
        if bits == 0 {
            self.link.end_round(Side::Remote, Step::Pass);
            let own_is_smaller = self.view.root().count <= self.peer_count;
            return Ok(if own_is_smaller || self.passed { self.list_all(items) } else { self.pass() });
        }
        let differing =
            digests.iter().zip(0..).filter(|(theirs, node)| self.node_byte(bits, *node) != **theirs);
        let differing = u32::try_from(differing.count()).unwrap_or(u32::MAX);
        let estimate = Estimate::of_nodes(differing, 1 << bits, 1 << bits);
        self.link
            .end_round(Side::Remote, Step::Estimate { bits, differing, estimate: estimate.differences() });
        // Some nodes agree by chance, so that a few that do say nothing.
        let agreeing = (1_u32 << bits) - differing.min(1 << bits);
        let is_vague = estimate.is_saturated() || agreeing < (1 << bits >> 6).max(MIN_AGREEING);
        Ok(self.choose(bits, (estimate, is_vague), items))
    }

    fn choose(&mut self, bits: u8, (estimate, is_vague): (Estimate, bool), items: &dyn ItemSource) -> Phase {
        let (own, peer) = (u64::from(self.view.root().count), u64::from(self.peer_count));
        let list = self.stream_bytes();
        let finer = self.finest();
        let is_long = list.is_none_or(|list| list > 2 << finer);
        if is_vague && finer > bits && is_long && self.can_sketch(1, items) {
            return self.send_estimate(finer);
        }
        let at_least = if is_vague { 4 << bits } else { 1 };
        let differing = estimate.differences().max(own.abs_diff(peer)).max(at_least);
        self.differing = Some(differing);
        let spread = Spread::new(self.leaf_bits, own.max(peer), differing);
        let (tree, _) = spread.cheapest(0, plan::DIGEST_TURNS, self.max_fanout());
        let cells = u32::try_from(estimate.cells(Chance::NineInTen)).unwrap_or(u32::MAX).max(2);
        let fits = !is_vague && self.can_sketch(cells, items);
        let sketch =
            fits.then_some(u64::from(cells) * Cell::LEN as u64 + differing * (SKETCHED - SKETCHED_CELLS));
        let making = if has_kept(cells, items) { 0 } else { MAKING * own.max(peer) };
        let cost = sketch.map(|sketch| sketch + making);
        let ways = [(cost, Way::Sketch), (list, Way::Stream), (Some(tree), Way::Tree)];
        let possible = ways.into_iter().filter_map(|(bytes, way)| Some((bytes?, way)));
        let (bytes, way) = possible.min_by_key(|(bytes, _)| *bytes).unwrap_or((tree, Way::Tree));
        self.link.trace.choose(Choice { way, estimate: differing, sketch, tree: Some(tree), stream: list });
        match way {
            Way::Sketch => self.begin_sketch(cells, items),
            Way::Stream => self.stream(bytes, items),
            Way::Tree => self.answer(&self.root_differs(), items),
        }
    }

    /// The smaller side lists all it has. An acceptor does so only when the peer has shown that it
    /// holds the key now, or if that takes no more than its first answer may.
    fn stream(&mut self, bytes: u64, items: &dyn ItemSource) -> Phase {
        let own_is_smaller = self.view.root().count <= self.peer_count;
        let may_list = self.link.is_proven() || bytes <= FIRST_LIST;
        if own_is_smaller && may_list { self.list_all(items) } else { self.pass() }
    }

    /// The bytes of a list of all that the smaller side has, which must not be cut.
    fn stream_bytes(&self) -> Option<u64> {
        let smaller = self.view.root().count.min(self.peer_count);
        (smaller <= self.agreed.max_items).then(|| plan::list_bytes(smaller.into(), 1))
    }

    fn list_all(&mut self, items: &dyn ItemSource) -> Phase {
        self.list(&self.root_differs(), items)
    }

    /// Gives the turn away.
    fn pass(&mut self) -> Phase {
        let mut frame = self.link.frame(Tag::Estimate);
        frame.byte(0);
        self.link.send(frame);
        self.passed = true;
        self.link.end_round(Side::Local, Step::Pass);
        Phase::Asked(Questions::root())
    }

    fn send_estimate(&mut self, bits: u8) -> Phase {
        let mut frame = self.link.frame(Tag::Estimate);
        frame.byte(bits);
        for node in 0..1 << bits {
            frame.byte(self.node_byte(bits, node));
        }
        self.link.send(frame);
        self.link.end_round(Side::Local, Step::Estimate { bits, differing: 0, estimate: 0 });
        Phase::Asked(Questions::root())
    }

    /// The depth of the finest estimate.
    fn finest(&self) -> u8 {
        let fits = u8::try_from(self.budget().ilog2()).unwrap_or(0);
        MAX_FANOUT.min(self.leaf_bits).min(fits)
    }

    fn node_byte(&self, bits: u8, node: u32) -> u8 {
        self.link.prf().node(self.view.node(Prefix::new(bits, node)))[0]
    }
}
