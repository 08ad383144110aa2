//! What can go wrong, how often it does, and how often it did.

use core::fmt;
use core::ops::{AddAssign, RangeInclusive};
use core::str::FromStr;
use core::time::Duration;

use crate::phase::UnknownName;
use crate::topology::Topology;

/// A kind of misfortune.
///
/// ```
/// use crdt_sync_sim::Fault;
///
/// assert_eq!("bit-rot".parse(), Ok(Fault::BitRot));
/// assert_eq!(Fault::BitRot.to_string(), "bit-rot");
/// ```
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
    /// The way from one node to another carried next to nothing for a while; frames queued up before it.
    BandwidthCollapsed,
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
    /// A durable byte of a log changed. Its node is emptied and founded anew.
    BitRot,
    /// A disk was full for a while: appends failed, and the node could not start.
    DiskFull,
    /// A disk took seconds for each sync, for a while.
    DiskSlow,
    /// A process did nothing for a while; then everything that had piled up came at once.
    Paused,
    /// A process stood still between an engine's decision and what it asked for: it was polled, and carried out late.
    DriverStalled,
    /// A process died between an engine's decision and what it asked for: it was polled, and never carried out.
    DriverDied,
    /// A wall clock was set forward.
    ClockSetForward,
    /// A wall clock was set back.
    ClockSetBack,
    /// A node was restored from an older copy of its disk, and told so.
    RestoredTold,
    /// A node was restored from an older copy of its disk without being told; it took no writes before it had
    /// learned from a peer what others know of it.
    RestoredUntold,
    /// A second process was started on a copy of a node's disk under another name; it must refuse.
    ClonedUnderOtherName,
    /// A node was restored from an older copy of its disk without being told, and wrote at once.
    RestoredAndWrote,
    /// A second process ran on a copy of a node's disk under the same name.
    Cloned,
    /// A disk was lost: its node comes back under its name and with nothing.
    DiskLost,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::FrameLost,
        Self::FrameDoubled,
        Self::FrameDelayed,
        Self::LinkBroken,
        Self::Partitioned,
        Self::PartitionedOneWay,
        Self::BandwidthCollapsed,
        Self::PowerLost,
        Self::ProcessKilled,
        Self::StoppedMidWrite,
        Self::LostPowerInRecovery,
        Self::SyncFailed,
        Self::BitRot,
        Self::DiskFull,
        Self::DiskSlow,
        Self::Paused,
        Self::DriverStalled,
        Self::DriverDied,
        Self::ClockSetForward,
        Self::ClockSetBack,
        Self::RestoredTold,
        Self::RestoredUntold,
        Self::ClonedUnderOtherName,
        Self::RestoredAndWrote,
        Self::Cloned,
        Self::DiskLost,
    ];
    /// Those that give one identity two pasts. They are off by default: see [`Hostility::with_forks`].
    pub const FORKS: [Self; 2] = [Self::RestoredAndWrote, Self::Cloned];

    /// Its name in reports and on command lines; it stays the same.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrameLost => "frame-lost",
            Self::FrameDoubled => "frame-doubled",
            Self::FrameDelayed => "frame-delayed",
            Self::LinkBroken => "link-broken",
            Self::Partitioned => "partitioned",
            Self::PartitionedOneWay => "partitioned-one-way",
            Self::BandwidthCollapsed => "bandwidth-collapsed",
            Self::PowerLost => "power-lost",
            Self::ProcessKilled => "process-killed",
            Self::StoppedMidWrite => "stopped-mid-write",
            Self::LostPowerInRecovery => "lost-power-in-recovery",
            Self::SyncFailed => "sync-failed",
            Self::BitRot => "bit-rot",
            Self::DiskFull => "disk-full",
            Self::DiskSlow => "disk-slow",
            Self::Paused => "paused",
            Self::DriverStalled => "driver-stalled",
            Self::DriverDied => "driver-died",
            Self::ClockSetForward => "clock-set-forward",
            Self::ClockSetBack => "clock-set-back",
            Self::RestoredTold => "restored-told",
            Self::RestoredUntold => "restored-untold",
            Self::ClonedUnderOtherName => "cloned-under-other-name",
            Self::RestoredAndWrote => "restored-and-wrote",
            Self::Cloned => "cloned",
            Self::DiskLost => "disk-lost",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Fault {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|fault| fault.name() == name);
        found.ok_or_else(|| UnknownName { kind: "fault", name: name.into() })
    }
}

