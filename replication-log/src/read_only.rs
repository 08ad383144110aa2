//! Looking at a log without touching it.

use alloc::{string::String, vec::Vec};

use crate::{
    Corruption, Epoch, Lsn, OpenError, ReadError, Reader, RecoveryReport, SegmentId,
    limits::MAX_SURVEYS,
    recover::{Survey, foresee, survey},
    seal::Sealing,
    segment::SegmentHeader,
    segments::{Segment, Segments},
    storage::{Storage, StorageErrorKind},
};

/// A log that is looked at and not touched: to verify it, to read it, to find out what opening it
/// would do.
///
/// Nothing is written, cut, created or locked. It may be opened beside a live writer, of which it sees
/// what was written when it looked, durable or not; looking again needs another
/// [`open`](ReadOnlyLog::open). Corruption is no error here but part of what is found, and everything
/// before it can be read.
///
/// ```
/// use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, ReadOnlyLog, RecordKind, storage::MemoryStorage};
///
/// let storage = MemoryStorage::new();
/// let (mut log, _) = Log::open(storage.clone(), LogOptions::new(0x5eed))?;
/// log.append(&Batch::of(Epoch::ZERO, RecordKind(1), b"milk")?)?;
/// log.flush()?;
///
/// let view = ReadOnlyLog::open(storage, Lsn::ZERO)?;
/// assert_eq!((view.corruption(), view.report().last), (None, Lsn::new(1)));
/// let mut reader = view.read_from(Lsn::FIRST)?;
/// assert_eq!(reader.next_record()?.map(|record| record.payload), Some(&b"milk"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ReadOnlyLog<S: Storage> {
    storage: S,
    segments: Segments,
    report: RecoveryReport,
    corruption: Option<Corruption>,
    left_over: Vec<String>,
    sealing: Sealing,
}

/// One segment of a log, as far as it is intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentSummary {
    /// Its place in the log, which names its file.
    pub segment: SegmentId,
    /// The first record that belongs here.
    pub first: Lsn,
    /// The last record there is; the one before `first` when there is none.
    pub last: Lsn,
    /// The epoch at its end.
    pub epoch: Epoch,
    /// Where its last batch ends.
    pub used_bytes: u64,
}

impl<S: Storage> ReadOnlyLog<S> {
    /// Surveys the log in `storage`. O(bytes in the log).
    ///
    /// `known_durable` is what a checkpoint outside the log knows to be durable, as
    /// [`LogOptions::known_durable`](crate::LogOptions::known_durable) is; [`Lsn::ZERO`] if none does.
    ///
    /// A live writer changes the log while it is surveyed, which can look like damage. Damage stays
    /// where it is, so it is believed when it is found twice in the same place, and otherwise the
    /// log is surveyed again, up to [`MAX_SURVEYS`] times.
    ///
    /// # Errors
    ///
    /// Another version of the format, and failures of the storage. Corruption is none.
    pub fn open(storage: S, known_durable: Lsn) -> Result<Self, OpenError> {
        Self::open_sealed(storage, known_durable, Sealing::plain())
    }

    /// Surveys the log in `storage` like [`open`](Self::open), with the keys that its batches are
    /// read with.
    pub fn open_sealed(storage: S, known_durable: Lsn, sealing: Sealing) -> Result<Self, OpenError> {
        let survey = settled_survey(&storage, known_durable, &sealing)?;
        let report = foresee(&survey);
        let segments = survey.found.map(|found| found.segments);
        Ok(Self {
            storage,
            segments: segments.unwrap_or_else(nothing),
            report,
            corruption: survey.corruption,
            left_over: survey.left_over,
            sealing,
        })
    }

    /// What opening the log would report, or if it is [corrupt](Self::corruption), would have found
    /// where its intact part ends.
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Why opening the log would be refused, if it would.
    pub fn corruption(&self) -> Option<&Corruption> {
        self.corruption.as_ref()
    }

    /// Files that hold nothing of the log and that opening it would remove: segments that never got
    /// their name, and dropped ones. A live writer may be about to use them.
    pub fn left_over(&self) -> &[String] {
        &self.left_over
    }

    /// The segments of the intact part, oldest first; none when there is no log.
    pub fn segments(&self) -> impl Iterator<Item = SegmentSummary> + '_ {
        let segments = (0..self.report.segments).filter_map(|index| self.segments.get(index));
        segments.map(|segment| SegmentSummary {
            segment: segment.id,
            first: segment.first(),
            last: segment.end().next.previous().unwrap_or(Lsn::ZERO),
            epoch: segment.end().epoch,
            used_bytes: segment.end().offset,
        })
    }

    /// Reads from `lsn` on to the end of the intact part; see [`Log::read_from`](crate::Log::read_from).
    ///
    /// What a live writer drops or cuts meanwhile is an error of the reader.
    pub fn read_from(&self, lsn: Lsn) -> Result<Reader<'_, S>, ReadError> {
        Reader::new(&self.storage, &self.segments, &self.sealing, lsn, self.report.last)
    }
}

/// Surveys until nothing is in the way of believing what was found.
fn settled_survey<S: Storage>(
    storage: &S,
    known_durable: Lsn,
    sealing: &Sealing,
) -> Result<Survey<S::File>, OpenError> {
    let mut before = None;
    let mut left = MAX_SURVEYS;
    loop {
        left -= 1;
        match survey(storage, known_durable, sealing) {
            // A segment was dropped between its name and its bytes.
            Err(OpenError::Storage(error)) if error.kind == StorageErrorKind::NotFound && left > 0 => {}
            Ok(survey) if survey.corruption.is_some() && survey.corruption != before && left > 0 => {
                before = survey.corruption;
            }
            outcome => return outcome,
        }
    }
}

/// What is known of the segments of a log that has none.
fn nothing() -> Segments {
    let header = SegmentHeader {
        log_id: 0,
        segment: SegmentId::FIRST,
        first: Lsn::FIRST,
        epoch: Epoch::ZERO,
        durable: Lsn::ZERO,
        chain: 0,
        reign: Epoch::ZERO,
    };
    Segments::new(Segment::new(&header))
}
