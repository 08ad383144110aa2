//! The slots of a leader.

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
    vec::Vec,
};
use core::time::Duration;

use super::{
    AttachError, ConfirmError, CreateSlotError, DropSlotError, OutsideLog, ResetError, SlotEvent, SlotLimits,
    SlotRules, SlotState, Why,
};
use crate::{
    Log, Lsn,
    limits::{MAX_SLOT_EVENTS, MAX_SLOT_NAME_BYTES, MAX_SLOTS},
    ship::lag::Timeline,
    storage::Storage,
};

/// Which records a log has, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The oldest record.
    pub oldest: Lsn,
    /// The last durable one.
    pub durable: Lsn,
}

impl Extent {
    /// That of this log.
    pub fn of<S: Storage>(log: &Log<S>) -> Self {
        Self { oldest: log.oldest(), durable: log.durable() }
    }

    /// Whether a follower that has everything up to `lsn` can go on from this log.
    fn check(self, lsn: Lsn) -> Result<(), OutsideLog> {
        let Self { oldest, durable } = self;
        match needed_behind(lsn) {
            _ if lsn > durable => Err(OutsideLog::Ahead { asked: lsn, durable }),
            needed if needed < oldest => Err(OutsideLog::Gone { needed, oldest }),
            _ => Ok(()),
        }
    }
}

impl<S: Storage> From<&Log<S>> for Extent {
    fn from(log: &Log<S>) -> Self {
        Self::of(log)
    }
}

/// The record that whoever has everything up to `lsn` needs next.
pub(super) fn needed_behind(lsn: Lsn) -> Lsn {
    lsn.next().unwrap_or(lsn)
}

/// One follower's claim on the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub(super) class: String,
    pub(super) confirmed: Lsn,
    pub(super) state: SlotState,
    pub(super) why: Why,
    attached: bool,
    last_active: Duration,
    pub(super) kept_bytes: u64,
    pub(super) age: Duration,
}

impl Slot {
    pub(super) fn new(class: String, confirmed: Lsn, state: SlotState, now: Duration) -> Self {
        Self {
            class,
            confirmed,
            state,
            why: Why::Within,
            attached: false,
            last_active: now,
            kept_bytes: 0,
            age: Duration::ZERO,
        }
    }

    /// The class whose limits it has.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The last record its follower has flushed and will never ask for again.
    pub fn confirmed(&self) -> Lsn {
        self.confirmed
    }

    /// Whether what it needs is kept, as of when that was [assessed](Slots::assess) last.
    pub fn state(&self) -> SlotState {
        self.state
    }

    /// Why it is in that state.
    pub fn why(&self) -> Why {
        self.why
    }

    /// Whether a follower is attached now.
    pub fn is_attached(&self) -> bool {
        self.attached
    }

    /// When a follower was attached last: `now` if one is. After a restart, when the slots were loaded.
    pub fn last_active(&self, now: Duration) -> Duration {
        if self.attached { now.max(self.last_active) } else { self.last_active }
    }

    /// For how long no follower has been attached.
    pub fn idle(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last_active(now))
    }

    /// How many bytes of the log hold what it needs, as of when that was assessed last. Whole segments, none
    /// when it needs nothing.
    pub fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    /// For how long the oldest record it needs had been durable when that was assessed last.
    pub fn age(&self) -> Duration {
        self.age
    }
}

/// All slots of a leader, by name. See the [module](super) for what they are and an example.
///
/// A slot is there for good once it has been [saved](super::SlotFile::save): do that before a follower is
/// told to rely on it. What followers confirm need not be saved each time; [`truncate`](Slots::truncate) does
/// it when something can be dropped.
#[derive(Clone, Debug)]
pub struct Slots {
    pub(super) log_id: u64,
    pub(super) rules: SlotRules,
    pub(super) by_name: BTreeMap<String, Slot>,
    /// The lowest position that the file may give each slot that it may have and that is not lost.
    pub(super) on_disk: BTreeMap<String, Lsn>,
    /// What the file has, if that is certain.
    pub(super) saved: Option<Vec<u8>>,
    /// When records became durable, as far as assessments saw it.
    pub(super) timeline: Timeline,
    events: VecDeque<SlotEvent>,
    missed_events: u64,
}

impl Slots {
    /// No slots, of the log with this id, which has existed at least since `now`.
    pub fn new(log_id: u64, rules: impl Into<SlotRules>, now: Duration) -> Self {
        Self {
            log_id,
            rules: rules.into(),
            by_name: BTreeMap::new(),
            on_disk: BTreeMap::new(),
            saved: None,
            timeline: Timeline::new(Timeline::DEFAULT_NOTES, Lsn::ZERO, now),
            events: VecDeque::new(),
            missed_events: 0,
        }
    }

