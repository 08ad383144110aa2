//! Reading records back, in order.

use alloc::sync::Arc;

use crate::{
    Corruption, Damage, LoggedBatch, Lsn, OwnedRecord, ReadError, Record,
    seal::{Sealing, Unsealer},
    segment::{FramedRecords, Step, Walk, file_name},
    segments::{Segment, Segments},
    storage::Storage,
};

/// Lends the records of a log one after the other, across segments, up to the watermark it was made
/// with.
///
/// It verifies every batch again while it reads and holds one batch in memory. For owned records,
/// turn it into an iterator.
///
/// ```
/// use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, RecordKind, storage::MemoryStorage};
///
/// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// log.append(&Batch::of(Epoch::ZERO, RecordKind(1), b"milk")?)?;
/// assert!(log.read_from(Lsn::FIRST)?.next_record()?.is_none(), "not durable yet");
///
/// log.sync()?;
/// let mut reader = log.read_from(Lsn::FIRST)?;
/// assert_eq!(reader.next_record()?.map(|record| record.payload), Some(&b"milk"[..]));
/// assert_eq!(reader.next_record()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader<'a, S: Storage> {
    storage: &'a S,
    segments: &'a Segments,
    sealing: &'a Sealing,
    segment: usize,
    walk: Option<Walk<S::File>>,
    records: FramedRecords,
    /// The record that [`next_record`](Reader::next_record) takes off the batch next.
    next: Lsn,
    /// How many records of the present batch are still to come.
    left: u32,
    from: Lsn,
    limit: Lsn,
}

impl<'a, S: Storage> Reader<'a, S> {
    pub(crate) fn new(
        storage: &'a S,
        segments: &'a Segments,
        sealing: &'a Sealing,
        from: Lsn,
        limit: Lsn,
    ) -> Result<Self, ReadError> {
        let from = from.max(Lsn::FIRST);
        let oldest = segments.oldest();
        if from < oldest {
            return Err(ReadError::Truncated { asked: from, oldest });
        }
        let segment = segments.find(from);
        let records = FramedRecords::default();
        Ok(Self {
            storage,
            segments,
            sealing,
            segment,
            walk: None,
            records,
            next: from,
            left: 0,
            from,
            limit,
        })
    }

    /// The next record, or `None` at the watermark. After an error it returns that error again.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, ReadError> {
        loop {
            while self.left == 0 {
                if self.from > self.limit || self.next > self.limit || !self.next_batch()? {
                    return Ok(None);
                }
            }
            let lsn = self.next;
            if lsn > self.limit {
                return Ok(None);
            }
            if lsn >= self.from {
                break;
            }
            self.take()?;
        }
        self.take().map(Some)
    }

    /// Loads the next batch with records; false at the end of the log.
    fn next_batch(&mut self) -> Result<bool, ReadError> {
        let Some(segment) = self.segments.get(self.segment) else {
            return Ok(false);
        };
        if self.walk.is_none() {
            let file = Arc::new(self.storage.open(&file_name(segment.id))?);
            let place = segment.seek(self.from.max(self.next));
            let walk = Walk::new(file, segment.identity, place, segment.end().offset);
            self.walk = Some(walk.unseal_with(Unsealer::new(self.sealing.clone())));
        }
        let Some(walk) = &mut self.walk else {
            return Ok(false);
        };
        let place = walk.place();
        if place.offset == segment.end().offset {
            self.walk = None;
            self.segment += 1;
            return Ok(self.segment < self.segments.len());
        }
        match walk.step()? {
            Step::Batch(header) => {
                self.records = FramedRecords::default();
                (self.next, self.left) = (header.first, header.count);
                Ok(true)
            }
            // What can be read at all was when the log was opened.
            Step::Hole | Step::Unreadable(_) => {
                Err(damage(segment, place.offset, place.next, self.limit).into())
            }
        }
    }

    /// The batch that was loaded last, if it has records.
    fn batch(&self, first: Lsn, count: u32) -> Option<LoggedBatch<'_>> {
        let walk = self.walk.as_ref()?;
        let place = walk.place();
        Some(LoggedBatch::from_log(first, place.reign, count, place.chain, walk.body()))
    }

    /// The next record of the loaded batch.
    fn take(&mut self) -> Result<Record<'_>, ReadError> {
        let (lsn, walk) = (self.next, self.walk.as_ref());
        if let (Some(walk), Some(next)) = (walk, lsn.next())
            && let Ok(Some((kind, payload))) = self.records.next(walk.body())
        {
            self.left -= 1;
            self.next = next;
            return Ok(Record { lsn, kind, payload });
        }
        let segment = self.segments.get(self.segment).unwrap_or(self.segments.active());
        let offset = walk.map_or(0, |walk| walk.place().offset);
        Err(damage(segment, offset, lsn, self.limit).into())
    }
}

/// Lends the batches of a log one after the other, across segments, up to the watermark it was made with: what is
/// shipped to a copy of the log.
///
/// It verifies every batch again while it reads and holds one in memory.
pub struct Batches<'a, S: Storage> {
    reader: Reader<'a, S>,
}

impl<'a, S: Storage> Batches<'a, S> {
    pub(crate) fn new(reader: Reader<'a, S>) -> Self {
        Self { reader }
    }

    /// The next batch, or `None` at the watermark. After an error it returns that error again.
    pub fn next_batch(&mut self) -> Result<Option<LoggedBatch<'_>>, ReadError> {
        let reader = &mut self.reader;
        loop {
            if reader.next.max(reader.from) > reader.limit || !reader.next_batch()? {
                return Ok(None);
            }
            let (first, count) = (reader.next, reader.left);
            let Some(next) = first.advance(u64::from(count)) else { return Ok(None) };
            (reader.next, reader.left) = (next, 0);
            if next > reader.from.max(first) {
                return Ok(reader.batch(first, count));
            }
        }
    }
}

/// What was intact when the log was opened or written, and no longer is.
pub(crate) fn damage(segment: &Segment, offset: u64, lsn: Lsn, stated_durable: Lsn) -> Corruption {
    Corruption { segment: segment.id, offset, lsn, damage: Damage::Batch, stated_durable, batches_behind: 0 }
}

impl<'a, S: Storage> IntoIterator for Reader<'a, S> {
    type Item = Result<OwnedRecord, ReadError>;
    type IntoIter = Records<'a, S>;

    fn into_iter(self) -> Records<'a, S> {
        Records { reader: Some(self) }
    }
}

/// Owned records of a log, in order; ends after the first error.
pub struct Records<'a, S: Storage> {
    reader: Option<Reader<'a, S>>,
}

impl<S: Storage> Iterator for Records<'_, S> {
    type Item = Result<OwnedRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let outcome =
            self.reader.as_mut()?.next_record().map(|record| record.map(|record| record.to_owned()));
        if outcome.is_err() {
            self.reader = None;
        }
        outcome.transpose()
    }
}
