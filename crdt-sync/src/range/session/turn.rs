//! The peer's turn, frame by frame: parts compared with this side's, lists matched with its items.

use alloc::vec;
use alloc::vec::Vec;

use super::asked::Question;
use crate::merkle::ProtocolError as Form;
use crate::merkle::cells::Cell;
use crate::merkle::frame::reader::Reader;
use crate::merkle::prf::SessionPrf;
use crate::range::frame::{DIGEST, MAX_PARTS, count_of, read_bound};
use crate::range::{KeyRange, Limits, ProtocolError, RangeSnapshot};

#[derive(Default)]
pub(super) struct Turn {
    /// The parts that were compared, and those that differ.
    pub(super) compared: u32,
    pub(super) differing: Vec<Differing>,
    /// Whether differing parts were left out, for lack of room, on this side.
    pub(super) overflow: bool,
    /// The lists that were matched, and the items on them.
    pub(super) lists: u32,
    pub(super) listed: u32,
    /// The positions, among all listed, of the items that this side lacks.
    pub(super) wanted: Vec<u32>,
    /// The ranks of this side's items that the lists lack.
    pub(super) send: Vec<u64>,
    /// The width of the fingerprints, the same in every frame of the turn.
    pub(super) width: Option<u8>,
    /// The range whose list goes on, and its fingerprints so far.
    unfinished: Option<KeyRange>,
    list: Vec<u64>,
}

/// A range that differs, its place among the peer's questions, and the items of both sides there.
pub(super) struct Differing {
    pub(super) position: u32,
    pub(super) range: KeyRange,
    /// This side's items below the range.
    pub(super) below: Cell,
    pub(super) ours: Cell,
    pub(super) theirs: u32,
}

impl Differing {
    /// The ranks of this side's items in the range.
    pub(super) fn ranks(&self) -> core::ops::Range<u64> {
        let first = u64::from(self.below.count);
        first..first + u64::from(self.ours.count)
    }
}

/// This side's half of a comparison.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) snapshot: &'a RangeSnapshot,
    pub(super) prf: &'a SessionPrf,
    pub(super) limits: &'a Limits,
}

impl Turn {
    /// The turn that two hellos with different sums make.
    pub(super) fn root(snapshot: &RangeSnapshot, range: &KeyRange, theirs: u32) -> Self {
        let (below, ours) = (snapshot.below(range.start()), snapshot.cell(range));
        let mut turn = Self { compared: 1, ..Self::default() };
        turn.differing.push(Differing { position: 0, range: range.clone(), below, ours, theirs });
        turn
    }

    /// Whether a list goes on in the next frame.
    pub(super) fn is_within_list(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Whether the peer asked or listed anything.
    pub(super) fn is_silent(&self) -> bool {
        self.compared == 0 && self.lists == 0
    }

    /// Reads the parts of a range and compares each. O(log n) per part.
    pub(super) fn split(
        &mut self,
        reader: &mut Reader<'_>,
        parts: u32,
        whole: &Question,
        own: Own<'_>,
    ) -> Result<(), ProtocolError> {
        if parts > MAX_PARTS {
            return Err(ProtocolError::Parts { parts, max: MAX_PARTS });
        }
        let (mut start, last_end) = whole.range.shared_bounds();
        let mut below_start = own.snapshot.below(&start);
        let mut count = 0;
        for part in 1..=parts {
            count = count_of(count, reader.number()?);
            let digest: [u8; DIGEST] = reader.array()?;
            let end = if part < parts { Some(read_bound(reader, &start)?) } else { last_end.clone() };
            if part < parts && last_end.is_some() && end >= last_end {
                return Err(ProtocolError::BoundOutside);
            }
            let below_end = end.as_ref().map_or(own.snapshot.all(), |end| own.snapshot.below(end));
            let ours = below_end.minus(below_start);
            if ours.count != count || own.prf.node(ours) != digest {
                let range = KeyRange::between(start.clone(), end.clone());
                let (position, below) = (self.compared, below_start);
                self.keep(Differing { position, range, below, ours, theirs: count }, own.limits);
            }
            self.compared += 1;
            (start, below_start) = (end.unwrap_or(start), below_end);
        }
        Ok(())
    }

    fn keep(&mut self, differing: Differing, limits: &Limits) {
        if self.differing.len() < limits.max_open_ranges as usize {
            self.differing.push(differing);
        } else {
            self.overflow = true;
        }
    }

    /// Reads a list, of which more may come, of the items of a range.
    pub(super) fn list(
        &mut self,
        reader: &mut Reader<'_>,
        width: u8,
        range: KeyRange,
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        self.unfinished = Some(range);
        self.continue_list(reader, width, limits)
    }

    pub(super) fn continue_list(
        &mut self,
        reader: &mut Reader<'_>,
        width: u8,
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        let width = usize::from(width);
        let len = u64::from(reader.number()?) * width as u64;
        let bytes = reader.bytes(usize::try_from(len).map_err(|_| Form::Truncated)?)?;
        for fingerprint in bytes.chunks_exact(width) {
            if self.listed >= limits.max_items {
                return Err(ProtocolError::TooManyItems { max: limits.max_items });
            }
            let fingerprint = fingerprint.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            if self.list.last().is_some_and(|latest| *latest > fingerprint) {
                return Err(ProtocolError::Unsorted);
            }
            self.list.push(fingerprint);
            self.listed += 1;
        }
        Ok(())
    }

    /// The list of a range, if there is one, is complete: matches it with the items of this side.
    /// Two items may share a fingerprint by chance; lists are multisets, so each keeps its place.
    pub(super) fn end_list(&mut self, width: u8, own: Own<'_>) {
        let Some(range) = self.unfinished.take() else {
            return;
        };
        let Self { list, send, .. } = self;
        let mut met = vec![false; list.len()];
        let mut rank = own.snapshot.rank(range.start());
        let mut items = own.snapshot.range(&range);
        if list.is_empty() {
            // No fingerprint need be made to know that it is not on the list.
            send.extend((rank..).zip(items).map(|(rank, _)| rank));
            self.lists += 1;
            return;
        }
        while let Some((_, row)) = items.next_row() {
            let fingerprint = own.prf.fingerprint_of_digest(row.digest, width);
            let mut at = list.partition_point(|listed| *listed < fingerprint);
            while list.get(at) == Some(&fingerprint) && met[at] {
                at += 1;
            }
            if list.get(at) == Some(&fingerprint) {
                met[at] = true;
            } else {
                send.push(rank);
            }
            rank += 1;
        }
        let positions = self.listed - u32::try_from(list.len()).unwrap_or(u32::MAX)..self.listed;
        self.wanted.extend(positions.zip(met).filter_map(|(position, met)| (!met).then_some(position)));
        self.list.clear();
        self.lists += 1;
    }
}
