//! Dropping what no slot has a claim to.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use super::{SlotFile, SlotState, Slots, TruncateSlotsError, Why, table::needed_behind};
use crate::{Log, Lsn, TruncateError, storage::Storage};

/// What a truncation did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TruncatedSlots {
    /// The oldest record left.
    pub oldest: Lsn,
    /// Whether the slots were written.
    pub saved: bool,
    /// The slots that lost records they needed, by name.
    pub lost: Vec<String>,
}

impl Slots {
    /// Drops the segments whose records all lie below `floor` and that no slot has a claim to, and says which
    /// slots lost what they needed.
    ///
    /// `floor` is what the caller needs itself: a record with a snapshot, for example. Everything is
    /// [assessed](Slots::assess) first. Only if a segment can be dropped are the slots written, if
    /// they have changed, those that will lose records as [`Lost`](SlotState::Lost): before the records go, so
    /// that no crash brings back a slot without its records. Call it at least once for each segment, for what
    /// is written between two calls is kept beyond the limits, as are segments prepared or kept to be used
    /// again. O(slots x log segments).
    pub fn truncate<L: Storage, S: Storage>(
        &mut self,
        now: Duration,
        log: &mut Log<L>,
        file: &SlotFile<S>,
        floor: Lsn,
    ) -> Result<TruncatedSlots, TruncateSlotsError> {
        self.assess(now, log);
        let wanted = self.claimed().map_or(floor, |claimed| claimed.min(floor));
        let oldest = log.oldest_from(wanted);
        if oldest <= log.oldest() {
            return Ok(TruncatedSlots { oldest: log.oldest(), saved: false, lost: Vec::new() });
        }
        if let Some(poison) = log.poison() {
            return Err(TruncateError::from(poison.clone()).into());
        }
        let lost = self.losing(oldest);
        let saved = file.save_as(self, &lost).map_err(TruncateSlotsError::Save)?;
        for name in &lost {
            let needed = self.by_name.get(name).map_or(oldest, |slot| needed_behind(slot.confirmed));
            self.set_state(name, SlotState::Lost, Why::Gone { needed, oldest });
        }
        let durable = self.retain_from().map_or(floor, |retained| retained.min(floor));
        let oldest = log.truncate_before(durable)?;
        Ok(TruncatedSlots { oldest, saved, lost })
    }

    /// The slots that need records below `oldest` and are not lost yet.
    fn losing(&self, oldest: Lsn) -> Vec<String> {
        let losing = self.by_name.iter().filter(|(_, slot)| {
            slot.state == SlotState::Unreserved && needed_behind(slot.confirmed) < oldest
        });
        losing.map(|(name, _)| name.clone()).collect()
    }
}
