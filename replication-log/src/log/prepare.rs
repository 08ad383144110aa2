//! The next segment, prepared while the present one is being filled, from a dropped one if there is.

use alloc::{collections::VecDeque, sync::Arc};

use super::{Log, SegmentId, Storage, StorageError, StorageFile};
use crate::{
    segment::{spare_file_name, unborn_file_name},
    storage::{create_anew, write_zeros},
};

/// How much is written between two syncs, so that the log's own syncs do not queue behind all of it.
const STEP_BYTES: u64 = 4 << 20;

/// What a log has ready for its next rotation.
#[derive(Debug)]
pub(super) struct Ahead<F> {
    pub(super) prepared: Option<Blank<F>>,
    /// Whether a preparation has begun and not finished.
    pub(super) under_way: bool,
    /// The active segment for whose successor it failed, and is not tried again.
    failed: Option<SegmentId>,
    /// Dropped segments whose files are kept.
    pub(super) spares: VecDeque<SegmentId>,
}

impl<F> Default for Ahead<F> {
    fn default() -> Self {
        Self { prepared: None, under_way: false, failed: None, spares: VecDeque::new() }
    }
}

/// A file that has no header yet and no name of its own, and the offset up to which it is zeros.
#[derive(Debug)]
pub(crate) struct Blank<F> {
    pub(crate) file: F,
    pub(crate) zeroed: u64,
}

impl<S: Storage> Log<S> {
    /// Begins to prepare the next segment, so that its zeros can be written on another thread and
    /// long before they are needed. `None` when it is too early, when it is done already, or when
    /// [`LogOptions::prepare_bytes`](crate::LogOptions::prepare_bytes) is 0.
    ///
    /// Hand the outcome of [`PendingSegment::run`] to [`finish_prepare`](Log::finish_prepare). Until
    /// then an append that needs the new segment is refused. A log that never prepares creates its
    /// segments when they are due.
    pub fn begin_prepare(&mut self) -> Option<PendingSegment<S>> {
        let segment = self.segments.active().id.next().filter(|_| self.wants_prepare())?;
        self.ahead.under_way = true;
        Some(self.next_segment(segment, self.options.prepare_bytes))
    }

    /// Takes note of how a preparation ended. An error costs nothing: no byte of the log was involved,
    /// and the segment will be created when it is due.
    pub fn finish_prepare(
        &mut self,
        mut pending: PendingSegment<S>,
        outcome: Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        self.ahead.under_way = false;
        if outcome.is_ok() && pending.is_done() {
            self.ahead.prepared = pending.blank.take();
        } else {
            pending.discard();
            self.ahead.failed = Some(self.segments.active().id);
        }
        outcome
    }

    /// Whether [`begin_prepare`](Log::begin_prepare) would return something.
    pub(crate) fn wants_prepare(&self) -> bool {
        let ahead = &self.ahead;
        self.segments.end().offset > self.options.segment_bytes / 2
            && self.options.prepare_bytes > 0
            && !ahead.under_way
            && ahead.prepared.is_none()
            && ahead.failed != Some(self.segments.active().id)
            && self.poison.is_none()
    }

    /// A blank file for the segment, zero-filled to at least `bytes` or as far as a segment goes.
    pub(super) fn next_segment(&mut self, segment: SegmentId, bytes: u64) -> PendingSegment<S> {
        let limit = self.options.segment_bytes;
        PendingSegment {
            storage: Arc::clone(&self.storage),
            segment,
            spare: self.ahead.spares.pop_front(),
            limit,
            target: bytes.min(limit),
            blank: None,
        }
    }

    /// Whether a preparation has begun and not finished.
    pub(crate) fn is_preparing(&self) -> bool {
        self.ahead.under_way
    }

    /// Removes the segment that was prepared. If it cannot be removed now, it is when another one of its
    /// name is made or the log is opened.
    pub(super) fn discard_prepared(&mut self) {
        let prepared = self.ahead.prepared.take().and_then(|_| self.segments.active().id.next());
        if let Some(segment) = prepared {
            self.storage.remove(&unborn_file_name(segment)).ok();
        }
        self.ahead.failed = None;
    }

    /// Removes what was made ready and will not be used. What cannot be removed now is when the log
    /// is opened.
    pub(super) fn discard_ahead(&mut self) {
        self.discard_prepared();
        for segment in self.ahead.spares.drain(..) {
            self.storage.remove(&spare_file_name(segment)).ok();
        }
    }
}

/// A segment that is being prepared. Run it on any thread, then give its outcome back to the log.
#[must_use = "the log starts no new segment until this is finished"]
pub struct PendingSegment<S: Storage> {
    storage: Arc<S>,
    segment: SegmentId,
    spare: Option<SegmentId>,
    limit: u64,
    target: u64,
    blank: Option<Blank<S::File>>,
}

impl<S: Storage> PendingSegment<S> {
    /// Creates the file, or takes that of a dropped segment, and fills it with zeros, durably.
    /// O(bytes of a segment).
    pub fn run(&mut self) -> Result<(), StorageError> {
        while !self.step()? {}
        Ok(())
    }

    /// Does a part of [`run`](PendingSegment::run), for a thread that has other things to do in
    /// between, and returns whether it was the last.
    pub fn step(&mut self) -> Result<bool, StorageError> {
        let Some(blank) = &mut self.blank else {
            let file = self.find_file()?;
            self.blank = Some(Blank { file, zeroed: 0 });
            return Ok(false);
        };
        let end = blank.zeroed.saturating_add(STEP_BYTES).min(self.target);
        write_zeros(&blank.file, blank.zeroed, end)?;
        // Before there is a header: behind the end of a log there is never anything but zeros.
        blank.file.sync_data()?;
        blank.zeroed = end;
        Ok(end == self.target)
    }

    /// Removes the file. If it cannot be removed now, opening the log does it.
    fn discard(&mut self) {
        self.blank = None;
        self.storage.remove(&unborn_file_name(self.segment)).ok();
    }

    fn is_done(&self) -> bool {
        self.blank.as_ref().is_some_and(|blank| blank.zeroed >= self.target)
    }

    fn find_file(&mut self) -> Result<S::File, StorageError> {
        let unborn = unborn_file_name(self.segment);
        let Some(spare) = self.spare.take() else {
            return create_anew(&*self.storage, &unborn);
        };
        self.storage.rename(&spare_file_name(spare), &unborn)?;
        // Not made durable: whichever of its names survive a crash, opening the log removes them and
        // uses none, so a spare can never be a second name for a segment that is overwritten with it.
        let file = self.storage.open(&unborn)?;
        let length = file.len()?;
        if length > self.limit {
            file.set_len(self.limit)?;
        }
        self.target = self.target.max(length.min(self.limit));
        Ok(file)
    }
}

impl<S: Storage> core::fmt::Debug for PendingSegment<S> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("PendingSegment")
            .field("segment", &self.segment)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
