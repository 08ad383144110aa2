//! The reading half of recovery: it looks at everything and touches nothing.

use alloc::{string::String, sync::Arc, vec::Vec};

use super::intent::{Intent, IntentFile, UNBORN_INTENT_NAME, read_intent};
use crate::{
    Corruption, Cut, Damage, Lsn, OpenError, SegmentId,
    seal::{Sealing, Unsealer},
    segment::{
        BatchKind, Behind, FORMAT_VERSION, HEADER_BYTES, HeaderError, Place, SegmentHeader, Step, Walk,
        file_name, find_headers, holds_records, is_left_over_file_name, parse_file_name,
    },
    segments::{Segment, Segments},
    storage::{Storage, StorageError, StorageFile},
};

/// All there is to know about a log before anything is written.
pub(crate) struct Survey<F> {
    /// The intact part, if the log has any segment that can be read.
    pub(crate) found: Option<Found<F>>,
    /// Files that never got their name, and dropped segments that were kept to be used again.
    pub(crate) left_over: Vec<String>,
    /// A truncation that was not finished. What is found ends where it cuts.
    pub(crate) intent: Option<Intent>,
    /// Why the log must not be opened.
    pub(crate) corruption: Option<Corruption>,
}

/// The intact part of a log, and what lies behind it.
pub(crate) struct Found<F> {
    pub(crate) log_id: u64,
    pub(crate) segments: Segments,
    /// The segment in which the intact part ends.
    pub(crate) file: Arc<F>,
    pub(crate) length: u64,
    /// The first byte of that segment that no statement proves durable, if there is one before the end.
    pub(crate) unproven: Option<u64>,
    pub(crate) behind: Behind,
    /// Segments behind the hole, or behind the cut of a truncation.
    pub(crate) later: Vec<SegmentId>,
    /// Whether the last batch is the mark of a clean close.
    pub(crate) closed: bool,
}

impl<F> Found<F> {
    /// The unsynced tail, if there is one and no truncation decides where the log ends.
    pub(super) fn cut(&self) -> Option<Cut> {
        let end = self.segments.end();
        let used_end = self.behind.used_end.max(end.offset);
        let torn = used_end > end.offset || !self.later.is_empty();
        torn.then(|| Cut {
            segment: self.segments.active().id,
            offset: end.offset,
            bytes: used_end - end.offset,
            batches: self.behind.headers,
            last_seen: self.behind.last,
            removed: self.later.clone(),
        })
    }
}

/// Reads the whole log. O(bytes).
pub(crate) fn survey<S: Storage>(
    storage: &S,
    known_durable: Lsn,
    sealing: &Sealing,
) -> Result<Survey<S::File>, OpenError> {
    let names = storage.list()?;
    let mut present: Vec<SegmentId> = names.iter().filter_map(|name| parse_file_name(name)).collect();
    present.sort_unstable();
    let intent_file = read_intent(storage, &names)?;
    let left_over = |name: &String| is_left_over_file_name(name) || name == UNBORN_INTENT_NAME;
    let left_over = names.into_iter().filter(left_over).collect();

    let intent = if let IntentFile::Intact(intent) = intent_file { Some(intent) } else { None };
    let kept = |&segment: &SegmentId| intent.is_none_or(|intent| segment <= intent.segment);
    let cut_off = present.split_off(present.partition_point(kept));
    // The cut was decided when all that stays was durable.
    let stated = intent.map_or(known_durable, |intent| known_durable.max(intent.last));
    let mut scan = Scan { storage, sealing, stated, intent, found: None, closed: false };
    let mut stop = None;
    let mut read = 0;
    for &segment in &present {
        stop = scan.enter(segment)?;
        if stop.is_some() {
            break;
        }
        read += 1;
    }
    let later = present.split_off(read);
    let mut survey = scan.conclude(stop, later, left_over)?;
    if let Some(found) = &mut survey.found {
        found.later.extend(cut_off);
    }
    if matches!(intent_file, IntentFile::Damaged) {
        survey.corruption = Some(survey.corrupt_intent());
    }
    Ok(survey)
}

