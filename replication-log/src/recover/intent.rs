//! The durable intent to cut a log's newest end, and carrying it out.
//!
//! The batches behind a cut state durable records above it, so a cut that was interrupted half way
//! would look like damage. Therefore the intent is made durable first: from then on the log ends
//! where it says, whatever lies behind, and carrying it out can be repeated until the intent is
//! removed.

use alloc::{string::String, vec::Vec};

use super::promise_at;
use crate::{
    Epoch, Lsn, OpenError, SegmentId, checksum,
    log::CreateError,
    segment::{Place, file_name, read_le},
    storage::{Storage, StorageError, StorageFile, create_anew, write_zeros},
};

/// The name of the intent's file. There is one only while a cut is not finished.
pub(crate) const INTENT_NAME: &str = "truncation.intent";

/// The name it has until it is durable.
pub(crate) const UNBORN_INTENT_NAME: &str = "truncation.intent.new";

/// It is smaller than any disk's sector, so it is never torn.
const INTENT_BYTES: usize = INTENT_BYTES_STATED as usize;
const INTENT_BYTES_STATED: u32 = 64;
const INTENT_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"REPCUT\r\n";
const CHECKSUM_OFFSET: usize = 60;

/// What is known about a cut that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Truncation {
    /// The last record that stayed.
    pub last: Lsn,
    /// The segment in which the log ended after the cut.
    pub segment: SegmentId,
    /// Where in that segment the last batch that stayed ends.
    pub offset: u64,
    /// Later segments that were removed.
    pub removed: Vec<SegmentId>,
}

/// Where a log is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) log_id: u64,
    pub(crate) segment: SegmentId,
    pub(crate) offset: u64,
    /// The last record that stays. It is durable.
    pub(crate) last: Lsn,
    /// The highest epoch promised or accepted when the cut was decided, in whatever the cut removes.
    pub(crate) epoch: Epoch,
    /// The running checksum after the last record that stays.
    pub(crate) chain: u32,
}

/// What there is under the intent's name.
pub(crate) enum IntentFile {
    Absent,
    Intact(Intent),
    /// It was durable before it got its name, so this is no tear.
    Damaged,
}

impl Intent {
    /// Whether this is the point it cuts at.
    pub(crate) fn is_at(&self, log_id: u64, segment: SegmentId, place: Place) -> bool {
        let expected = (self.log_id, self.segment, self.offset, self.last.next(), self.chain);
        expected == (log_id, segment, place.offset, Some(place.next), place.chain)
    }

    pub(crate) fn report(&self, removed: Vec<SegmentId>) -> Truncation {
        Truncation { last: self.last, segment: self.segment, offset: self.offset, removed }
    }

    fn encode(&self) -> [u8; INTENT_BYTES] {
        let mut bytes = [0; INTENT_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&INTENT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&INTENT_BYTES_STATED.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.log_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.segment.get().to_le_bytes());
        bytes[32..40].copy_from_slice(&self.offset.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.last.get().to_le_bytes());
        bytes[48..56].copy_from_slice(&self.epoch.get().to_le_bytes());
        bytes[56..60].copy_from_slice(&self.chain.to_le_bytes());
        let checksum = checksum::extend(0, &bytes[..CHECKSUM_OFFSET]);
        bytes[CHECKSUM_OFFSET..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The intent these bytes are, if they are one of this version.
    fn decode(bytes: &[u8; INTENT_BYTES]) -> Option<Self> {
        let intent = Self {
            log_id: read_le!(u64, bytes, 16),
            segment: SegmentId::new(read_le!(u64, bytes, 24)),
            offset: read_le!(u64, bytes, 32),
            last: Lsn::new(read_le!(u64, bytes, 40)),
            epoch: Epoch::new(read_le!(u64, bytes, 48)),
            chain: read_le!(u32, bytes, 56),
        };
        (*bytes == intent.encode()).then_some(intent)
    }
}

/// Reads the intent among the files of these names.
pub(super) fn read_intent<S: Storage>(storage: &S, names: &[String]) -> Result<IntentFile, OpenError> {
    if !names.iter().any(|name| name == INTENT_NAME) {
        return Ok(IntentFile::Absent);
    }
    let file = storage.open(INTENT_NAME)?;
    let mut bytes = [0; INTENT_BYTES];
    let count = file.read_at(0, &mut bytes)?;
    // Another version may have another length and keep its checksum elsewhere, so its word is taken for it.
    let found = read_le!(u32, bytes, 8);
    if count >= 12 && bytes[0..8] == MAGIC && found != INTENT_VERSION {
        return Err(OpenError::UnsupportedIntent { found, supported: INTENT_VERSION });
    }
    let intent = Intent::decode(&bytes).filter(|_| count == INTENT_BYTES);
    let whole = file.len()? == INTENT_BYTES as u64;
    Ok(intent.filter(|_| whole).map_or(IntentFile::Damaged, IntentFile::Intact))
}

/// Makes the intent durable. From then on the log ends where it says.
pub(crate) fn declare<S: Storage>(storage: &S, intent: &Intent) -> Result<(), CreateError> {
    write_unborn(storage, intent).map_err(|error| {
        // If it cannot be removed now, the next attempt or the next opening does it.
        storage.remove(UNBORN_INTENT_NAME).ok();
        CreateError::Unborn(error)
    })?;
    let named = storage.rename(UNBORN_INTENT_NAME, INTENT_NAME).and_then(|()| storage.sync_directory());
    named.map_err(CreateError::Unknown)
}

fn write_unborn<S: Storage>(storage: &S, intent: &Intent) -> Result<(), StorageError> {
    let file = create_anew(storage, UNBORN_INTENT_NAME)?;
    file.write_at(0, &intent.encode())?;
    file.sync_data()
}

/// The segment that a cut shortens, and what is to be removed behind it.
pub(crate) struct Remains<'a, F> {
    pub(crate) file: &'a F,
    pub(crate) identity: u64,
    /// Where the cut is.
    pub(crate) place: Place,
    /// The end of the last byte of the file that may not be zero.
    pub(crate) used_end: u64,
    pub(crate) later: &'a [SegmentId],
}

/// Does what a durable intent says, forgets the intent, and returns the new end of the log.
///
/// Interrupted anywhere, it can be begun again: until the intent is removed nothing of what it
/// removes is believed, and by then all of it is gone durably.
pub(crate) fn carry_out<S: Storage>(
    storage: &S,
    intent: &Intent,
    remains: &Remains<'_, S::File>,
) -> Result<Place, StorageError> {
    for &segment in remains.later.iter().rev() {
        storage.remove(&file_name(segment))?;
    }
    let mut end = remains.place;
    write_zeros(remains.file, end.offset, remains.used_end)?;
    if intent.epoch > end.epoch {
        // Twice, because nothing behind the last mark could tell that it had been there and rotted.
        for _ in 0..2 {
            end = promise_at(remains.file, remains.identity, end, intent.epoch, intent.last)?;
        }
    }
    remains.file.sync_data()?;
    storage.sync_directory()?;
    storage.remove(INTENT_NAME)?;
    storage.sync_directory()?;
    Ok(end)
}
