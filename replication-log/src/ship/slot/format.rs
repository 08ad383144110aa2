//! The bytes of the slots' file. `docs/formats.md` draws them.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use super::{SlotRules, SlotState, Slots, SlotsFileError, table::Slot};
use crate::{
    Lsn, Malformed,
    bytes::{Input, put_blob, put_count, put_number},
    checksum,
    limits::{MAX_SLOT_NAME_BYTES, MAX_SLOTS},
};

/// The version of the format this build reads and writes.
const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"REPSLT\r\n";
const CHECKSUM_BYTES: usize = 4;

/// Whether the records a slot needs are kept; the limits decide on the rest anew.
const HELD: u8 = 0;
const LOST: u8 = 1;

/// More than any file of slots has: names and classes with their lengths, a state and a number for each.
pub(super) const MAX_FILE_BYTES: usize = 64 + MAX_SLOTS * (2 * (MAX_SLOT_NAME_BYTES + 1) + 11);

impl Slots {
    /// The slots as bytes: always the same for the same slots. Whether a follower is attached is not among
    /// them, nor any time.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_as(&[])
    }

    /// The slots as bytes, as if those of the given names, ascending, were lost.
    pub(super) fn encode_as(&self, lost: &[String]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.log_id.to_le_bytes());
        put_count(&mut bytes, self.by_name.len());
        for (name, slot) in &self.by_name {
            let is_lost = slot.state == SlotState::Lost || lost.binary_search(name).is_ok();
            put_blob(&mut bytes, name.as_bytes());
            put_blob(&mut bytes, slot.class.as_bytes());
            bytes.push(if is_lost { LOST } else { HELD });
            put_number(&mut bytes, slot.confirmed.get());
        }
        let checksum = checksum::extend(0, &bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The slots of the log with this id that these bytes are, under the rules of now. Nobody is attached;
    /// idle times and ages count from `now`. Allocates no more than a few times the bytes.
    pub fn decode(
        bytes: &[u8],
        log_id: u64,
        rules: impl Into<SlotRules>,
        now: Duration,
    ) -> Result<Self, SlotsFileError> {
        let mut input = Input::new(bytes);
        let magic: Result<[u8; 8], _> = input.array();
        let version: Result<[u8; 4], _> = input.array();
        let (Ok(MAGIC), Ok(version)) = (magic, version) else { return Err(SlotsFileError::Damaged) };
        // Another version may keep its checksum elsewhere, so its word is taken for it: either way nothing
        // is read.
        let found = u32::from_le_bytes(version);
        if found != FORMAT_VERSION {
            return Err(SlotsFileError::UnsupportedVersion { found, supported: FORMAT_VERSION });
        }
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(SlotsFileError::Damaged)?;
        if checksum::extend(0, body) != u32::from_le_bytes(*checksum) {
            return Err(SlotsFileError::Damaged);
        }
        let mut input = Input::new(body.get(MAGIC.len() + 4..).ok_or(SlotsFileError::Damaged)?);
        let found = u64::from_le_bytes(input.array()?);
        if found != log_id {
            return Err(SlotsFileError::OtherLog { found, expected: log_id });
        }
        let mut slots = Self::new(log_id, rules, now);
        for _ in 0..input.count(MAX_SLOTS, "slots")? {
            let (name, slot) = take_slot(&mut input, now)?;
            if slots.by_name.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(Malformed::Shape("the slots are not in ascending order of their names").into());
            }
            slots.by_name.insert(name, slot);
        }
        input.end()?;
        Ok(slots)
    }
}

fn take_slot(input: &mut Input<'_>, now: Duration) -> Result<(String, Slot), Malformed> {
    let name = input.text(MAX_SLOT_NAME_BYTES, "bytes of a name")?;
    if name.is_empty() {
        return Err(Malformed::Shape("a slot has no name"));
    }
    let class = input.text(MAX_SLOT_NAME_BYTES, "bytes of a class")?;
    let state = match input.byte()? {
        HELD => SlotState::Reserved,
        LOST => SlotState::Lost,
        other => return Err(Malformed::Tag(other)),
    };
    let confirmed = Lsn::new(input.number()?);
    Ok((name, Slot::new(class, confirmed, state, now)))
}
