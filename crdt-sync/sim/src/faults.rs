//! What can go wrong, how often it does, and how often it did.

use core::fmt;
use core::ops::{AddAssign, RangeInclusive};
use core::time::Duration;

/// A kind of misfortune.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A frame never arrived.
    FrameLost,
    /// A frame arrived twice.
    FrameDoubled,
    /// A frame was held up, so that later ones overtook it.
    FrameDelayed,
    /// A connection broke; its ends noticed at different times.
    LinkBroken,
    /// The nodes fell into two groups that cannot reach each other.
    Partitioned,
    /// One group of nodes could no longer reach the other, which still could reach it.
    PartitionedOneWay,
    /// A machine lost power, and its disk everything that was not synced, but for some sectors.
    PowerLost,
    /// A process died; what it had written stayed in the cache of its operating system.
    ProcessKilled,
    /// A machine stopped between two operations of its disk.
    StoppedMidWrite,
    /// A machine lost power again while its log was being recovered.
    LostPowerInRecovery,
    /// A sync failed, and with it the log.
    SyncFailed,
    /// A wall clock was set forward.
    ClockSetForward,
    /// A wall clock was set back.
    ClockSetBack,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::FrameLost,
        Self::FrameDoubled,
        Self::FrameDelayed,
        Self::LinkBroken,
        Self::Partitioned,
        Self::PartitionedOneWay,
        Self::PowerLost,
        Self::ProcessKilled,
        Self::StoppedMidWrite,
        Self::LostPowerInRecovery,
        Self::SyncFailed,
        Self::ClockSetForward,
        Self::ClockSetBack,
    ];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrameLost => "frame lost",
            Self::FrameDoubled => "frame doubled",
            Self::FrameDelayed => "frame delayed",
            Self::LinkBroken => "link broken",
            Self::Partitioned => "partitioned",
            Self::PartitionedOneWay => "partitioned one way",
            Self::PowerLost => "power lost",
            Self::ProcessKilled => "process killed",
            Self::StoppedMidWrite => "stopped mid-write",
            Self::LostPowerInRecovery => "power lost in recovery",
            Self::SyncFailed => "sync failed",
            Self::ClockSetForward => "clock set forward",
            Self::ClockSetBack => "clock set back",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often each kind of fault happened.
///
/// ```
/// use crdt_sync_sim::{Fault, FaultCounts};
///
/// let mut counts = FaultCounts::default();
/// counts.add(Fault::PowerLost);
/// assert_eq!(counts.of(Fault::PowerLost), 1);
/// assert_eq!(counts.missing().count(), Fault::ALL.len() - 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts([u64; Fault::ALL.len()]);

impl FaultCounts {
    /// Counts one.
    pub fn add(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// How often this kind happened.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// The kinds that never happened: a test that wants to say something about them has not.
    pub fn missing(&self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(|fault| self.of(*fault) == 0)
    }
}

impl AddAssign for FaultCounts {
    fn add_assign(&mut self, other: Self) {
        for (ours, theirs) in self.0.iter_mut().zip(other.0) {
            *ours += theirs;
        }
    }
}

impl fmt::Display for FaultCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in Fault::ALL.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{fault} {}", self.of(fault))?;
        }
        Ok(())
    }
}

/// How hostile a world is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostility {
    /// Of 1000 frames, how many are lost.
    pub lost_frames: u32,
    /// Of 1000 frames, how many arrive twice.
    pub doubled_frames: u32,
    /// Of 1000 frames, how many are held up.
    pub delayed_frames: u32,
    /// How long a frame that is held up takes.
    pub long_delay: RangeInclusive<Duration>,
    /// How long it is from one misfortune that strikes a node, a clock or a link to the next.
    pub between_strikes: RangeInclusive<Duration>,
    /// How long a node stays down, a partition stays open and a broken link goes unnoticed.
    pub lasting: RangeInclusive<Duration>,
    /// How far a wall clock is set at once.
    pub clock_jump: RangeInclusive<Duration>,
}

impl Default for Hostility {
    fn default() -> Self {
        let millis = Duration::from_millis;
        Self {
            lost_frames: 40,
            doubled_frames: 40,
            delayed_frames: 60,
            long_delay: millis(20)..=millis(600),
            between_strikes: millis(50)..=millis(700),
            lasting: millis(50)..=millis(1_500),
            clock_jump: millis(1)..=millis(90_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_kind_by_kind() {
        let (mut sum, mut run) = (FaultCounts::default(), FaultCounts::default());
        for fault in Fault::ALL {
            run.add(fault);
        }
        sum += run;
        sum += run;
        assert!(Fault::ALL.into_iter().all(|fault| sum.of(fault) == 2));
        assert_eq!(sum.missing().count(), 0);
    }
}
