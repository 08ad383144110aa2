//! This side's turn: what differs, and either digests of its descendants or the items below it.

use alloc::vec::Vec;

use super::list_frames::ListFrames;
use super::lists::{self, Listing, Matching};
use super::questions::{Comparison, Differing, Questions};
use super::{Phase, Session, differs};
use crate::merkle::ItemSource;
use crate::merkle::frame::{FLAG_PARTIAL, MEMBER, OVERHEAD, POSITIONS_PER_BYTE, Tag};
use crate::merkle::prefix::Prefix;
use crate::merkle::trace::{Side, Step};

/// The first turn asks about 256 nodes, in 1 KiB; later ones about the sixteen children of each
/// differing node. A wider fan-out would save a turn and cost more bytes for every difference.
const FIRST_FANOUT: u8 = 8;
const FANOUT: u8 = 4;
/// With more digests than this, three bytes each have to do. A difference then goes unseen once in
/// 2^24 comparisons, until the next session.
const MANY_DIGESTS: usize = 512;
/// A list may cost this many times the bytes of asking on. It ends the session a few turns earlier,
/// and the questions would still have to be followed by some list.
const LIST_FACTOR: u64 = 2;

enum Plan {
    Ask { fanout: u8, width: u8 },
    List,
}

impl Session {
    /// Answers the peer's questions.
    pub(super) fn answer(&mut self, comparison: &Comparison, items: &dyn ItemSource) -> Phase {
        if comparison.differing.is_empty() {
            return self.deny(comparison);
        }
        match self.plan(comparison) {
            Plan::Ask { fanout, width } => self.ask(comparison, fanout, width),
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

    /// Lists at the leaves; before, once the items below the differing nodes are few compared with
    /// the digests that would be next, and when the peer has at least twice as many items, so that
    /// most of them differ anyway. A list that would have to be cut is put off, for the deeper it
    /// is, the more of it differs.
    fn plan(&self, comparison: &Comparison) -> Plan {
        let below = self.leaf_bits - comparison.bits;
        let wide =
            comparison.bits == 0 && below >= FIRST_FANOUT && self.budget() >= (4 << FIRST_FANOUT) + MEMBER;
        let fanout = if wide { FIRST_FANOUT } else { FANOUT };
        let digests = comparison.differing.len() << fanout;
        let width = if digests > MANY_DIGESTS { 3 } else { 4 };
        let digest_bytes = digests as u64 * u64::from(width);
        let (total, _) = self.own_items(comparison);
        let list_bytes = total * 4 + comparison.differing.len() as u64;
        let peer_dwarfs = self.peer_count / 2 >= self.snapshot.node(Prefix::ALL).count;
        let pays = list_bytes <= LIST_FACTOR * digest_bytes || peer_dwarfs;
        if below == 0 || pays && total <= u64::from(self.agreed.max_items) {
            Plan::List
        } else {
            Plan::Ask { fanout, width }
        }
    }

    /// How many items this side has below the differing nodes: in all, and at most below one.
    fn own_items(&self, comparison: &Comparison) -> (u64, u64) {
        let counts = comparison.differing.iter().map(|differing| {
            u64::from(self.snapshot.node(Prefix::new(comparison.bits, differing.node)).count)
        });
        counts.fold((0, 0), |(total, most), count| (total + count, most.max(count)))
    }

    /// The bytes of a frame for a set and what follows it.
    fn budget(&self) -> usize {
        self.agreed.max_frame - OVERHEAD
    }

    fn ask(&mut self, comparison: &Comparison, fanout: u8, width: u8) -> Phase {
        let Comparison { bits, compared, ref differing, .. } = *comparison;
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
                    let digest = self.link.prf().node(self.snapshot.node(node));
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

    fn list(&mut self, comparison: &Comparison, items: &dyn ItemSource) -> Phase {
        let width = self.fingerprint_width(comparison);
        let prf = self.link.prf().clone();
        let most = self.agreed.max_items as usize;
        let budget = self.budget();
        let mut frames = ListFrames::new(&mut self.link, budget, width);
        let mut handles: Vec<u64> = Vec::new();
        let mut parts = 0;
        let mut cut = false;
        for &Differing { position, node } in &comparison.differing {
            let room = most - handles.len();
            if room == 0 {
                break;
            }
            let part = Prefix::new(comparison.bits, node);
            let mut list = lists::list(items, part, &prf, width);
            cut = list.len() > room;
            list.truncate(room);
            handles.extend(list.iter().map(|(_, handle)| *handle));
            frames.add(position, &list);
            parts += 1;
        }
        let partial = cut || (parts as usize) < comparison.differing.len();
        self.partial |= partial;
        frames.finish(comparison.compared, cut, self.partial);
        let listing = Listing::new(handles);
        self.end_items(Side::Local, parts, listing.open());
        Phase::Listed(listing)
    }

    /// The fewest bytes with which, among all that could match by chance, something does at most
    /// once in a thousand sessions; it is then found by the next session.
    fn fingerprint_width(&self, comparison: &Comparison) -> u8 {
        let (total, most) = self.own_items(comparison);
        let chances = total.min(u64::from(self.agreed.max_items)).saturating_mul(most);
        (4..8).find(|width| chances <= 1 << (8 * u32::from(*width) - 10)).unwrap_or(8)
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
