//! Walking a segment batch by batch, and searching what lies behind the point where that ends.

use alloc::{sync::Arc, vec::Vec};
use core::ops::Range;

use super::{BATCH_HEADER_BYTES, BatchHeader, BatchKind};
use crate::{
    Epoch, Lsn, Position,
    seal::{NotUnsealed, Unreadable, Unsealer},
    storage::{StorageError, StorageFile, chunk_of},
};

/// How much is read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A point between two batches of a segment, and all that must be known to verify what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    /// The record that comes next.
    pub(crate) next: Lsn,
    /// The highest epoch promised or accepted so far.
    pub(crate) epoch: Epoch,
    /// The epoch under which the record before it was written.
    pub(crate) reign: Epoch,
    /// The running checksum so far.
    pub(crate) chain: u32,
}

impl Place {
    /// The same place as every copy of the log can name it.
    pub(crate) fn position(&self) -> Position {
        let lsn = self.next.previous().unwrap_or(Lsn::ZERO);
        Position { lsn, epoch: self.reign, checksum: self.chain }
    }
}

/// Reads a segment's batches in order and verifies each against the one before.
///
/// It never reads at or past `end`, holds one batch in memory, and believes no length before its
/// checksum.
pub(crate) struct Walk<F> {
    file: Arc<F>,
    identity: u64,
    end: u64,
    place: Place,
    buffer: Vec<u8>,
    buffer_offset: u64,
    body: Range<usize>,
    unsealer: Unsealer,
    /// Whether the records of the batch returned last are the unsealer's.
    sealed: bool,
    /// Where the records begin in that batch's body.
    records: usize,
}

/// What a walk finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next batch, whole; its records are [`Walk::body`].
    Batch(BatchHeader),
    /// An intact header whose records this reader cannot read.
    Unreadable(Unreadable),
    /// No batch that could follow: the end of the log, a tear, or damage.
    Hole,
}

impl<F: StorageFile> Walk<F> {
    pub(crate) fn new(file: Arc<F>, identity: u64, place: Place, end: u64) -> Self {
        let (buffer, unsealer) = (Vec::new(), Unsealer::default());
        let (sealed, records) = (false, 0);
        Self { file, identity, end, place, buffer, buffer_offset: 0, body: 0..0, unsealer, sealed, records }
    }

    /// Lets it read what is encrypted.
    pub(crate) fn unseal_with(mut self, unsealer: Unsealer) -> Self {
        self.unsealer = unsealer;
        self
    }

    /// Lets the walk go on up to `end`, and forgets what it has read ahead.
    #[cfg(feature = "std")]
    pub(crate) fn extend_to(&mut self, end: u64) {
        (self.end, self.body, self.sealed, self.records) = (end, 0..0, false, 0);
        self.buffer.clear();
    }

    /// Where the walk stands: after the last batch it returned.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// The records of the batch returned last.
    pub(crate) fn body(&self) -> &[u8] {
        &self.whole_body()[self.records..]
    }

    /// What the log that wrote the batch returned last gave to the sealer.
    fn whole_body(&self) -> &[u8] {
        if self.sealed { self.unsealer.plain() } else { &self.buffer[self.body.clone()] }
    }

    pub(crate) fn step(&mut self) -> Result<Step, StorageError> {
        self.records = 0;
        let Some(header) = self.read_header()? else {
            return Ok(Step::Hole);
        };
        let follows = header.first == self.place.next && header.epoch >= self.place.epoch;
        let Some(next) = header.next().filter(|_| follows) else {
            return Ok(Step::Hole);
        };
        if let BatchKind::Unknown(byte) = header.kind {
            return Ok(Step::Unreadable(Unreadable::Kind(byte)));
        }
        let body_offset = self.place.offset + BATCH_HEADER_BYTES as u64;
        let Some(body) = self.read(body_offset, header.length as usize)? else {
            return Ok(Step::Hole);
        };
        self.body = body;
        self.sealed = header.flags != 0;
        if self.sealed {
            let sealed = &self.buffer[self.body.clone()];
            match self.unsealer.unseal(&header, self.identity, self.place.offset, sealed) {
                Ok(()) => {}
                Err(NotUnsealed::Damaged) => return Ok(Step::Hole),
                Err(NotUnsealed::Unreadable(reason)) => return Ok(Step::Unreadable(reason)),
            }
        }
        let (reign, chain) = match header.kind {
            BatchKind::Records | BatchKind::Copied => {
                let Some((epoch, records)) = header.origin(self.whole_body()) else {
                    return Ok(Step::Hole);
                };
                self.records = records;
                (epoch, BatchHeader::chain_over(self.place.chain, header.first, epoch, self.body()))
            }
            BatchKind::Promise | BatchKind::Close | BatchKind::Unknown(_) => {
                (self.place.reign, self.place.chain)
            }
        };
        if chain != header.chain {
            return Ok(Step::Hole);
        }
        let offset = body_offset + u64::from(header.length);
        self.place = Place { offset, next, epoch: header.epoch, reign, chain };
        Ok(Step::Batch(header))
    }

