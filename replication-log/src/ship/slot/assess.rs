//! In which state each slot is, and what has to be kept for all of them.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use super::{Extent, Slot, SlotLimits, SlotState, Slots, Why, table::needed_behind};
use crate::{Log, Lsn, storage::Storage};

impl Slots {
    /// Compares every slot with its limits and moves it to the state it is in at `now`.
    ///
    /// Ages count from the first assessment that sees a record durable, so they are short by at most the time
    /// between two, and after a restart they count from there; see
    /// [`Timeline`](crate::ship::lag::Timeline) for their accuracy.
    /// O(slots x log segments).
    pub fn assess<S: Storage>(&mut self, now: Duration, log: &Log<S>) {
        let extent = Extent::of(log);
        self.timeline.note(extent.durable, 0, now);
        let mut changed = Vec::new();
        for (name, slot) in &mut self.by_name {
            let needed = needed_behind(slot.confirmed);
            let owed = slot.confirmed < extent.durable && slot.state != SlotState::Lost;
            slot.kept_bytes = if owed { log.bytes_from(needed) } else { 0 };
            let since = self.timeline.waiting_since(slot.confirmed).filter(|_| owed);
            slot.age = since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
            let (state, why) = judge(slot, self.rules.of(&slot.class), needed, extent.oldest, now);
            slot.why = why;
            if state != slot.state {
                changed.push((name.clone(), state, why));
            }
        }
        for (name, state, why) in changed {
            self.set_state(&name, state, why);
        }
        self.timeline.forget(self.oldest_confirmed().unwrap_or(extent.durable));
    }

    /// The oldest record that must be kept for slots that have a claim to it; `None` when none has.
    ///
    /// A slot claims what is behind the record it confirmed, in memory and in the file that would be found
    /// after a crash, whichever is older; so does one that was dropped, until that is saved. Slots that are
    /// [`Unreserved`](SlotState::Unreserved) or [`Lost`](SlotState::Lost) claim nothing: whoever truncates by
    /// this instead of by [`truncate`](Slots::truncate) finds the first among the second at the next
    /// [`assess`](Slots::assess). O(slots).
    pub fn retain_from(&self) -> Option<Lsn> {
        let claims = |name: &String| self.by_name.get(name).is_none_or(Slot::has_claim);
        let durable = self.on_disk.iter().filter(|(name, _)| claims(name)).map(|(_, &lsn)| lsn);
        durable.map(needed_behind).chain(self.claimed()).min()
    }

    /// What would have to be kept if what is in memory were saved.
    pub(super) fn claimed(&self) -> Option<Lsn> {
        let claims = self.by_name.values().filter(|slot| slot.has_claim());
        claims.map(|slot| needed_behind(slot.confirmed)).min()
    }

    fn oldest_confirmed(&self) -> Option<Lsn> {
        let kept = self.by_name.values().filter(|slot| slot.state != SlotState::Lost);
        kept.map(|slot| slot.confirmed).min()
    }
}

impl Slot {
    fn has_claim(&self) -> bool {
        self.state < SlotState::Unreserved
    }
}

fn judge(slot: &Slot, limits: SlotLimits, needed: Lsn, oldest: Lsn, now: Duration) -> (SlotState, Why) {
    let (kept, age, idle) = (slot.kept_bytes, slot.age, slot.idle(now));
    if slot.state == SlotState::Lost {
        return (SlotState::Lost, slot.why);
    }
    if needed < oldest {
        return (SlotState::Lost, Why::Gone { needed, oldest });
    }
    if let Some(limit) = limits.bytes.filter(|&limit| kept > limit) {
        return (SlotState::Unreserved, Why::Bytes { kept, limit });
    }
    if let Some(limit) = limits.age.filter(|&limit| age > limit) {
        return (SlotState::Unreserved, Why::Age { age, limit });
    }
    if let Some(limit) = limits.idle.filter(|&limit| idle > limit) {
        return (SlotState::Unreserved, Why::Idle { idle, limit });
    }
    match limits.soft_bytes.filter(|&limit| kept > limit) {
        Some(limit) => (SlotState::Extended, Why::Bytes { kept, limit }),
        None => (SlotState::Reserved, Why::Within),
    }
}
