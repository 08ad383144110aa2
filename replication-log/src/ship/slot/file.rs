//! Where the slots are kept durably.

use alloc::{string::String, vec, vec::Vec};
use core::time::Duration;

use super::{SlotRules, SlotState, Slots, SlotsFileError, format::MAX_FILE_BYTES};
use crate::{
    Log, Lsn,
    storage::{Storage, StorageError, StorageErrorKind, StorageFile, create_anew},
};

/// The name of the file. It stands beside the segments, or in a directory of its own.
pub(crate) const FILE_NAME: &str = "replication.slots";

/// The name it has until it is durable.
pub(crate) const UNBORN_FILE_NAME: &str = "replication.slots.new";

/// The file of the slots in a directory. It is replaced as a whole: whenever the power fails, the slots that
/// were saved before are found, or those that were being saved.
#[derive(Clone, Debug)]
pub struct SlotFile<S> {
    storage: S,
}

impl<S: Storage> SlotFile<S> {
    /// Removes what an interrupted write left, durably. Nothing may be saving slots meanwhile.
    pub fn open(storage: S) -> Result<Self, StorageError> {
        if storage.list()?.iter().any(|name| name == UNBORN_FILE_NAME) {
            storage.remove(UNBORN_FILE_NAME)?;
            storage.sync_directory()?;
        }
        Ok(Self { storage })
    }

    /// The slots of `log` that were saved last, none if none ever were, under the rules of now; see
    /// [`Slots::decode`].
    ///
    /// They are [assessed](Slots::assess) at once. What was confirmed beyond the durable end of the log is taken
    /// back, with an event: the log lost it.
    pub fn load<L: Storage>(
        &self,
        log: &Log<L>,
        rules: impl Into<SlotRules>,
        now: Duration,
    ) -> Result<Slots, SlotsFileError> {
        let file = match self.storage.open(FILE_NAME) {
            Err(error) if error.kind == StorageErrorKind::NotFound => {
                return Ok(Slots::new(log.id(), rules, now));
            }
            opened => opened?,
        };
        // Its name may be in the cache only: a process can die without the machine.
        self.storage.sync_directory()?;
        let mut slots = Slots::decode(&read(&file)?, log.id(), rules, now)?;
        slots.note_saved(slots.encode(), &[]);
        slots.cut(log.durable());
        slots.assess(now, log);
        Ok(slots)
    }

    /// Makes the slots durable, unless they are as they were saved last. Returns whether there was anything
    /// to do. One sync of a file and one of the directory.
    ///
    /// After an error the file has the slots of before or those of now. What they may still claim after a
    /// crash goes on being [retained](Slots::retain_from), and the next call writes them anew.
    pub fn save(&self, slots: &mut Slots) -> Result<bool, StorageError> {
        self.save_as(slots, &[])
    }

    /// Makes the slots durable, those of the given names, ascending, as lost.
    pub(super) fn save_as(&self, slots: &mut Slots, lost: &[String]) -> Result<bool, StorageError> {
        let bytes = slots.encode_as(lost);
        if slots.saved.as_ref() == Some(&bytes) {
            return Ok(false);
        }
        self.write_unborn(&bytes).inspect_err(|_| {
            // If it cannot be removed now, the next attempt or the next opening does it.
            self.storage.remove(UNBORN_FILE_NAME).ok();
        })?;
        slots.note_saving(lost);
        self.storage.rename(UNBORN_FILE_NAME, FILE_NAME)?;
        self.storage.sync_directory()?;
        slots.note_saved(bytes, lost);
        Ok(true)
    }

    fn write_unborn(&self, bytes: &[u8]) -> Result<(), StorageError> {
        let file = create_anew(&self.storage, UNBORN_FILE_NAME)?;
        file.write_at(0, bytes)?;
        file.sync_data()
    }
}

impl Slots {
    /// The file may have the slots of now, or still those of before.
    fn note_saving(&mut self, lost: &[String]) {
        self.saved = None;
        for (name, lsn) in self.positions(lost) {
            self.on_disk.entry(name).and_modify(|before| *before = lsn.min(*before)).or_insert(lsn);
        }
    }

    /// The file has the slots of now.
    fn note_saved(&mut self, bytes: Vec<u8>, lost: &[String]) {
        self.saved = Some(bytes);
        self.on_disk = self.positions(lost).into_iter().collect();
    }

    fn positions(&self, lost: &[String]) -> Vec<(String, Lsn)> {
        let held = self
            .by_name
            .iter()
            .filter(|(name, slot)| slot.state != SlotState::Lost && lost.binary_search(name).is_err());
        held.map(|(name, slot)| (name.clone(), slot.confirmed)).collect()
    }
}

/// All of a file that is not longer than slots can be.
fn read<F: StorageFile>(file: &F) -> Result<Vec<u8>, SlotsFileError> {
    let length = usize::try_from(file.len()?).ok().filter(|&length| length <= MAX_FILE_BYTES);
    let mut bytes = vec![0; length.ok_or(SlotsFileError::Damaged)?];
    let count = file.read_at(0, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}