/// How often each kind of fault happened.
///
/// ```
/// use crdt_sync_sim::{Fault, FaultCounts, Topology};
///
/// let mut counts = FaultCounts::default();
/// counts.add(Fault::PowerLost);
/// assert_eq!(counts.of(Fault::PowerLost), 1);
/// assert!(counts.missing(Topology::MultiLeader).all(|fault| fault != Fault::PowerLost));
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

    /// The kinds that never happened and are tried in this topology: a test that wants to say something about them has
    /// not. Leaves out those that are off by default ([`Fault::FORKS`]).
    pub fn missing(&self, topology: Topology) -> impl Iterator<Item = Fault> {
        let tried = move |fault: &Fault| !Fault::FORKS.contains(fault) && topology.excludes(*fault).is_none();
        Fault::ALL.into_iter().filter(tried).filter(|fault| self.of(*fault) == 0)
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
///
/// ```
/// use crdt_sync_sim::{Fault, Hostility};
///
/// let hostility = Hostility::only(&[Fault::PowerLost, Fault::FrameLost]);
/// assert!(hostility.lost_frames > 0 && hostility.weight(Fault::PowerLost) > 0);
/// assert!(hostility.doubled_frames == 0 && hostility.weight(Fault::Paused) == 0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostility {
    /// Of 1000 frames, how many are lost.
    pub lost_frames: u32,
    /// Of 1000 frames, how many arrive twice.
    pub doubled_frames: u32,
    /// Of 1000 frames, how many are held up.
    pub delayed_frames: u32,
    /// Of 1000 starts, how many are cut short by the power going out.
    pub failed_recoveries: u32,
    /// Of 1000 strikes in a leaderless world, with how many a node loses its disk besides.
    pub lost_disks: u32,
    /// How often a strike is of which kind, compared to the others, in the order of [`Fault::ALL`].
    pub weights: [u32; Fault::ALL.len()],
    /// Of 1000 strikes, how many wait for a phase of the protocol that was drawn before they fall.
    pub aimed: u32,
    /// How long a frame that is held up takes.
    pub long_delay: RangeInclusive<Duration>,
    /// How long it is from one misfortune that strikes a node, a clock or a link to the next.
    pub between_strikes: RangeInclusive<Duration>,
    /// How long a node stays down, a partition stays open and a broken link goes unnoticed.
    pub lasting: RangeInclusive<Duration>,
    /// How far a wall clock is set at once.
    pub clock_jump: RangeInclusive<Duration>,
    /// How long a sync takes on a disk that is slow.
    pub slow_sync: RangeInclusive<Duration>,
}

impl Hostility {
    /// As hostile as by default in these ways, and in no other.
    pub fn only(faults: &[Fault]) -> Self {
        let all = Self::default().with_forks();
        let rate = |fault: Fault, rate: u32| if faults.contains(&fault) { rate } else { 0 };
        let mut weights = [0; Fault::ALL.len()];
        for fault in Fault::ALL {
            weights[fault as usize] = rate(fault, all.weight(fault));
        }
        Self {
            lost_frames: rate(Fault::FrameLost, all.lost_frames),
            doubled_frames: rate(Fault::FrameDoubled, all.doubled_frames),
            delayed_frames: rate(Fault::FrameDelayed, all.delayed_frames),
            failed_recoveries: rate(Fault::LostPowerInRecovery, all.failed_recoveries),
            lost_disks: rate(Fault::DiskLost, all.lost_disks),
            weights,
            ..all
        }
    }

