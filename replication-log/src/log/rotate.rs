//! Making room: zeros ahead of the records, and a new segment when one is full.

use super::{
    AppendError, Arc, CloseError, HEADER_BYTES, Log, Poison, PoisonedBy, PromiseError, Segment, Storage,
    StorageError, StorageErrorKind, StorageFile,
};
use crate::{
    segment::{SegmentHeader, file_name, unborn_file_name},
    storage::write_zeros,
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

    /// Whether an append of this many bytes has to wait for the sync under way.
    #[cfg(feature = "std")]
    pub(crate) fn has_to_wait(&self, bytes: usize) -> bool {
        let turns = self.sync_under_way && self.needs_new_segment(bytes as u64);
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
        if self.sync_under_way {
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
            durable: self.durable,
            chain: end.chain,
        };
        match create_segment(
            &self.storage,
            &header,
            self.options.preallocate_bytes.min(self.options.segment_bytes),
        ) {
            Ok((file, zeroed)) => {
                self.file = Arc::new(file);
                self.zeroed = zeroed;
                self.segments.push(Segment::new(&header).reserve(self.options.segment_bytes));
                Ok(())
            }
            Err(CreateError::Unborn(error)) => Err(NoRoom::Storage(error)),
            Err(CreateError::Unknown(error)) => {
                Err(NoRoom::Poisoned(self.poisoned(PoisonedBy::Rotation, error)))
            }
        }
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
///
/// It gets its name only after its header is durable, and nothing is written to it before its name is.
pub(crate) fn create_segment<S: Storage>(
    storage: &S,
    header: &SegmentHeader,
    preallocate: u64,
) -> Result<(S::File, u64), CreateError> {
    let unborn = unborn_file_name(header.segment);
    let prepared = prepare_segment(storage, &unborn, header, preallocate);
    let (file, zeroed) = prepared.map_err(|error| {
        // If it cannot be removed now, the next attempt or the next opening does it.
        storage.remove(&unborn).ok();
        CreateError::Unborn(error)
    })?;
    let named = storage.rename(&unborn, &file_name(header.segment)).and_then(|()| storage.sync_directory());
    named.map_err(CreateError::Unknown)?;
    Ok((file, zeroed))
}

fn prepare_segment<S: Storage>(
    storage: &S,
    unborn: &str,
    header: &SegmentHeader,
    preallocate: u64,
) -> Result<(S::File, u64), StorageError> {
    let file = match storage.create(unborn) {
        Err(error) if error.kind == StorageErrorKind::AlreadyExists => {
            storage.remove(unborn)?;
            storage.create(unborn)?
        }
        created => created?,
    };
    let zeroed = preallocate.max(HEADER_BYTES as u64);
    write_zeros(&file, HEADER_BYTES as u64, zeroed)?;
    file.write_at(0, &header.encode())?;
    file.sync_data()?;
    Ok((file, zeroed))
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
