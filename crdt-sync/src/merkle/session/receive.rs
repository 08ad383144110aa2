//! The peer's turns after its hello: digests to compare, lists to match, wants to note.

use alloc::vec::Vec;

use super::lists::{Listing, OwnItems};
use super::matching::Matching;
use super::questions::{Comparison, Own, Questions};
use super::{Phase, Session, differs};
use crate::merkle::frame::{Digests, IndexSet, Items, Wants};
use crate::merkle::prefix::Prefix;
use crate::merkle::trace::{Side, Step};
use crate::merkle::{ItemSource, ProtocolError};

impl Session {
    pub(super) fn on_digests(
        &mut self,
        mut asked: Questions,
        mut comparison: Comparison,
        body: &[u8],
        items: &dyn ItemSource,
    ) -> Result<Phase, ProtocolError> {
        let frame = Digests::decode(body)?;
        let parents = self.take_answers(&mut asked, &frame.differing)?;
        self.partial |= frame.partial;
        let Some(level) = frame.level else {
            // Nothing differs: that is one frame about all questions, and no part of a longer turn.
            let is_whole_turn = comparison.compared == 0 && asked.open() == 0;
            return if is_whole_turn {
                Ok(Phase::Over(self.nothing_found()))
            } else {
                Err(ProtocolError::Idle)
            };
        };
        let own = Own { view: &self.view, prf: self.link.prf(), leaf_bits: self.leaf_bits };
        comparison.add(asked.bits, &parents, &level, &own, &self.agreed)?;
        if asked.open() > 0 {
            return Ok(Phase::Comparing(asked, comparison));
        }
        let Comparison { bits, compared, .. } = comparison;
        self.partial |= comparison.overflow;
        self.digest_turns += 1;
        self.link.end_round(Side::Remote, Step::digests(bits, compared));
        self.link.trace.found(bits, comparison.differing.iter().map(|differing| differing.node));
        Ok(self.answer(&comparison, items))
    }

    pub(super) fn on_items(
        &mut self,
        mut asked: Questions,
        mut matching: Matching,
        body: &[u8],
        items: &dyn ItemSource,
    ) -> Result<Phase, ProtocolError> {
        let frame = Items::decode(body)?;
        let nodes = self.take_answers(&mut asked, &frame.differing)?;
        self.partial |= frame.partial;
        let parts: Vec<_> = nodes.iter().map(|&node| Prefix::new(asked.bits, node)).collect();
        let own = OwnItems { view: &self.view, items, prf: self.link.prf() };
        matching.add(&parts, &frame, &own, &self.agreed)?;
        if asked.open() > 0 || matching.is_within_list() {
            return Ok(Phase::Matching(asked, matching));
        }
        self.end_items(Side::Remote, matching.parts, matching.listed);
        Ok(self.send_wants(matching))
    }

    pub(super) fn on_wants(
        &mut self,
        mut listing: Listing,
        body: &[u8],
        items: &dyn ItemSource,
    ) -> Result<Phase, ProtocolError> {
        let own = OwnItems { view: &self.view, items, prf: self.link.prf() };
        listing.answer(&Wants::decode(body)?, &own)?;
        if listing.open() > 0 {
            return Ok(Phase::Listed(listing));
        }
        self.partial |= listing.has_changed;
        let wanted = u32::try_from(listing.send.len()).unwrap_or(u32::MAX);
        self.link.end_round(Side::Remote, Step::Wants { wanted });
        Ok(Phase::Over(differs(listing.send, listing.receive, self.partial)))
    }

    /// The nodes that the peer found different among the next of this side's questions.
    fn take_answers(&mut self, asked: &mut Questions, set: &IndexSet<'_>) -> Result<Vec<u32>, ProtocolError> {
        let nodes = asked.answer(set, &self.agreed)?;
        self.link.trace.found(asked.bits, nodes.iter().copied());
        Ok(nodes)
    }

    pub(super) fn end_items(&mut self, by: Side, parts: u32, listed: u32) {
        self.link.end_round(by, Step::Items { parts, listed });
        self.link.stats.leaves_listed += parts;
        self.link.stats.items_listed += listed;
    }
}