    fn read_header(&mut self) -> Result<Option<BatchHeader>, StorageError> {
        let (offset, identity) = (self.place.offset, self.identity);
        let Some(range) = self.read(offset, BATCH_HEADER_BYTES)? else {
            return Ok(None);
        };
        Ok(self.buffer[range].first_chunk().and_then(|bytes| BatchHeader::decode(bytes, identity, offset)))
    }

    /// Where in the buffer these bytes of the file are; `None` when the file ends before them.
    fn read(&mut self, offset: u64, length: usize) -> Result<Option<Range<usize>>, StorageError> {
        let buffered = self.buffer_offset..self.buffer_offset + self.buffer.len() as u64;
        let wanted_end = offset + length as u64;
        if wanted_end > self.end {
            return Ok(None);
        }
        if offset < buffered.start || wanted_end > buffered.end {
            self.buffer.resize(chunk_of(self.end - offset, length.max(CHUNK_BYTES)), 0);
            let count = self.file.read_at(offset, &mut self.buffer)?;
            self.buffer.truncate(count);
            self.buffer_offset = offset;
            if count < length {
                return Ok(None);
            }
        }
        // The bytes wanted are in the buffer, so their distance from its start is no more than its
        // length.
        let start = chunk_of(offset - self.buffer_offset, self.buffer.len());
        Ok(Some(start..start + length))
    }
}

/// What lies behind a hole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    /// How many intact batch headers there are.
    pub(crate) headers: u64,
    /// The highest record any of them numbers.
    pub(crate) last: Lsn,
    /// The highest durable record any of them states.
    pub(crate) durable: Lsn,
    /// The highest epoch any of them states.
    pub(crate) epoch: Epoch,
    /// The end of the last byte that is not zero; 0 when all are.
    pub(crate) used_end: u64,
}

/// Searches `from..end` at every offset for batch headers of this segment. O(bytes), whatever the
/// bytes are.
pub(crate) fn find_headers<F: StorageFile>(
    file: &F,
    identity: u64,
    from: u64,
    end: u64,
) -> Result<Behind, StorageError> {
    let mut behind = Behind::default();
    let mut buffer = Vec::new();
    let mut offset = from;
    while offset < end {
        // A header may begin in this chunk and end in the next one.
        buffer.resize(chunk_of(end - offset, CHUNK_BYTES + BATCH_HEADER_BYTES - 1), 0);
        let count = file.read_at(offset, &mut buffer)?;
        buffer.truncate(count);
        if let Some(last) = buffer.iter().rposition(|&byte| byte != 0) {
            behind.used_end = offset + last as u64 + 1;
            for (at, window) in buffer.windows(BATCH_HEADER_BYTES).enumerate().take(CHUNK_BYTES) {
                let header = window
                    .first_chunk()
                    .and_then(|bytes| BatchHeader::decode(bytes, identity, offset + at as u64));
                if let Some(header) = header.filter(is_evidence) {
                    behind.add(&header);
                }
            }
        }
        offset += CHUNK_BYTES as u64;
    }
    Ok(behind)
}

/// Whether a header found by searching is taken for one.
///
/// Among random bytes, which is what encrypted records look like, one offset in 64 could be a kind of
/// a later version but for its checksum. No log numbers records that high, and chance hardly ever
/// numbers them lower.
fn is_evidence(header: &BatchHeader) -> bool {
    const HIGHEST_UNKNOWN: Lsn = Lsn::new(1 << 48);
    !matches!(header.kind, BatchKind::Unknown(_)) || header.first < HIGHEST_UNKNOWN
}

impl Behind {
    fn add(&mut self, header: &BatchHeader) {
        let last = header.next().and_then(Lsn::previous).unwrap_or(header.first);
        self.headers += 1;
        self.last = self.last.max(last);
        self.durable = self.durable.max(header.durable);
        self.epoch = self.epoch.max(header.epoch);
    }

    pub(crate) fn join(&mut self, other: &Self) {
        self.headers += other.headers;
        self.last = self.last.max(other.last);
        self.durable = self.durable.max(other.durable);
        self.epoch = self.epoch.max(other.epoch);
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::storage::{MemoryStorage, Storage};

    #[test]
    fn what_a_walk_read_ahead_of_the_writer_is_read_again_once_it_may_go_on() {
        let (identity, end) = (7, 4 * BATCH_HEADER_BYTES as u64);
        let file = Arc::new(MemoryStorage::new().create("segment").expect("new"));
        file.set_len(end).expect("memory");
        let place = Place { offset: 0, next: Lsn::FIRST, epoch: Epoch::ZERO, reign: Epoch::ZERO, chain: 0 };
        let mut walk = Walk::new(Arc::clone(&file), identity, place, end);
        assert_eq!(walk.step(), Ok(Step::Hole));
        let header = BatchHeader {
            flags: 0,
            kind: BatchKind::Promise,
            length: 0,
            count: 0,
            first: Lsn::FIRST,
            epoch: Epoch::new(1),
            durable: Lsn::ZERO,
            chain: 0,
        };
        file.write_at(0, &header.encode(identity, 0)).expect("memory");
        assert_eq!(walk.step(), Ok(Step::Hole), "it does not look twice");
        walk.extend_to(end);
        assert_eq!(walk.step(), Ok(Step::Batch(header)));
    }
}
