//! How much of a log may be kept for a slot.

use alloc::{collections::BTreeMap, string::String};
use core::time::Duration;

/// The limits of one slot. What has none is kept without end, which is how disks fill up.
///
/// ```
/// use core::time::Duration;
/// use replication_log::ship::slot::SlotLimits;
///
/// let day = Duration::from_secs(86_400);
/// let limits = SlotLimits::none().soft_bytes(1 << 30).bytes(10 << 30).age(7 * day).idle(day);
/// assert_eq!(limits.soft_bytes, Some(1 << 30));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotLimits {
    /// Beyond this much of the log the slot is [`Extended`](super::SlotState::Extended): a warning.
    pub soft_bytes: Option<u64>,
    /// Beyond this much of the log the slot is [`Unreserved`](super::SlotState::Unreserved). `PostgreSQL`:
    /// `max_slot_wal_keep_size`.
    pub bytes: Option<u64>,
    /// Unreserved as well once the oldest record that is kept for it has been durable for longer than this.
    pub age: Option<Duration>,
    /// Unreserved as well once no follower has been attached for longer than this. `PostgreSQL`:
    /// `idle_replication_slot_timeout`.
    pub idle: Option<Duration>,
}

impl SlotLimits {
    /// No limits.
    pub const fn none() -> Self {
        Self { soft_bytes: None, bytes: None, age: None, idle: None }
    }

    /// Sets how much of the log is kept without a warning.
    pub const fn soft_bytes(mut self, bytes: u64) -> Self {
        self.soft_bytes = Some(bytes);
        self
    }

    /// Sets how much of the log is kept at most.
    pub const fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Sets how long a record is kept at most.
    pub const fn age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// Sets how long records are kept for nobody at most.
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }
}

/// Which limits a slot has: those of its class, or if there are none for that, those of all others.
///
/// They are the configuration of a leader, given when the slots are loaded, and can change with every start.
///
/// ```
/// use replication_log::ship::slot::{SlotLimits, SlotRules};
///
/// let rules = SlotRules::new(SlotLimits::none()).class("analytics", SlotLimits::none().bytes(1 << 30));
/// assert_eq!(rules.of("analytics").bytes, Some(1 << 30));
/// assert_eq!(rules.of("").bytes, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotRules {
    others: SlotLimits,
    classes: BTreeMap<String, SlotLimits>,
}

impl SlotRules {
    /// The same limits for every slot.
    pub fn new(limits: SlotLimits) -> Self {
        Self { others: limits, classes: BTreeMap::new() }
    }

    /// Gives the slots of a class limits of their own.
    pub fn class(mut self, class: &str, limits: SlotLimits) -> Self {
        self.classes.insert(class.into(), limits);
        self
    }

    /// The limits of a slot of this class.
    pub fn of(&self, class: &str) -> SlotLimits {
        self.classes.get(class).copied().unwrap_or(self.others)
    }
}

impl From<SlotLimits> for SlotRules {
    fn from(limits: SlotLimits) -> Self {
        Self::new(limits)
    }
}