impl<F> Survey<F> {
    /// The intent cannot be followed, so where the log is to end is unknown.
    fn corrupt_intent(&self) -> Corruption {
        let (segment, end) = match &self.found {
            Some(found) => (found.segments.active().id, Some(found.segments.end())),
            None => (SegmentId::FIRST, None),
        };
        let lsn = end.map_or(Lsn::FIRST, |end| end.next);
        Corruption {
            segment,
            offset: end.map_or(0, |end| end.offset),
            lsn,
            damage: Damage::Intent,
            stated_durable: self.intent.map_or(Lsn::ZERO, |intent| intent.last),
            batches_behind: self.found.as_ref().map_or(0, |found| found.behind.headers),
        }
    }
}

struct Scan<'a, S: Storage> {
    storage: &'a S,
    sealing: &'a Sealing,
    /// The highest durable record stated so far.
    stated: Lsn,
    /// Where the log ends, whatever lies behind.
    intent: Option<Intent>,
    found: Option<Found<S::File>>,
    closed: bool,
}

/// Why the scan stopped before the last segment.
#[derive(Clone, Copy)]
enum Stop {
    /// The segment itself is bad, wherever the log before it ends.
    Bad(SegmentId, Damage),
    /// The segment is intact, but records are missing before it.
    Gap,
}