    /// Creates a slot for a follower that has everything up to `confirmed`, with the limits of its class.
    ///
    /// It holds records from now on, and does so after a crash once it is saved.
    pub fn create(
        &mut self,
        name: &str,
        class: &str,
        confirmed: Lsn,
        extent: Extent,
        now: Duration,
    ) -> Result<(), CreateSlotError> {
        if name.is_empty() || name.len().max(class.len()) > MAX_SLOT_NAME_BYTES {
            return Err(CreateSlotError::Name { limit: MAX_SLOT_NAME_BYTES });
        }
        if self.by_name.contains_key(name) {
            return Err(CreateSlotError::Exists);
        }
        if self.by_name.len() >= MAX_SLOTS {
            return Err(CreateSlotError::TooMany { limit: MAX_SLOTS });
        }
        extent.check(confirmed)?;
        self.by_name.insert(name.into(), Slot::new(class.into(), confirmed, SlotState::Reserved, now));
        Ok(())
    }

    /// Notes that the slot's follower has flushed everything up to `lsn` and will never ask for it again; the
    /// last durable record of the log is `durable`. Returns whether that was news: it never goes back.
    pub fn confirm(&mut self, name: &str, lsn: Lsn, durable: Lsn) -> Result<bool, ConfirmError> {
        let slot = self.by_name.get_mut(name).ok_or(ConfirmError::Unknown)?;
        if slot.state == SlotState::Lost {
            return Err(ConfirmError::Lost);
        }
        if lsn > durable {
            return Err(ConfirmError::Ahead { asked: lsn, durable });
        }
        let news = lsn > slot.confirmed;
        slot.confirmed = slot.confirmed.max(lsn);
        Ok(news)
    }

    /// Notes that a follower is there, and returns from where on it is to be sent: behind this record.
    pub fn attach(&mut self, name: &str, now: Duration) -> Result<Lsn, AttachError> {
        let slot = self.by_name.get_mut(name).ok_or(AttachError::Unknown)?;
        if slot.state == SlotState::Lost {
            return Err(AttachError::Lost);
        }
        if slot.attached {
            return Err(AttachError::InUse);
        }
        (slot.attached, slot.last_active) = (true, now);
        Ok(slot.confirmed)
    }

    /// Notes that the follower went away at `now`, whether it said so or not. Returns whether one was there.
    pub fn detach(&mut self, name: &str, now: Duration) -> bool {
        let Some(slot) = self.by_name.get_mut(name).filter(|slot| slot.attached) else { return false };
        (slot.attached, slot.last_active) = (false, slot.last_active.max(now));
        true
    }

    /// Gives up a slot that nobody is attached to. What it held may go once that is saved.
    pub fn drop_slot(&mut self, name: &str) -> Result<(), DropSlotError> {
        let slot = self.by_name.get(name).ok_or(DropSlotError::Unknown)?;
        if slot.attached {
            return Err(DropSlotError::InUse { state: slot.state });
        }
        self.by_name.remove(name);
        Ok(())
    }

    /// Gives a slot a new position, that of a snapshot its follower begins anew with. The only way out of
    /// [`Lost`](SlotState::Lost); back and forth are both allowed.
    pub fn reset(
        &mut self,
        name: &str,
        confirmed: Lsn,
        extent: Extent,
        now: Duration,
    ) -> Result<(), ResetError> {
        let slot = self.by_name.get_mut(name).ok_or(ResetError::Unknown)?;
        extent.check(confirmed)?;
        slot.confirmed = confirmed;
        slot.last_active = slot.last_active.max(now);
        self.set_state(name, SlotState::Reserved, Why::Reset);
        Ok(())
    }

    /// Takes back what was confirmed above `lsn`: the end of the log was cut there. Save the slots before
    /// anything is appended, or records with the same numbers may be taken for confirmed after a crash.
    pub fn cut(&mut self, lsn: Lsn) {
        self.timeline.cut(lsn);
        let mut rewound = Vec::new();
        for (name, slot) in &mut self.by_name {
            if slot.confirmed > lsn {
                rewound.push(SlotEvent::Rewound { slot: name.clone(), from: slot.confirmed, to: lsn });
                slot.confirmed = lsn;
            }
        }
        for event in rewound {
            self.tell(event);
        }
    }

    /// The slot of this name.
    pub fn get(&self, name: &str) -> Option<&Slot> {
        self.by_name.get(name)
    }

    /// All slots, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Slot)> {
        self.by_name.iter().map(|(name, slot)| (name.as_str(), slot))
    }

    /// The limits of a slot; `None` when there is no such slot.
    pub fn limits(&self, name: &str) -> Option<SlotLimits> {
        self.by_name.get(name).map(|slot| self.rules.of(&slot.class))
    }

    /// The oldest event that was not fetched yet.
    pub fn poll_event(&mut self) -> Option<SlotEvent> {
        self.events.pop_front()
    }

    /// How many events were dropped because nobody fetched them.
    pub fn missed_events(&self) -> u64 {
        self.missed_events
    }

    pub(super) fn set_state(&mut self, name: &str, to: SlotState, why: Why) {
        let Some(slot) = self.by_name.get_mut(name) else { return };
        let from = core::mem::replace(&mut slot.state, to);
        slot.why = why;
        if from != to {
            self.tell(SlotEvent::Changed { slot: name.into(), from, to, why });
        }
    }

    fn tell(&mut self, event: SlotEvent) {
        if self.events.len() >= MAX_SLOT_EVENTS {
            self.events.pop_front();
            self.missed_events += 1;
        }
        self.events.push_back(event);
    }
}
