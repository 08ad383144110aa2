//! What becomes of a slot, and why.

use alloc::string::String;
use core::{fmt, time::Duration};

use crate::Lsn;

/// Whether the records a slot needs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotState {
    /// They are, within all limits.
    Reserved,
    /// They are, and they are more than the soft limit.
    Extended,
    /// They are there and no longer kept: the next truncation may drop them. If the follower catches up or
    /// comes back before, they are reserved again.
    Unreserved,
    /// Records the follower needs are gone. It begins anew from a snapshot, and the slot is
    /// [reset](super::Slots::reset) to that.
    Lost,
}

impl fmt::Display for SlotState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Reserved => "reserved",
            Self::Extended => "extended",
            Self::Unreserved => "unreserved",
            Self::Lost => "lost",
        })
    }
}

/// Why a slot is in the state it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It is within its limits.
    Within,
    /// More bytes are kept for it than a limit of its class allows: the soft one if it is extended.
    Bytes {
        /// How many are.
        kept: u64,
        /// The limit.
        limit: u64,
    },
    /// The oldest record kept for it is older than it may be.
    Age {
        /// How old it is.
        age: Duration,
        /// The limit.
        limit: Duration,
    },
    /// No follower was attached for longer than it may be.
    Idle {
        /// For how long.
        idle: Duration,
        /// The limit.
        limit: Duration,
    },
    /// The record it needs next is gone.
    Gone {
        /// The record.
        needed: Lsn,
        /// The oldest there still is.
        oldest: Lsn,
    },
    /// It was given a new position.
    Reset,
}

/// Something an operator should see.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotEvent {
    /// A slot is in another state than before.
    Changed {
        /// Its name.
        slot: String,
        /// The state before.
        from: SlotState,
        /// The state from now on.
        to: SlotState,
        /// The reason.
        why: Why,
    },
    /// A follower had confirmed records that the leader's log does not have any more.
    Rewound {
        /// The slot's name.
        slot: String,
        /// What was confirmed.
        from: Lsn,
        /// The end of the log, which is what counts as confirmed from now on.
        to: Lsn,
    },
}
