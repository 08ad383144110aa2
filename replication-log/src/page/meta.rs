//! Page 0: what the file is, and up to where the log is in it.
//!
//! It has two marks, one at its start and one in its middle. A checkpoint overwrites the older one,
//! so that a power cut leaves one of them whatever it does to the other. Nothing here is logged: a
//! leader and its followers take their checkpoints when it suits them.

use super::error::OpenTableError;
use super::format::{FormatMismatch, PAGE_FORMAT_VERSION, PageFormat};
use crate::{
    Lsn, checksum,
    limits::{MAX_PAGE_BYTES, MIN_PAGE_BYTES},
    segment::read_le,
    storage::{StorageError, StorageFile},
};

const MARK_BYTES: usize = 32;
const MAGIC: [u8; 8] = *b"REPPAGES";
const CHECKSUM_OFFSET: usize = 28;

/// One of the two places of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Start,
    Middle,
}

impl Place {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Start => Self::Middle,
            Self::Middle => Self::Start,
        }
    }

    fn offset(self, format: PageFormat) -> u64 {
        match self {
            Self::Start => 0,
            Self::Middle => format.page_bytes() as u64 / 2,
        }
    }
}

/// What an intact mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) format: PageFormat,
    pub(crate) checkpoint: Lsn,
    pub(crate) place: Place,
}

impl Mark {
    fn encode(&self) -> [u8; MARK_BYTES] {
        let [version, size_bits] = self.format.encode();
        let mut bytes = [0; MARK_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        (bytes[8], bytes[9]) = (version, size_bits);
        bytes[16..24].copy_from_slice(&self.checkpoint.get().to_le_bytes());
        let checksum = checksum::extend(0, &bytes[..CHECKSUM_OFFSET]);
        bytes[CHECKSUM_OFFSET..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The mark these bytes are, if they are one; that of another version is a mark too.
    fn decode(bytes: &[u8; MARK_BYTES], place: Place) -> Option<Self> {
        let format = PageFormat::decode([bytes[8], bytes[9]]);
        let mark = Self { format, checkpoint: Lsn::new(read_le!(u64, bytes, 16)), place };
        // Another version may keep its checksum elsewhere; it is refused whatever it says.
        let foreign = bytes[..8] == MAGIC && format.version() != PAGE_FORMAT_VERSION;
        (foreign || mark.encode() == *bytes).then_some(mark)
    }

    pub(crate) fn write<F: StorageFile>(&self, file: &F) -> Result<(), StorageError> {
        file.write_at(self.place.offset(self.format), &self.encode())
    }
}

/// The newest mark of a file, whatever the size of its pages.
pub(crate) fn read<F: StorageFile>(file: &F) -> Result<Mark, OpenTableError> {
    let sizes = core::iter::successors(Some(MIN_PAGE_BYTES), |size| size.checked_mul(2));
    let mut newest: Option<Mark> = None;
    for size in sizes.take_while(|&size| size <= MAX_PAGE_BYTES) {
        let expected = PageFormat::new(size)?;
        for place in [Place::Start, Place::Middle] {
            let mut bytes = [0; MARK_BYTES];
            if file.read_at(place.offset(expected), &mut bytes)? < MARK_BYTES {
                continue;
            }
            match Mark::decode(&bytes, place) {
                Some(mark) if mark.format.version() != PAGE_FORMAT_VERSION => {
                    return Err(FormatMismatch { have: expected, got: mark.format }.into());
                }
                Some(mark) if mark.format == expected => {
                    newest = newest.into_iter().chain([mark]).max_by_key(|mark| mark.checkpoint);
                }
                _ => {}
            }
        }
    }
    newest.ok_or(OpenTableError::NoMark)
}