    /// The same with the faults that give one identity two pasts.
    pub fn with_forks(self) -> Self {
        Fault::FORKS.into_iter().fold(self, |hostility, fault| hostility.with_weight(fault, 1))
    }

    /// How often a strike is of this kind: as often as its weight is of the sum of all. Zero for what does not strike
    /// but happens on the way, or besides: the faults of frames and of recoveries, and lost disks, which have rates of
    /// their own.
    pub fn weight(&self, fault: Fault) -> u32 {
        self.weights[fault as usize]
    }

    /// The same with another weight for one kind.
    pub fn with_weight(mut self, fault: Fault, weight: u32) -> Self {
        self.weights[fault as usize] = weight;
        self
    }

    /// The kind of strike at this place, when each stands there as often as it weighs.
    pub(crate) fn strike_at(&self, mut place: u64) -> Option<Fault> {
        Fault::ALL.into_iter().find(|fault| {
            let weight = u64::from(self.weight(*fault));
            let here = place < weight;
            place = place.saturating_sub(weight);
            here
        })
    }

    /// The sum of all weights.
    pub(crate) fn total_weight(&self) -> u64 {
        self.weights.iter().map(|weight| u64::from(*weight)).sum()
    }
}

impl Default for Hostility {
    fn default() -> Self {
        let millis = Duration::from_millis;
        let mut weights = [0; Fault::ALL.len()];
        for (fault, weight) in DEFAULT_WEIGHTS {
            weights[fault as usize] = weight;
        }
        Self {
            lost_frames: 40,
            doubled_frames: 40,
            delayed_frames: 60,
            failed_recoveries: 100,
            lost_disks: 60,
            weights,
            aimed: 400,
            long_delay: millis(20)..=millis(600),
            between_strikes: millis(50)..=millis(700),
            lasting: millis(50)..=millis(1_500),
            clock_jump: millis(1)..=millis(90_000),
            slow_sync: millis(1_000)..=millis(4_000),
        }
    }
}

/// What strikes, and how often compared to the others.
const DEFAULT_WEIGHTS: [(Fault, u32); 19] = [
    (Fault::LinkBroken, 4),
    (Fault::Partitioned, 4),
    (Fault::PartitionedOneWay, 3),
    (Fault::BandwidthCollapsed, 3),
    (Fault::PowerLost, 4),
    (Fault::ProcessKilled, 3),
    (Fault::StoppedMidWrite, 4),
    (Fault::SyncFailed, 4),
    (Fault::BitRot, 1),
    (Fault::DiskFull, 3),
    (Fault::DiskSlow, 2),
    (Fault::Paused, 3),
    (Fault::DriverStalled, 3),
    (Fault::DriverDied, 3),
    (Fault::ClockSetForward, 2),
    (Fault::ClockSetBack, 2),
    (Fault::RestoredTold, 1),
    (Fault::RestoredUntold, 2),
    (Fault::ClonedUnderOtherName, 2),
];

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
        assert_eq!(sum.missing(Topology::Leaderless).count(), 0);
    }

    #[test]
    fn every_fault_is_found_by_its_name_and_by_no_other() {
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(fault));
        }
        assert_eq!("fire".parse::<Fault>().unwrap_err().to_string(), "there is no fault called fire");
    }

    #[test]
    fn what_is_left_out_weighs_nothing() {
        let hostility = Hostility::only(&[Fault::ClockSetBack]);
        assert_eq!((hostility.lost_frames, hostility.failed_recoveries), (0, 0));
        let places = 0..hostility.total_weight();
        assert!(places.clone().all(|place| hostility.strike_at(place) == Some(Fault::ClockSetBack)));
        assert_eq!(hostility.strike_at(places.end), None);
    }
}
