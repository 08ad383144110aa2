//! What the log knows about its segments without reading them.

use alloc::{collections::VecDeque, vec, vec::Vec};

use crate::{
    Epoch, Lsn, SegmentId,
    segment::{HEADER_BYTES, Place, SegmentHeader},
    storage::chunk_of,
};

/// How many bytes lie between two entries of a segment's index.
const INDEX_STRIDE_BYTES: u64 = 64 << 10;

/// One segment: who it is, where its batches end, and a sparse index into them.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    pub(crate) identity: u64,
    /// Places about [`INDEX_STRIDE_BYTES`] apart, ascending; the first is behind the header. Never
    /// empty.
    index: Vec<Place>,
    end: Place,
    /// The bytes of all files of this log before this one's, dropped ones included, since it was opened.
    bytes_before: u64,
}

impl Segment {
    /// A segment without batches.
    pub(crate) fn new(header: &SegmentHeader) -> Self {
        let start = Place {
            offset: HEADER_BYTES as u64,
            next: header.first,
            epoch: header.epoch,
            reign: header.reign,
            chain: header.chain,
        };
        Self {
            id: header.segment,
            identity: header.identity(),
            index: vec![start],
            end: start,
            bytes_before: 0,
        }
    }

    /// Takes the memory for the index of a segment that will grow to `bytes`, so that appending does
    /// not; at most 32 KiB.
    pub(crate) fn reserve(mut self, bytes: u64) -> Self {
        self.index.reserve(chunk_of(bytes / INDEX_STRIDE_BYTES, 1024));
        self
    }

    /// The first record that belongs here, whether it has been written yet or not.
    pub(crate) fn first(&self) -> Lsn {
        self.start().next
    }

    /// The place before the first batch.
    fn start(&self) -> Place {
        self.index.first().copied().unwrap_or(self.end)
    }

    /// Where the next batch goes.
    pub(crate) fn end(&self) -> Place {
        self.end
    }

    /// Takes note of a batch that ends at `end`.
    pub(crate) fn extend(&mut self, end: Place) {
        // An entry stands before a batch, so the one that ends here is reached from the place
        // before it.
        let indexed = self.index.last().map_or(0, |place| place.offset);
        if self.end.offset - indexed >= INDEX_STRIDE_BYTES {
            self.index.push(self.end);
        }
        self.end = end;
    }

    /// Forgets all batches behind `place`.
    fn cut(&mut self, place: Place) {
        self.index.retain(|indexed| indexed.offset <= place.offset);
        self.end = place;
    }

    /// A place at or before record `lsn`, and not far before it. O(log size).
    pub(crate) fn seek(&self, lsn: Lsn) -> Place {
        let behind = self.index.partition_point(|place| place.next <= lsn);
        self.index.get(behind.saturating_sub(1)).copied().unwrap_or(self.end)
    }
}

/// All segments of a log, oldest first. There is always one that is active.
#[derive(Clone, Debug)]
pub(crate) struct Segments {
    sealed: VecDeque<Segment>,
    active: Segment,
}

impl Segments {
    pub(crate) fn new(active: Segment) -> Self {
        Self { sealed: VecDeque::new(), active }
    }

    /// Seals the active segment, whose file has so many bytes, and makes `segment` the active one.
    pub(crate) fn push(&mut self, mut segment: Segment, sealed_bytes: u64) {
        segment.bytes_before = self.active.bytes_before.saturating_add(sealed_bytes);
        self.sealed.push_back(core::mem::replace(&mut self.active, segment));
    }

    /// Takes note of a batch in the active segment.
    pub(crate) fn extend(&mut self, end: Place) {
        self.active.extend(end);
    }

    /// Forgets everything behind `place` of the segment with this index, and returns the segments that
    /// are gone.
    pub(crate) fn cut(&mut self, index: usize, place: Place) -> Vec<SegmentId> {
        let mut removed = Vec::new();
        if index < self.sealed.len() {
            let mut later = self.sealed.split_off(index);
            if let Some(last) = later.pop_front() {
                removed.extend(later.iter().chain([&self.active]).map(|segment| segment.id));
                self.active = last;
            }
        }
        self.active.cut(place);
        removed
    }

    pub(crate) fn active(&self) -> &Segment {
        &self.active
    }

    /// The end of the log.
    pub(crate) fn end(&self) -> Place {
        self.active.end
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Segment> {
        if index == self.sealed.len() { Some(&self.active) } else { self.sealed.get(index) }
    }

    pub(crate) fn len(&self) -> usize {
        self.sealed.len() + 1
    }

    /// The last place of an index up to which nothing is of a later epoch than this, and its segment.
    pub(crate) fn seek_epoch(&self, epoch: Epoch) -> Option<(&Segment, Place)> {
        let behind = self.sealed.partition_point(|segment| segment.start().reign <= epoch);
        let is_active = behind == self.sealed.len() && self.active.start().reign <= epoch;
        let index = if is_active { behind } else { behind.checked_sub(1)? };
        let segment = self.get(index)?;
        let places = segment.index.partition_point(|place| place.reign <= epoch);
        Some((segment, segment.index.get(places.checked_sub(1)?).copied()?))
    }

    /// The index of the segment that holds `lsn`, or would.
    pub(crate) fn find(&self, lsn: Lsn) -> usize {
        if self.active.first() <= lsn {
            return self.sealed.len();
        }
        self.sealed.partition_point(|segment| segment.first() <= lsn).saturating_sub(1)
    }

    pub(crate) fn oldest(&self) -> Lsn {
        self.sealed.front().unwrap_or(&self.active).first()
    }

    /// The oldest record that dropping everything droppable below `lsn` would leave.
    pub(crate) fn oldest_from(&self, lsn: Lsn) -> Lsn {
        self.get(self.find(lsn)).unwrap_or(&self.active).first()
    }

    /// The bytes of the sealed files from the one that holds `lsn` on; none when the active one holds it.
    /// O(log segments).
    pub(crate) fn sealed_bytes_from(&self, lsn: Lsn) -> u64 {
        let before = self.get(self.find(lsn)).map_or(0, |segment| segment.bytes_before);
        self.active.bytes_before.saturating_sub(before)
    }

    /// The oldest segment, if it is sealed and holds only records below `lsn`.
    pub(crate) fn droppable(&self, lsn: Lsn) -> Option<SegmentId> {
        self.sealed.front().filter(|segment| segment.end.next <= lsn).map(|segment| segment.id)
    }

    pub(crate) fn drop_first(&mut self) {
        self.sealed.pop_front();
    }
}
