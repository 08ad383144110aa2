//! This side's turn: what differs, and either digests of its descendants or the items below it.

use alloc::vec::Vec;

use super::choose::FIRST_LIST;
use super::list_frames::ListFrames;
use super::lists::{self, Listing, OwnItems};
use super::matching::Matching;
use super::plan::{self, Spread};
use super::questions::{Comparison, Differing, Questions};
use super::{Phase, Session, differs};
use crate::merkle::ItemSource;
use crate::merkle::frame::{FLAG_PARTIAL, MAX_FANOUT, MEMBER, OVERHEAD, POSITIONS_PER_BYTE, Tag, WIDTHS};
use crate::merkle::prefix::Prefix;
use crate::merkle::trace::{Side, Step};

/// A first turn that knows nothing of the difference asks about 256 nodes.
const FIRST_FANOUT: u8 = 8;

/// The fewest bits of a fingerprint.
const MIN_WIDTH: u8 = 32;

enum Plan {
    Ask { fanout: u8 },
    List,
}

impl Session {
    /// Answers the peer's questions.
    pub(super) fn answer(&mut self, comparison: &Comparison, items: &dyn ItemSource) -> Phase {
        if comparison.differing.is_empty() {
            return self.deny(comparison);
        }
        match self.plan(comparison) {
            Plan::Ask { fanout } => self.ask(comparison, fanout),
            Plan::List => self.list(comparison, items),
        }
    }

    /// Nothing of what was asked about differs.
    fn deny(&mut self, comparison: &Comparison) -> Phase {
        let mut frame = self.link.frame(Tag::Digests);
        frame.byte(0);
        frame.set(comparison.compared, [].into_iter());
        self.link.send(frame);
        Phase::Over(self.nothing_found())
    }

    /// Lists at the leaves; before, once that costs less than asking on, and when the peer has at
    /// least twice as many items, so that most of them differ anyway. A list that would have to be
    /// cut is put off, for the deeper it is, the more of it differs.
    fn plan(&self, comparison: &Comparison) -> Plan {
        let bits = comparison.bits;
        let max_fanout = self.max_fanout();
        let open = comparison.differing.len() as u64;
        let own = self.view.root().count;
        let (total, _) = comparison.own_items();
        let listing = plan::list_bytes(total, open);
        let fits = total <= u64::from(self.agreed.max_items);
        let turns = plan::DIGEST_TURNS.saturating_sub(self.digest_turns).max(u8::from(!fits));
        let asking = if bits == 0
            && self.differing.is_none()
            && self.leaf_bits >= FIRST_FANOUT
            && max_fanout >= FIRST_FANOUT
        {
            Some((u64::from(plan::digest_width(256)) << FIRST_FANOUT, FIRST_FANOUT))
        } else {
            let all = 1 << bits;
            let seen = plan::balls(open, all).unwrap_or(all * 4);
            let differing = self.differing.filter(|differing| *differing > open).unwrap_or(seen);
            let spread = Spread::new(self.leaf_bits, u64::from(own.max(self.peer_count)), differing);
            spread.cheapest_questions(bits, turns, max_fanout)
        };
        let peer_dwarfs = self.peer_count / 2 >= own;
        // A side that the peer has shown nothing yet keeps its first answer short.
        let may_list = fits && (self.link.is_proven() || listing <= FIRST_LIST);
        match asking {
            Some((cost, fanout)) if !may_list || cost < listing && !peer_dwarfs => Plan::Ask { fanout },
            _ => Plan::List,
        }
    }

    /// The largest fan-out with which the digests of one node fit into a frame.
    pub(super) fn max_fanout(&self) -> u8 {
        let digests = (self.budget() - MEMBER) / 4;
        u8::try_from(digests.max(2).ilog2()).unwrap_or(1).min(MAX_FANOUT)
    }

    /// The comparison of the roots, which differ.
    pub(super) fn root_differs(&self) -> Comparison {
        Comparison::root(self.view.root().count)
    }

    /// The bytes of a frame for a set and what follows it.
    pub(super) fn budget(&self) -> usize {
        self.agreed.max_frame - OVERHEAD
    }

