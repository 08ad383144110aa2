//! Making room: zeros ahead of the records, and a new segment when one is full.

use super::{
    AppendError, Arc, CloseError, HEADER_BYTES, Log, Poison, PoisonedBy, PromiseError, Segment, SegmentId,
    Storage, StorageError, StorageFile, prepare::Blank,
};
use crate::{
    segment::{SegmentHeader, file_name, unborn_file_name},
    storage::{create_anew, write_zeros},
};

/// Why there is no room. Only a poisoned log has changed.
pub(super) enum NoRoom {
    TooLarge { bytes: u64, limit: u64 },
    Exhausted,
    SyncUnderWay,
    Storage(StorageError),
    Poisoned(Poison),
}

impl<S: Storage> Log<S> {
    /// Sees to it that `bytes` can be written at the end of the active segment, with a new segment
    /// if need be.
    pub(super) fn make_room(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let has_room = !self.in_flight || self.stage.has_room(bytes);
        let bytes = bytes as u64;
        let limit = self.options.segment_bytes - HEADER_BYTES as u64;
        if bytes > limit {
            return Err(NoRoom::TooLarge { bytes, limit });
        }
        if self.needs_new_segment(bytes) {
            self.rotate()?;
        }
        if !has_room {
            return Err(NoRoom::SyncUnderWay);
        }
        self.zero_ahead(self.segments.end().offset + bytes).map_err(NoRoom::Storage)
    }

    /// Whether an append of this many bytes has to wait for the sync, or for the preparation of the
    /// next segment, that is under way.
    #[cfg(feature = "std")]
    pub(crate) fn has_to_wait(&self, bytes: usize) -> bool {
        let busy = self.sync_under_way || self.ahead.under_way;
        let turns = busy && self.needs_new_segment((bytes + self.sealer.overhead_bytes()) as u64);
        turns || self.in_flight && !self.stage.has_room(bytes)
    }

    fn needs_new_segment(&self, bytes: u64) -> bool {
        self.segments.end().offset + bytes > self.options.segment_bytes
    }

    /// Fills with zeros until at least `end` is. A failure costs nothing: what was written is zeros
    /// behind the log.
    fn zero_ahead(&mut self, end: u64) -> Result<(), StorageError> {
        let step = self.options.preallocate_bytes;
        if step == 0 || end <= self.zeroed {
            return Ok(());
        }
        let target = end.saturating_add(step - 1).min(self.options.segment_bytes).max(end);
        write_zeros(&*self.file, self.zeroed, target)?;
        self.zeroed = target;
        Ok(())
    }

    /// Closes the active segment and starts the next one.
    ///
    /// The old one is durable before the new one has a name, so only the last segment of a log can
    /// end in a tear.
    fn rotate(&mut self) -> Result<(), NoRoom> {
        if self.sync_under_way || self.ahead.under_way {
            return Err(NoRoom::SyncUnderWay);
        }
        let segment = self.segments.active().id.next().ok_or(NoRoom::Exhausted)?;
        self.write_staged().map_err(NoRoom::Poisoned)?;
        let outcome = self.file.sync_data();
        outcome.map_err(|error| NoRoom::Poisoned(self.poisoned(PoisonedBy::Sync, error)))?;
        self.durable = self.last();
        self.durable_epoch = self.epoch();

        let end = self.segments.end();
        let header = SegmentHeader {
            log_id: self.id,
            segment,
            first: end.next,
            epoch: end.epoch,
            reign: end.reign,
            durable: self.durable,
            chain: end.chain,
        };
        let blank = self.blank_segment(segment)?;
        match name_segment(&*self.storage, &blank.file, &header) {
            Ok(()) => {
                let segment = Segment::new(&header).reserve(self.options.segment_bytes);
                self.segments.push(segment, self.file_bytes());
                self.file = Arc::new(blank.file);
                self.zeroed = blank.zeroed.max(HEADER_BYTES as u64);
                Ok(())
            }
            Err(CreateError::Unborn(error)) => Err(NoRoom::Storage(error)),
            Err(CreateError::Unknown(error)) => {
                Err(NoRoom::Poisoned(self.poisoned(PoisonedBy::Rotation, error)))
            }
        }
    }

