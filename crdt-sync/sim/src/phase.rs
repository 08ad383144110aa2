//! The phases of the protocol, and which fault can meet which of them.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::faults::Fault;

/// What a node, or one end of a connection, is in the middle of. Several hold at once: a node ships to one peer while
/// it compares trees with another and waits for its disk.
///
/// ```
/// use crdt_sync_sim::Phase;
///
/// assert_eq!("comparing".parse(), Ok(Phase::Comparing));
/// assert!("lunch".parse::<Phase>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The first records of a new node are not durable yet.
    Founding,
    /// The node is down, or its log is being read.
    Recovering,
    /// Nothing of the rest.
    Idle,
    /// A connection is up and the peer has not said who it is.
    Greeting,
    /// Entries were sent and are not acknowledged.
    Shipping,
    /// A Merkle session was asked for, and the peer has not agreed.
    Opening,
    /// Trees are being compared.
    Comparing,
    /// States of the keys that differ are on their way.
    Exchanging,
    /// All states of one side were sent, and the session is not over.
    Concluding,
    /// A new identity was taken and is not durable yet.
    Renewing,
    /// Something was appended to the log and is not durable yet.
    AwaitingSync,
    /// A quorum write was begun, and nobody has carried it out.
    Minting,
    /// A quorum write was carried out, and not everybody who was told has said that it has it.
    Acknowledging,
    /// A quorum read is not answered.
    Reading,
    /// A quorum read repairs somebody before its answer.
    Repairing,
    /// A node is brought what it missed.
    HandingOff,
    /// The store began with nothing, and is being filled.
    Filling,
    /// The ring changes.
    RingChanging,
    /// A follower asked for its leader's log, and is not sent it yet.
    Asking,
    /// A follower is sent what it missed.
    CatchingUp,
    /// Records are on their way to a follower that is sent each as it comes.
    Streaming,
    /// The leader has records that are not committed.
    Committing,
    /// The leader commits without the followers that it should wait for.
    Degraded,
    /// A deletion waits until all members are known to have it.
    Forgetting,
    /// Something is on its way between a partial replica and a whole node.
    Scoped,
    /// A snapshot arrives, or takes the place of the log.
    Installing,
    /// The node led, or is to lead, and an operator has not seen to it that nobody else does.
    Succeeding,
    /// The node wants to lead and is not granted it yet, or not promised.
    Electing,
    /// The log is about to promise an epoch to somebody, and nothing else.
    Promising,
    /// The leader is to make way for another one, as an operator wants.
    HandingOver,
    /// The leader's lease was not renewed when it was to be.
    Leaseless,
}