    fn ask(&mut self, comparison: &Comparison, fanout: u8) -> Phase {
        let Comparison { bits, compared, ref differing, .. } = *comparison;
        let width = plan::digest_width((differing.len() as u64) << fanout);
        self.digest_turns += 1;
        let per_node = (usize::from(width) << fanout) + MEMBER;
        let per_frame = (self.budget() / per_node).max(1);
        let mut answered = 0;
        let mut chunks = differing.chunks(per_frame).peekable();
        while let Some(chunk) = chunks.next() {
            let end = end_of(chunk, compared, chunks.peek().is_none());
            let mut frame = self.link.frame(Tag::Digests);
            frame.byte(if self.partial { FLAG_PARTIAL } else { 0 });
            frame.set(end - answered, chunk.iter().map(|differing| differing.position - answered));
            frame.byte(fanout);
            frame.byte(width);
            for parent in chunk {
                for child in 0..1 << fanout {
                    let node = Prefix::new(bits + fanout, parent.node << fanout | child);
                    let digest = self.link.prf().node(self.view.node(node));
                    frame.bytes(&digest[..usize::from(width)]);
                }
            }
            self.link.send(frame);
            answered = end;
        }
        let asked =
            Questions::below(differing.iter().map(|differing| differing.node).collect(), bits, fanout);
        self.link.end_round(Side::Local, Step::digests(asked.bits, asked.open()));
        Phase::Asked(asked)
    }

    pub(super) fn list(&mut self, comparison: &Comparison, items: &dyn ItemSource) -> Phase {
        let width = self.fingerprint_width(comparison);
        let prf = self.link.prf().clone();
        let most = self.agreed.max_items as usize;
        let budget = self.budget();
        let parts = comparison.differing.len() as u64;
        let (total, _) = comparison.own_items();
        let per_list = total.checked_div(parts).unwrap_or(0);
        let mut listing = Listing::new(width, total, self.agreed.max_items);
        let mut frames = ListFrames::new(&mut self.link, budget, width, per_list);
        let own = OwnItems { view: &self.view, items, prf: &prf };
        let mut list = Vec::new();
        let mut listed_parts = 0;
        let mut cut = false;
        for &Differing { position, node, count } in &comparison.differing {
            if listing.listed() as usize == most {
                break;
            }
            let part = Prefix::new(comparison.bits, node);
            let mut pieces = lists::pieces(count);
            let mut is_begun = false;
            while let Some(piece) = pieces.next() {
                let room = most - listing.listed() as usize;
                lists::list(&own, part, width, piece, &mut list);
                cut = list.len() > room;
                list.truncate(room);
                if !list.is_empty() {
                    listing.add(part, piece, &list);
                }
                let is_last = cut || pieces.len() == 0;
                if is_begun {
                    frames.go_on(&list);
                } else if is_last || !list.is_empty() {
                    frames.add(position, &list);
                    is_begun = true;
                }
                if cut {
                    break;
                }
            }
            listed_parts += 1;
        }
        let partial = cut || (listed_parts as usize) < comparison.differing.len();
        self.partial |= partial;
        frames.finish(comparison.compared, cut, self.partial);
        self.end_items(Side::Local, listed_parts, listing.listed());
        Phase::Listed(listing)
    }

    /// The fewest bits, at least 32, with which among all that could match by chance something does at
    /// most once in a thousand sessions; it is then found by the next session.
    fn fingerprint_width(&self, comparison: &Comparison) -> u8 {
        let (total, most) = comparison.own_items();
        let chances = total.min(u64::from(self.agreed.max_items)).saturating_mul(most);
        let bits = chances.max(1).ilog2() + 1;
        u8::try_from(bits + 10).unwrap_or(64).clamp(MIN_WIDTH, *WIDTHS.end())
    }

    /// Names what is wanted of the peer's lists, which ends the session.
    pub(super) fn send_wants(&mut self, matching: Matching) -> Phase {
        let Matching { listed, wanted, send, .. } = matching;
        let per_frame = u32::try_from(self.budget() * POSITIONS_PER_BYTE).unwrap_or(u32::MAX);
        let mut sending = u32::try_from(send.len()).unwrap_or(u32::MAX);
        let mut rest = &wanted[..];
        let mut answered = 0;
        loop {
            let end = listed.min(answered + per_frame);
            let (now, later) = rest.split_at(rest.partition_point(|position| *position < end));
            let mut frame = self.link.frame(Tag::Wants);
            frame.set(end - answered, now.iter().map(|position| position - answered));
            frame.number(core::mem::take(&mut sending));
            self.link.send(frame);
            (rest, answered) = (later, end);
            if answered == listed {
                break;
            }
        }
        let receive = wanted.len() as u64;
        self.link.end_round(Side::Local, Step::Wants { wanted: u32::try_from(receive).unwrap_or(u32::MAX) });
        Phase::Over(differs(send, receive, self.partial))
    }
}

/// The first question that the frame with this chunk leaves open: behind its last difference, or
/// behind all.
fn end_of(chunk: &[Differing], compared: u32, is_last: bool) -> u32 {
    match chunk.last() {
        Some(last) if !is_last => last.position + 1,
        _ => compared,
    }
}
