//! Opening a log: find where its intact part ends, decide whether that is a tear or damage, and
//! mend a tear.
//!
//! The *hole rule* decides. Where the intact part ends there is a hole: a batch that does not
//! verify, or none. It is **damage** if anything intact (a later batch header, a later segment's
//! header, the mark of a clean close, or the caller's own checkpoint) states a durable record at or
//! above the one that belongs into the hole. Otherwise nothing behind the hole was ever reported
//! durable: it is the **unsynced tail** of a log that lost power, and is cut.

mod intent;
mod survey;

use alloc::{string::String, sync::Arc, vec::Vec};

pub use intent::Truncation;
pub(crate) use intent::{INTENT_NAME, Intent, Remains, UNBORN_INTENT_NAME, carry_out, declare};
pub(crate) use survey::{Survey, survey};

use crate::{
    Epoch, Log, LogOptions, Lsn, OpenError, Position, SegmentId,
    limits::{MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES},
    log::{CreateError, Recovered, create_segment},
    segment::{BATCH_HEADER_BYTES, BatchHeader, BatchKind, Place, SegmentHeader, file_name},
    segments::{Segment, Segments},
    storage::{Storage, StorageError, StorageFile, chunk_of, write_zeros},
};

/// What opening a log found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The oldest record the log holds, or the next to be written when it holds none.
    pub oldest: Lsn,
    /// The last record. All records up to it are durable now.
    pub last: Lsn,
    /// The epoch the log stands at.
    pub epoch: Epoch,
    /// How many segments there are.
    pub segments: usize,
    /// Whether the log had been closed, so that the absence of damage is certain.
    pub closed_cleanly: bool,
    /// What was cut off the end, if anything was.
    pub cut: Option<Cut>,
    /// The cut by [`Log::truncate_after`] that had been interrupted and was finished, if one was.
    pub truncated: Option<Truncation>,
}

/// An unsynced tail that was cut off. Nothing in it had ever been reported durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment in which the log ends now.
    pub segment: SegmentId,
    /// Where in that segment it ends.
    pub offset: u64,
    /// How many bytes up to the last one that was not zero were overwritten with zeros.
    pub bytes: u64,
    /// How many batch headers behind the tear were intact.
    pub batches: u64,
    /// The highest record those headers number; [`Lsn::ZERO`] when there were none.
    pub last_seen: Lsn,
    /// Later segments that were removed with the tail.
    pub removed: Vec<SegmentId>,
}

pub(crate) fn open<S: Storage>(
    storage: S,
    options: LogOptions,
) -> Result<(Log<S>, RecoveryReport), OpenError> {
    let (min, max) = (MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES);
    if !(min..=max).contains(&options.segment_bytes) {
        return Err(OpenError::SegmentSize { bytes: options.segment_bytes, min, max });
    }
    // What lies before the beginning of a log that is yet to be created cannot be missing from it.
    let start = options.starts_after.lsn;
    let known_durable = if options.known_durable > start { options.known_durable } else { Lsn::ZERO };
    let survey = survey(&storage, known_durable, &options.sealing)?;
    if let Some(corruption) = survey.corruption {
        return Err(corruption.into());
    }
    let last = survey.found.as_ref().map(|found| found.segments.end().next.previous().unwrap_or(Lsn::ZERO));
    if let Some(last) = last.filter(|&last| last < start) {
        return Err(OpenError::EndsBeforeStart { last, start });
    }
    remove_left_over(&storage, &survey.left_over)?;
    let (recovered, cut, truncated) = match (survey.found, survey.intent) {
        (Some(found), Some(intent)) => {
            let (recovered, truncated) = finish_truncation(storage, options, found, &intent)?;
            (recovered, None, Some(truncated))
        }
        (Some(found), None) => {
            let (recovered, cut) = mend(storage, options, found)?;
            (recovered, cut, None)
        }
        (None, _) => (create(storage, options)?, None, None),
    };
    let closed_cleanly = recovered.closed;
    let segments = recovered.segments.len();
    let log = Log::from_recovered(recovered);
    let report = RecoveryReport {
        oldest: log.oldest(),
        last: log.durable(),
        epoch: log.epoch(),
        segments,
        closed_cleanly,
        cut,
        truncated,
    };
    Ok((log, report))
}

/// What opening a log that was surveyed would report.
pub(crate) fn foresee<F>(survey: &Survey<F>) -> RecoveryReport {
    let Some(found) = &survey.found else {
        let (oldest, last, epoch) = (Lsn::FIRST, Lsn::ZERO, Epoch::ZERO);
        return RecoveryReport {
            oldest,
            last,
            epoch,
            segments: 0,
            closed_cleanly: false,
            cut: None,
            truncated: None,
        };
    };
    let end = found.segments.end();
    let (cut, truncated, epoch) = match &survey.intent {
        Some(intent) => (None, Some(intent.report(found.later.clone())), intent.epoch),
        None => (found.cut(), None, found.behind.epoch),
    };
    RecoveryReport {
        oldest: found.segments.oldest(),
        last: end.next.previous().unwrap_or(Lsn::ZERO),
        epoch: end.epoch.max(epoch),
        segments: found.segments.len(),
        closed_cleanly: found.closed && cut.is_none() && truncated.is_none(),
        cut,
        truncated,
    }
}

