//! This side's turn: what it wants of the peer's lists, and for each range that differs its parts or
//! its items.

use alloc::vec::Vec;

use super::asked::Asked;
use super::turn::{Differing, Own, Turn};
use super::writer::TurnWriter;
use super::{Phase, RangeSession};
use crate::merkle::frame::varint;
use crate::range::frame::{MAX_PARTS, count_delta, write_bound};
use crate::range::policy::{Comparison, Refinement, RefinementPolicy};
use crate::range::{KeyRange, RangeSnapshot};

enum Plan {
    /// The peer holds nothing there and gets everything.
    All,
    List,
    Split(u32),
}

/// The parts of a range, as they travel and as they are remembered.
struct Parts {
    bytes: Vec<u8>,
    questions: Vec<(KeyRange, u32)>,
}

impl<P: RefinementPolicy> RangeSession<P> {
    /// Answers the peer's turn.
    pub(super) fn take_turn(&mut self, mut turn: Turn) -> Phase {
        let plans: Vec<Plan> = turn.differing.iter().map(|differing| self.plan(differing)).collect();
        let width = fingerprint_width(turn.differing.iter().zip(&plans));
        let Some(prf) = self.link.prf().cloned() else {
            return self.conclude();
        };
        let own = Own { snapshot: &self.snapshot, prf: &prf, limits: &self.agreed };
        let mut writer = TurnWriter::new(&mut self.link, own.limits, width);
        if turn.lists > 0 {
            writer.wants(&turn.wanted, turn.listed, turn.send.len());
        }
        self.receive += turn.wanted.len() as u64;
        self.send.append(&mut turn.send);

        let mut reply =
            Reply { own, width, writer, asked: Asked::default(), given: Vec::new(), lists: 0, listed: 0 };
        for (differing, plan) in turn.differing.iter().zip(plans) {
            let is_told = match plan {
                Plan::All => reply.give(differing),
                Plan::List => reply.list(differing),
                Plan::Split(parts) => reply.split(differing, parts),
            };
            self.partial |= !is_told;
        }
        let Reply { writer, asked, mut given, lists, listed, .. } = reply;
        writer.finish(turn.compared, self.partial);
        self.send.append(&mut given);
        self.link.end_round();
        self.note_lists(lists, listed);
        if asked.is_settled() { self.conclude() } else { Phase::Asked(asked, Turn::default()) }
    }

    fn plan(&self, differing: &Differing) -> Plan {
        let (ours, theirs) = (differing.ours.count, differing.theirs);
        if theirs == 0 {
            return Plan::All;
        }
        // A single item cannot be parted from itself, and an empty list says all.
        if ours < 2 {
            return Plan::List;
        }
        let comparison = Comparison { ours: u64::from(ours), theirs: u64::from(theirs) };
        match self.policy.refine(comparison) {
            Refinement::List if ours <= self.agreed.max_items => Plan::List,
            Refinement::List => Plan::Split(MAX_PARTS),
            Refinement::Split(parts) => Plan::Split(parts.clamp(2, MAX_PARTS)),
        }
    }
}

/// This side's turn as far as it is laid out. What there is no room for is left to a later session.
struct Reply<'a> {
    own: Own<'a>,
    width: u8,
    writer: TurnWriter<'a>,
    asked: Asked,
    /// The ranks of the items that the peer gets without asking.
    given: Vec<u64>,
    lists: u32,
    listed: u32,
}

impl Reply<'_> {
    fn give(&mut self, differing: &Differing) -> bool {
        let is_told = self.writer.all(differing.position, differing.ours.count);
        if is_told {
            self.given.extend(differing.ranks());
        }
        is_told
    }

    fn list(&mut self, differing: &Differing) -> bool {
        if self.own.limits.max_items - self.listed < differing.ours.count {
            return false;
        }
        let list = fingerprints(differing, self.width, self.own);
        let is_told = self.writer.list(differing.position, list.iter().map(|(fingerprint, _)| *fingerprint));
        if is_told {
            self.asked.list(list.iter().map(|(_, rank)| *rank));
            self.lists += 1;
            self.listed += differing.ours.count;
        }
        is_told
    }

    fn split(&mut self, differing: &Differing, parts: u32) -> bool {
        let Some(parts) = fitting_split(differing, parts, self.writer.room_for_entry(), self.own) else {
            return false;
        };
        self.writer.split(differing.position, &parts.bytes);
        for (range, ours) in parts.questions {
            self.asked.ask(range, ours);
        }
        true
    }
}

/// The items of a range by fingerprint, with their ranks.
fn fingerprints(differing: &Differing, width: u8, own: Own<'_>) -> Vec<(u64, u64)> {
    let mut listed = Vec::new();
    let mut items = own.snapshot.range(&differing.range);
    for rank in differing.ranks() {
        if let Some((_, row)) = items.next_row() {
            listed.push((own.prf.fingerprint_of_digest(row.digest, width), rank));
        }
    }
    listed.sort_unstable();
    listed
}

/// The split into the most parts, at most `parts`, that takes at most `room` bytes.
fn fitting_split(differing: &Differing, parts: u32, room: usize, own: Own<'_>) -> Option<Parts> {
    let mut parts = parts.min(differing.ours.count);
    while parts >= 2 {
        let split = split(differing, parts, own)?;
        if split.bytes.len() <= room {
            return Some(split);
        }
        parts /= 2;
    }
    None
}

/// Parts with as equal numbers of items as can be, each with its count and digest, and the bound to
/// the next one.
fn split(differing: &Differing, parts: u32, own: Own<'_>) -> Option<Parts> {
    let snapshot: &RangeSnapshot = own.snapshot;
    let (mut start, last_end) = differing.range.shared_bounds();
    let first = u64::from(differing.below.count);
    let mut below_start = differing.below;
    let mut count = 0;
    let mut bytes = Vec::new();
    let mut questions = Vec::new();
    varint::write(&mut bytes, parts);
    for part in 1..=parts {
        let share = u64::from(differing.ours.count) * u64::from(part) / u64::from(parts);
        let end =
            if part < parts { Some(snapshot.separator(first + share)?.into()) } else { last_end.clone() };
        let below_end = match &end {
            Some(end) => snapshot.below(end),
            None => snapshot.all(),
        };
        let cell = below_end.minus(below_start);
        varint::write(&mut bytes, count_delta(count, cell.count));
        bytes.extend_from_slice(&own.prf.node(cell));
        if let (Some(end), true) = (&end, part < parts) {
            write_bound(&mut bytes, &start, end);
        }
        questions.push((KeyRange::between(start.clone(), end.clone()), cell.count));
        (count, below_start) = (cell.count, below_end);
        start = end.unwrap_or(start);
    }
    Some(Parts { bytes, questions })
}

/// The fewest bytes with which, among all that could match by chance, something does at most once in
/// a thousand sessions; it is then found by the next session.
fn fingerprint_width<'a>(planned: impl Iterator<Item = (&'a Differing, &'a Plan)>) -> u8 {
    let lists = planned.filter(|(_, plan)| matches!(plan, Plan::List));
    let chances = lists.fold(0_u64, |chances, (differing, _)| {
        let pairs = u64::from(differing.ours.count).saturating_mul(u64::from(differing.theirs));
        chances.saturating_add(pairs)
    });
    (4..8).find(|width| chances <= 1 << (8 * u32::from(*width) - 10)).unwrap_or(8)
}
