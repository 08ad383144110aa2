//! Slots: what a leader keeps of its log, for whom, and until when.
//!
//! A follower that is away needs the records it does not have yet, so somebody has to keep them; a follower
//! that never comes back must not fill the leader's disk with them. A slot says how far its follower is, holds
//! the records behind that, and has limits. Beyond them it ends loudly as [`Lost`](SlotState::Lost), and its
//! follower begins anew from a snapshot. The states are those of `PostgreSQL`'s `wal_status`:
//!
//! ```text
//! Reserved <-> Extended <-> Unreserved --> Lost      Lost --reset--> Reserved
//!     more than the     a limit        records
//!     soft limit        exceeded       dropped
//! ```
//!
//! What may be dropped is decided by what the slots' file says durably, never by what is newer in memory:
//! otherwise a crash could bring back a slot whose records are gone. [`Slots::truncate`] sees to that.
//!
//! ```
//! use core::time::Duration;
//! use replication_log::{
//!     Epoch, Log, LogOptions, Lsn, RecordKind,
//!     ship::slot::{Extent, SlotFile, SlotLimits, SlotState, Slots},
//!     storage::MemoryStorage,
//! };
//!
//! let (storage, now) = (MemoryStorage::new(), Duration::ZERO);
//! let options = LogOptions::new(0x5eed).segment_bytes(4096).preallocate_bytes(0);
//! let (mut log, _) = Log::open(storage.clone(), options)?;
//! let file = SlotFile::open(storage)?;
//! let limits = SlotLimits::none().bytes(8 << 10);
//! let mut slots = file.load(&log, limits, now)?;
//! slots.create("b", "", Lsn::ZERO, Extent::of(&log), now)?;
//! file.save(&mut slots)?;
//!
//! for _ in 0..100 {
//!     log.append_record(Epoch::ZERO, RecordKind(1), &[b'x'; 1000])?;
//!     let snapshot = log.sync()?; // the leader itself needs nothing before this
//!     slots.truncate(now, &mut log, &file, snapshot)?;
//! }
//! assert_eq!(slots.get("b").expect("created").state(), SlotState::Lost);
//! assert!(log.bytes_from(log.oldest()) <= 8 << 10);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assess;
mod error;
mod event;
mod file;
mod format;
mod rules;
mod table;
#[cfg(test)]
mod tests;
mod truncate;

pub use error::{
    AttachError, ConfirmError, CreateSlotError, DropSlotError, OutsideLog, ResetError, SlotsFileError,
    TruncateSlotsError,
};
pub use event::{SlotEvent, SlotState, Why};
pub use file::SlotFile;
pub(crate) use file::{FILE_NAME as SLOTS_NAME, UNBORN_FILE_NAME as UNBORN_SLOTS_NAME};
pub use rules::{SlotLimits, SlotRules};
pub use table::{Extent, Slot, Slots};
pub use truncate::TruncatedSlots;