    /// The file that was prepared, or one that is made now.
    fn blank_segment(&mut self, segment: SegmentId) -> Result<Blank<S::File>, NoRoom> {
        if let Some(prepared) = self.ahead.prepared.take() {
            return Ok(prepared);
        }
        let zeros = self.options.preallocate_bytes.min(self.options.segment_bytes);
        if self.ahead.spares.is_empty() {
            return create_blank(&*self.storage, segment, zeros).map_err(NoRoom::Storage);
        }
        let mut pending = self.next_segment(segment, zeros);
        let outcome = pending.run();
        self.finish_prepare(pending, outcome).map_err(NoRoom::Storage)?;
        // It has run to its end, so this is never needed.
        self.ahead.prepared.take().ok_or(NoRoom::SyncUnderWay)
    }
}

/// Why a segment was not created.
pub(crate) enum CreateError {
    /// It never got its name; the log is as it was.
    Unborn(StorageError),
    /// Whether it exists is unknown.
    Unknown(StorageError),
}

impl CreateError {
    pub(crate) fn into_inner(self) -> StorageError {
        match self {
            Self::Unborn(error) | Self::Unknown(error) => error,
        }
    }
}

/// Creates a segment's file and returns it with the offset up to which it is filled with zeros.
pub(crate) fn create_segment<S: Storage>(
    storage: &S,
    header: &SegmentHeader,
    preallocate: u64,
) -> Result<(S::File, u64), CreateError> {
    let blank = create_blank(storage, header.segment, preallocate).map_err(CreateError::Unborn)?;
    name_segment(storage, &blank.file, header)?;
    Ok((blank.file, blank.zeroed.max(HEADER_BYTES as u64)))
}

/// A new file, filled with zeros that are not durable yet.
fn create_blank<S: Storage>(
    storage: &S,
    segment: SegmentId,
    zeros: u64,
) -> Result<Blank<S::File>, StorageError> {
    let unborn = unborn_file_name(segment);
    let made = create_anew(storage, &unborn).and_then(|file| {
        write_zeros(&file, HEADER_BYTES as u64, zeros)?;
        Ok(Blank { file, zeroed: zeros })
    });
    // If it cannot be removed now, the next attempt or the next opening does it.
    made.inspect_err(|_| drop(storage.remove(&unborn)))
}

/// Gives a blank file its header and its name.
///
/// It gets its name only after its header is durable, and nothing is written to it before its name is.
fn name_segment<S: Storage>(storage: &S, file: &S::File, header: &SegmentHeader) -> Result<(), CreateError> {
    let unborn = unborn_file_name(header.segment);
    let outcome = file.write_at(0, &header.encode()).and_then(|()| file.sync_data());
    outcome.map_err(|error| {
        storage.remove(&unborn).ok();
        CreateError::Unborn(error)
    })?;
    let named = storage.rename(&unborn, &file_name(header.segment)).and_then(|()| storage.sync_directory());
    named.map_err(CreateError::Unknown)
}

impl From<NoRoom> for AppendError {
    fn from(reason: NoRoom) -> Self {
        match reason {
            NoRoom::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            NoRoom::Exhausted => Self::Exhausted,
            NoRoom::SyncUnderWay => Self::SyncUnderWay,
            NoRoom::Storage(error) => Self::NoRoom(error),
            NoRoom::Poisoned(poison) => Self::Poisoned(poison),
        }
    }
}

impl From<NoRoom> for PromiseError {
    fn from(reason: NoRoom) -> Self {
        match reason {
            // A mark fits into the smallest segment there may be.
            NoRoom::TooLarge { .. } | NoRoom::Exhausted => Self::Exhausted,
            NoRoom::SyncUnderWay => Self::SyncUnderWay,
            NoRoom::Storage(error) => Self::NoRoom(error),
            NoRoom::Poisoned(poison) => Self::Poisoned(poison),
        }
    }
}

impl From<NoRoom> for CloseError {
    fn from(reason: NoRoom) -> Self {
        match reason {
            // A mark fits into the smallest segment there may be.
            NoRoom::TooLarge { .. } | NoRoom::Exhausted => Self::Exhausted,
            NoRoom::SyncUnderWay => Self::SyncUnderWay,
            NoRoom::Storage(error) => Self::NoRoom(error),
            NoRoom::Poisoned(poison) => Self::Poisoned(poison),
        }
    }
}