impl<S: Storage> Scan<'_, S> {
    /// Reads one more segment, if it continues the log.
    fn enter(&mut self, segment: SegmentId) -> Result<Option<Stop>, OpenError> {
        let expected = self.found.as_ref().and_then(|found| found.segments.active().id.next());
        if let Some(expected) = expected.filter(|&expected| expected != segment) {
            return Ok(Some(Stop::Bad(expected, Damage::Missing)));
        }
        let file = Arc::new(self.storage.open(&file_name(segment))?);
        let header = match read_header(&*file)? {
            Ok(header) => header,
            Err(HeaderError::Damaged) => return Ok(Some(Stop::Bad(segment, Damage::Header))),
            Err(HeaderError::Version(found)) => {
                return Err(OpenError::UnsupportedVersion { segment, found, supported: FORMAT_VERSION });
            }
        };
        if header.segment != segment {
            return Ok(Some(Stop::Bad(segment, Damage::Misplaced)));
        }
        if let Some(found) = &self.found {
            let end = found.segments.end();
            if header.log_id != found.log_id || header.first < end.next {
                return Ok(Some(Stop::Bad(segment, Damage::Misplaced)));
            }
            if header.first > end.next {
                return Ok(Some(Stop::Gap));
            }
            if header.chain != end.chain || header.reign != end.reign || header.epoch < end.epoch {
                return Ok(Some(Stop::Bad(segment, Damage::Misplaced)));
            }
        }
        self.stated = self.stated.max(header.durable);
        self.read_batches(file, &header)?;
        Ok(None)
    }

    fn read_batches(&mut self, file: Arc<S::File>, header: &SegmentHeader) -> Result<(), OpenError> {
        let length = file.len()?;
        let mut segment = Segment::new(header);
        let cut = self.intent.filter(|intent| intent.segment == segment.id);
        let end = cut.map_or(length, |intent| intent.offset.min(length));
        let mut walk = self.walk(Arc::clone(&file), segment.identity, segment.end(), end);
        self.closed = false;
        loop {
            let batch = match walk.step()? {
                Step::Batch(batch) if holds_records(walk.body(), batch.count) => batch,
                Step::Batch(_) | Step::Hole => break,
                Step::Unreadable(reason) => return Err(reason.at(header.segment, walk.place().offset)),
            };
            segment.extend(walk.place());
            self.stated = self.stated.max(batch.durable);
            self.closed = batch.kind == BatchKind::Close;
        }
        if let Some(found) = &mut self.found {
            found.segments.push(segment, found.length);
            (found.file, found.length) = (file, length);
        } else {
            let segments = Segments::new(segment);
            self.found = Some(Found {
                log_id: header.log_id,
                segments,
                file,
                length,
                unproven: None,
                behind: Behind::default(),
                later: Vec::new(),
                closed: false,
            });
        }
        Ok(())
    }

    /// Looks behind the hole and applies the hole rule.
    fn conclude(
        mut self,
        stop: Option<Stop>,
        later: Vec<SegmentId>,
        left_over: Vec<String>,
    ) -> Result<Survey<S::File>, OpenError> {
        let Some(mut found) = self.found.take() else {
            let corruption = self.without_segments(stop);
            return Ok(Survey { found: None, left_over, intent: self.intent, corruption });
        };
        let end = found.segments.end();
        let identity = found.segments.active().identity;
        found.behind = find_headers(&*found.file, identity, end.offset, found.length)?;
        for &segment in &later {
            let behind = self.look_into(segment, found.log_id)?;
            found.behind.join(&behind);
        }
        if self.intent.is_none() {
            self.stated = self.stated.max(found.behind.durable);
        }
        found.later = later;
        found.closed = self.closed;
        found.unproven = self.first_unproven(&found)?;

        let (segment, offset, damage) = match stop {
            Some(Stop::Bad(segment, damage)) => (segment, 0, damage),
            _ => (found.segments.active().id, end.offset, Damage::Batch),
        };
        let bad = matches!(stop, Some(Stop::Bad(..)));
        let corruption = (bad || self.stated >= end.next).then_some(Corruption {
            segment,
            offset,
            lsn: end.next,
            damage,
            stated_durable: self.stated,
            batches_behind: found.behind.headers,
        });
        let at = |intent: Intent| intent.is_at(found.log_id, found.segments.active().id, end);
        let led_astray = corruption.is_none() && !self.intent.is_none_or(at);
        let mut survey = Survey { found: Some(found), left_over, intent: self.intent, corruption };
        if led_astray {
            survey.corruption = Some(survey.corrupt_intent());
        }
        Ok(survey)
    }

    /// A log of which no segment can be read: new, unless something says that there must be one.
    fn without_segments(&self, stop: Option<Stop>) -> Option<Corruption> {
        let (segment, damage) = match stop {
            Some(Stop::Bad(segment, damage)) => (segment, damage),
            _ if self.stated > Lsn::ZERO || self.intent.is_some() => (SegmentId::FIRST, Damage::Missing),
            _ => return None,
        };
        let (lsn, stated_durable) = (Lsn::FIRST, self.stated);
        Some(Corruption { segment, offset: 0, lsn, damage, stated_durable, batches_behind: 0 })
    }

    /// What a segment behind the hole states, whether it is intact itself or not.
    fn look_into(&self, segment: SegmentId, log_id: u64) -> Result<Behind, StorageError> {
        let file = self.storage.open(&file_name(segment))?;
        let identity = crate::segment::identity_of(log_id, segment);
        let mut behind = find_headers(&file, identity, HEADER_BYTES as u64, file.len()?)?;
        // Offsets in another segment say nothing about where this one is used.
        behind.used_end = 0;
        if let Ok(header) = read_header(&file)? {
            behind.durable = behind.durable.max(header.durable);
            behind.epoch = behind.epoch.max(header.epoch);
        }
        Ok(behind)
    }

    fn walk(&self, file: Arc<S::File>, identity: u64, place: Place, end: u64) -> Walk<S::File> {
        Walk::new(file, identity, place, end).unseal_with(Unsealer::before_writing(self.sealing.clone()))
    }

    /// Where the first batch begins that may be in the operating system's cache only.
    fn first_unproven(&self, found: &Found<S::File>) -> Result<Option<u64>, StorageError> {
        let segment = found.segments.active();
        let place = segment.seek(self.stated);
        let mut walk = self.walk(Arc::clone(&found.file), segment.identity, place, segment.end().offset);
        loop {
            let offset = walk.place().offset;
            let Step::Batch(batch) = walk.step()? else {
                return Ok(None);
            };
            let proven = match batch.kind {
                BatchKind::Records | BatchKind::Copied => {
                    batch.next().is_some_and(|next| next.previous() <= Some(self.stated))
                }
                BatchKind::Promise | BatchKind::Unknown(_) => batch.first <= self.stated,
                // It says nothing that was not durable before it was written.
                BatchKind::Close => true,
            };
            if !proven {
                return Ok(Some(offset));
            }
        }
    }
}

fn read_header<F: StorageFile>(file: &F) -> Result<Result<SegmentHeader, HeaderError>, StorageError> {
    let mut bytes = [0; HEADER_BYTES];
    let count = file.read_at(0, &mut bytes)?;
    Ok(if count < HEADER_BYTES { Err(HeaderError::Damaged) } else { SegmentHeader::decode(&bytes) })
}