/// A name that no phase and no fault has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no {kind} called {name}")]
pub struct UnknownName {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::Founding,
        Self::Recovering,
        Self::Idle,
        Self::Greeting,
        Self::Shipping,
        Self::Opening,
        Self::Comparing,
        Self::Exchanging,
        Self::Concluding,
        Self::Renewing,
        Self::AwaitingSync,
        Self::Minting,
        Self::Acknowledging,
        Self::Reading,
        Self::Repairing,
        Self::HandingOff,
        Self::Filling,
        Self::RingChanging,
        Self::Asking,
        Self::CatchingUp,
        Self::Streaming,
        Self::Committing,
        Self::Degraded,
        Self::Forgetting,
        Self::Scoped,
        Self::Installing,
        Self::Succeeding,
        Self::Electing,
        Self::Promising,
        Self::HandingOver,
        Self::Leaseless,
    ];
    /// Those that strikes wait for which the others leave alone, so that these stay what they were before there were
    /// such phases. Who does nothing else is idle.
    pub(crate) const BESIDES: [Self; 10] = [
        Self::Filling,
        Self::RingChanging,
        Self::Forgetting,
        Self::Scoped,
        Self::Installing,
        Self::Succeeding,
        Self::Electing,
        Self::Promising,
        Self::HandingOver,
        Self::Leaseless,
    ];
    /// Those of the multi-leader topology.
    pub(crate) const MULTI_LEADER: [Self; 13] = [
        Self::Founding,
        Self::Recovering,
        Self::Idle,
        Self::Greeting,
        Self::Shipping,
        Self::Opening,
        Self::Comparing,
        Self::Exchanging,
        Self::Concluding,
        Self::Renewing,
        Self::AwaitingSync,
        Self::Forgetting,
        Self::Scoped,
    ];
    /// Those of the leaderless one.
    pub(crate) const LEADERLESS: [Self; 17] = [
        Self::Founding,
        Self::Recovering,
        Self::Idle,
        Self::Greeting,
        Self::Opening,
        Self::Comparing,
        Self::Exchanging,
        Self::Concluding,
        Self::Renewing,
        Self::AwaitingSync,
        Self::Minting,
        Self::Acknowledging,
        Self::Reading,
        Self::Repairing,
        Self::HandingOff,
        Self::Filling,
        Self::RingChanging,
    ];
    /// Those of the one with one leader.
    pub(crate) const SINGLE_LEADER: [Self; 16] = [
        Self::Founding,
        Self::Recovering,
        Self::Idle,
        Self::Greeting,
        Self::AwaitingSync,
        Self::Asking,
        Self::CatchingUp,
        Self::Streaming,
        Self::Committing,
        Self::Degraded,
        Self::Installing,
        Self::Succeeding,
        Self::Electing,
        Self::Promising,
        Self::HandingOver,
        Self::Leaseless,
    ];

    /// Its name in reports and on command lines; it stays the same.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Founding => "founding",
            Self::Recovering => "recovering",
            Self::Idle => "idle",
            Self::Greeting => "greeting",
            Self::Shipping => "shipping",
            Self::Opening => "opening",
            Self::Comparing => "comparing",
            Self::Exchanging => "exchanging",
            Self::Concluding => "concluding",
            Self::Renewing => "renewing",
            Self::AwaitingSync => "awaiting-sync",
            Self::Minting => "minting",
            Self::Acknowledging => "acknowledging",
            Self::Reading => "reading",
            Self::Repairing => "repairing",
            Self::HandingOff => "handing-off",
            Self::Filling => "filling",
            Self::RingChanging => "ring-changing",
            Self::Asking => "asking",
            Self::CatchingUp => "catching-up",
            Self::Streaming => "streaming",
            Self::Committing => "committing",
            Self::Degraded => "degraded",
            Self::Forgetting => "forgetting",
            Self::Scoped => "scoped",
            Self::Installing => "installing",
            Self::Succeeding => "succeeding",
            Self::Electing => "electing",
            Self::Promising => "promising",
            Self::HandingOver => "handing-over",
            Self::Leaseless => "leaseless",
        }
    }

    /// Why this phase cannot be met by a fault; `None` when it can. This is the one list of the pairs that a coverage
    /// does not miss.
    pub fn excludes(self, fault: Fault) -> Option<&'static str> {
        use Fault as F;
        match (self, fault) {
            (Self::Recovering, F::LostPowerInRecovery) => None,
            (_, F::LostPowerInRecovery) => Some("it is a fault of the recovery"),
            (
                Self::Recovering,
                F::FrameLost | F::FrameDoubled | F::FrameDelayed | F::LinkBroken | F::BandwidthCollapsed,
            ) => Some("who is down has no connections"),
            (Self::Recovering, F::DriverStalled | F::DriverDied) => Some("who is down decides nothing"),
            (Self::Idle, F::StoppedMidWrite | F::SyncFailed | F::DiskFull) => {
                Some("they show when the disk is used, and then something waits for it")
            }
            (Self::Founding, F::RestoredTold | F::RestoredUntold | F::RestoredAndWrote | F::Cloned) => {
                Some("who is being founded has no older disk")
            }
            (Self::Recovering | Self::AwaitingSync | Self::Renewing, F::Cloned) => {
                Some("a copy holds what is durable, of a node that is up")
            }
            (Self::RingChanging, F::BitRot | F::RestoredTold | F::RestoredUntold | F::DiskLost) => {
                Some("no ring is protected from who starts from an older one than it acknowledged")
            }
            (
                Self::Committing | Self::Degraded,
                F::BitRot | F::RestoredTold | F::RestoredUntold | F::DiskLost,
            ) => Some("only the leader is, and somebody takes its place only where an operator says so"),
            (Self::Succeeding, F::BitRot | F::RestoredTold | F::RestoredUntold | F::DiskLost) => {
                Some("a node that forgets what it promised helps whoever led before")
            }
            (Self::Electing | Self::Promising, F::RestoredTold) => {
                Some("who counts comes back under another name, told or not")
            }
            (Self::HandingOver, F::StoppedMidWrite | F::SyncFailed) => {
                Some("who makes way takes no more writes")
            }
            (
                Self::HandingOver | Self::Leaseless,
                F::BitRot | F::RestoredTold | F::RestoredUntold | F::DiskLost,
            ) => Some("only the leader is, for a moment, and loses its disk in all other phases"),
            (Self::Founding, F::DiskLost) => Some("who is being founded has nothing to lose"),
            (Self::Founding, F::ClonedUnderOtherName) => Some("an empty log belongs to nobody"),
            _ => None,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Phase {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|phase| phase.name() == name);
        found.ok_or_else(|| UnknownName { kind: "phase", name: name.into() })
    }
}

/// The phases that hold at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Phases(u32);

impl Phases {
    pub(crate) fn of(phase: Phase) -> Self {
        Self(1 << phase as u32)
    }

    /// The same and one more, if it holds.
    pub(crate) fn with(self, phase: Phase, holds: bool) -> Self {
        if holds { self.and(Self::of(phase)) } else { self }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn contains(self, phase: Phase) -> bool {
        self.0 & Self::of(phase).0 != 0
    }

    /// The same, or nothing when it is idle.
    pub(crate) fn without_idle(self) -> Self {
        Self(self.0 & !Self::of(Phase::Idle).0)
    }

    /// The same, and idle when there is nothing that keeps anybody busy.
    pub(crate) fn or_idle(self) -> Self {
        let busy = Phase::BESIDES.into_iter().fold(self.0, |all, phase| all & !Self::of(phase).0);
        self.with(Phase::Idle, busy == 0)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Phase> {
        Phase::ALL.into_iter().filter(move |phase| self.contains(*phase))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_found_by_its_name() {
        for phase in Phase::ALL {
            assert_eq!(phase.name().parse(), Ok(phase));
        }
    }

    #[test]
    fn a_node_that_does_nothing_is_idle() {
        let nothing = Phases::default().with(Phase::Greeting, false);
        assert!(nothing.or_idle().iter().eq([Phase::Idle]));
        let both = Phases::of(Phase::Shipping).with(Phase::AwaitingSync, true);
        assert!(both.or_idle().iter().eq([Phase::Shipping, Phase::AwaitingSync]));
    }
}