/// Removes files that hold nothing of the log: segments that never got their name, which never held
/// a batch, and segments that were dropped.
pub(crate) fn remove_left_over<S: Storage>(storage: &S, left_over: &[String]) -> Result<(), StorageError> {
    for name in left_over {
        storage.remove(name)?;
    }
    if left_over.is_empty() { Ok(()) } else { storage.sync_directory() }
}

fn create<S: Storage>(storage: S, options: LogOptions) -> Result<Recovered<S>, OpenError> {
    let Position { lsn, epoch, checksum } = options.starts_after;
    // Behind the last number there is none to begin with.
    let first = lsn.next().filter(|first| first.next().is_some()).ok_or(OpenError::Exhausted)?;
    let header = SegmentHeader {
        log_id: options.log_id,
        segment: SegmentId::FIRST,
        first,
        epoch,
        durable: lsn,
        chain: checksum,
        reign: epoch,
    };
    let preallocate = options.preallocate_bytes.min(options.segment_bytes);
    let (file, zeroed) = create_segment(&storage, &header, preallocate).map_err(CreateError::into_inner)?;
    Ok(Recovered {
        storage,
        id: options.log_id,
        segments: Segments::new(Segment::new(&header).reserve(options.segment_bytes)),
        options,
        file: Arc::new(file),
        zeroed,
        closed: false,
    })
}

/// Cuts the unsynced tail off and makes all that is left durable.
fn mend<S: Storage>(
    storage: S,
    options: LogOptions,
    found: survey::Found<S::File>,
) -> Result<(Recovered<S>, Option<Cut>), OpenError> {
    let cut = found.cut();
    let survey::Found { log_id, mut segments, file, length, unproven, behind, later, closed } = found;
    // Newest first: whatever remains when this is interrupted, the same hole is found with less
    // behind it.
    for &segment in later.iter().rev() {
        storage.remove(&file_name(segment))?;
        storage.sync_directory()?;
    }
    let end = segments.end();
    let used_end = behind.used_end.max(end.offset);
    if let Some(unproven) = unproven {
        rewrite(&*file, unproven, end.offset)?;
    }
    if behind.epoch > end.epoch {
        keep_promise(&mut segments, &*file, behind.epoch)?;
    }
    // Through to the last byte: whatever survived there must not follow a batch that is written
    // here later.
    write_zeros(&*file, segments.end().offset, used_end)?;
    // What is in the file may be in the cache only, and its name too: a process can die without the
    // machine.
    file.sync_data()?;
    storage.sync_directory()?;
    let zeroed = length.max(segments.end().offset);
    Ok((
        Recovered { storage, id: log_id, options, segments, file, zeroed, closed: closed && cut.is_none() },
        cut,
    ))
}

/// Finishes a truncation that was interrupted.
fn finish_truncation<S: Storage>(
    storage: S,
    options: LogOptions,
    found: survey::Found<S::File>,
    intent: &Intent,
) -> Result<(Recovered<S>, Truncation), OpenError> {
    let survey::Found { log_id, mut segments, file, length, behind, later, .. } = found;
    // Its name may be in the cache only: a process can die without the machine.
    storage.sync_directory()?;
    let (identity, place) = (segments.active().identity, segments.end());
    let used_end = behind.used_end.max(place.offset);
    let remains = Remains { file: &*file, identity, place, used_end, later: &later };
    let end = carry_out(&storage, intent, &remains)?;
    segments.extend(end);
    let zeroed = length.max(end.offset);
    let recovered = Recovered { storage, id: log_id, options, segments, file, zeroed, closed: false };
    Ok((recovered, intent.report(later)))
}

/// Writes bytes that no statement proves durable over themselves.
///
/// After a failed sync the operating system may hold them in its cache, clean, and never write
/// them: reading finds them and the next sync succeeds without them. Writing them again makes that
/// sync mean something.
fn rewrite<F: StorageFile>(file: &F, from: u64, to: u64) -> Result<(), StorageError> {
    const CHUNK_BYTES: usize = 64 << 10;
    let mut buffer = Vec::new();
    let mut offset = from;
    while offset < to {
        buffer.resize(chunk_of(to - offset, CHUNK_BYTES), 0);
        let count = file.read_at(offset, &mut buffer)?;
        if count == 0 {
            break;
        }
        file.write_at(offset, &buffer[..count])?;
        offset += count as u64;
    }
    Ok(())
}

/// Carries an epoch seen in the tail over the cut, durably before the zeros destroy the only
/// evidence of it.
///
/// It may never have been promised, and then refusing older epochs costs an election; the other way
/// round it would cost a fork.
fn keep_promise<F: StorageFile>(segments: &mut Segments, file: &F, epoch: Epoch) -> Result<(), StorageError> {
    let end = promise_at(file, segments.active().identity, segments.end(), epoch, Lsn::ZERO)?;
    file.sync_data()?;
    segments.extend(end);
    Ok(())
}

/// Writes the mark of a promise and returns the place behind it.
fn promise_at<F: StorageFile>(
    file: &F,
    identity: u64,
    place: Place,
    epoch: Epoch,
    durable: Lsn,
) -> Result<Place, StorageError> {
    let header = BatchHeader {
        kind: BatchKind::Promise,
        flags: 0,
        length: 0,
        count: 0,
        first: place.next,
        epoch,
        durable,
        chain: place.chain,
    };
    file.write_at(place.offset, &header.encode(identity, place.offset))?;
    Ok(Place { offset: place.offset + BATCH_HEADER_BYTES as u64, epoch, ..place })
}
