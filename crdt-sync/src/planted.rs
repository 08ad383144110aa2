//! Mistakes an engine can be told to make, so that a simulator can show that it catches them.

use core::fmt;
use core::str::FromStr;

use alloc::string::String;

use thiserror::Error;

/// A known mistake.
///
/// ```
/// use crdt_sync::PlantedBug;
///
/// assert_eq!("log-floor-ignored".parse(), Ok(PlantedBug::LogFloorIgnored));
/// assert_eq!(PlantedBug::LogFloorIgnored.to_string(), "log-floor-ignored");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PlantedBug {
    /// Replies and messages leave before what they tell is durable.
    EffectsAheadOfDisk,
    /// A peer's frontier is taken over as soon as a session begins, before its states have arrived.
    FrontierRaisedEarly,
    /// A checkpoint holds frontiers and contexts, and none of the cells.
    CheckpointWithoutCells,
    /// The log is cut above what the checkpoints stand for. The mistake is the driver's.
    LogCutTooFar,
    /// A retired node, and what it wrote after the others parted from it, is merged like any other.
    EvictedMergedBack,
    /// Entries received from a peer are acknowledged as soon as they are applied, before they are durable.
    AcknowledgedAheadOfDisk,
    /// A peer that lacks entries below the floor is sent those above it, as if nothing were missing between.
    LogFloorIgnored,
    /// Each part of a session's states merges all that its sender has seen, not only what the part speaks of.
    WholeContextWithPart,
    /// A node whose writes are known better elsewhere, as after a restore, goes on under its identity where it is, and
    /// gives numbers out again.
    IdentityKept,
    /// Two histories that end with the same sequence pass for one.
    EqualForkMissed,
    /// After a restart the received entries of the log are applied once more, as if nothing covered them.
    AppliedTwice,
    /// What a peer has seen removed stays when its states are joined in a session.
    RemovalsIgnored,
    /// A late copy of an opening begins its session again.
    LateOpeningAccepted,
    /// What a peer has seen counts as seen here after a session that did not come to its end: keys whose states were
    /// lost pass for removed.
    ContextRaisedIncomplete,
    /// A read in a session is answered although entries are missing that the session depends on.
    SessionTokenIgnored,
    /// A copy on a fallback counts as one on the primary that it stands in for.
    FallbackCountedAsPrimary,
    /// A hint is deleted as soon as it was sent, before its owner has it.
    HintDeletedBeforeTransfer,
    /// An acknowledgement that comes twice counts as those of two nodes.
    DuplicateAcknowledgementCounted,
    /// A read repairs those it finds ahead with the older state that others hold, in place of theirs.
    StaleReadRepair,
    /// What a late hint carries comes back although it was removed meanwhile.
    LateHintResurrects,
    /// Digests that differ count as if they were those of what is returned: nobody is asked for the data.
    DigestTrusted,
    /// A store that began with nothing answers reads before it was filled.
    UnfilledReadAnswered,
    /// Who gives a partition up by a change of the ring drops it as soon as the change begins.
    DroppedBeforeCopied,
    /// Whoever follows shows what is on its disk, before it has heard that it is committed.
    AppliedBeforeCommitted,
    /// Who leads counts what it has written as being on its disk.
    CommittedAheadOfDisk,
    /// An observer counts like any other follower.
    ObserverCounted,
    /// Whoever follows reports as durable what is on its way to its disk.
    FlushedReportedEarly,
    /// What only the leader's disk vouches for is not stamped as such.
    DegradedUnstamped,
    /// A deletion is forgotten at once, whoever has not heard of it.
    CollectedAboveTheCut,
    /// A partial replica is sent the entries of others whether or not they lie within its scope.
    ScopeIgnoredOnSend,
    /// Who leads goes on to lead when another node does.
    OldLeaderStays,
    /// A session that rests on what is lost is answered as if it were there.
    LostSessionAnswered,
    /// What is cut off a log is not kept. The mistake is the driver's.
    CutTailDropped,
    /// A snapshot takes the place of the log before that is durable. The mistake is the driver's.
    InstalledAheadOfDisk,
    /// A node says that it promised an epoch, and after a restart knows nothing of it. The mistake is the driver's.
    PromiseNotKept,
    /// Who has promised another one its epoch goes on to take what the leader before sends.
    OldReignFollowed,
    /// Who promises an epoch tells of its log only what is on its disk, not what is on the way there.
    StagedEndNotTold,
    /// Leases are reckoned as if all clocks ran alike, and used to the last moment.
    LeaseWithoutMargin,
    /// What may not be said after a time is said then. The mistake is the driver's.
    LateReplySent,
    /// Who has just started promises an epoch at once, whoever's lease it granted before.
    LeaseForgotten,
    /// A log is cut behind what its node has shown, wherever it parts from the leader's. The mistake is the driver's.
    CutToTheMark,
    /// Who is to lead does so even where one of those that promised has more.
    LaggardPromoted,
    /// A node that was away takes what it did not hear for the silence of others.
    LateTickBlamed,
}

/// A name that no planted mistake has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no mistake called {name}")]
pub struct UnknownBug {
    name: String,
}

impl PlantedBug {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::EffectsAheadOfDisk,
        Self::FrontierRaisedEarly,
        Self::AcknowledgedAheadOfDisk,
        Self::LogFloorIgnored,
        Self::WholeContextWithPart,
        Self::IdentityKept,
        Self::EqualForkMissed,
        Self::AppliedTwice,
        Self::RemovalsIgnored,
        Self::LateOpeningAccepted,
        Self::CheckpointWithoutCells,
        Self::LogCutTooFar,
        Self::EvictedMergedBack,
        Self::ContextRaisedIncomplete,
        Self::SessionTokenIgnored,
        Self::FallbackCountedAsPrimary,
        Self::HintDeletedBeforeTransfer,
        Self::DuplicateAcknowledgementCounted,
        Self::StaleReadRepair,
        Self::LateHintResurrects,
        Self::DigestTrusted,
        Self::UnfilledReadAnswered,
        Self::DroppedBeforeCopied,
        Self::AppliedBeforeCommitted,
        Self::CommittedAheadOfDisk,
        Self::ObserverCounted,
        Self::FlushedReportedEarly,
        Self::DegradedUnstamped,
        Self::CollectedAboveTheCut,
        Self::ScopeIgnoredOnSend,
        Self::OldLeaderStays,
        Self::LostSessionAnswered,
        Self::CutTailDropped,
        Self::InstalledAheadOfDisk,
        Self::PromiseNotKept,
        Self::OldReignFollowed,
        Self::StagedEndNotTold,
        Self::LeaseWithoutMargin,
        Self::LateReplySent,
        Self::LeaseForgotten,
        Self::CutToTheMark,
        Self::LaggardPromoted,
        Self::LateTickBlamed,
    ];

    /// Its name on command lines and in files; it stays the same.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EffectsAheadOfDisk => "effects-ahead-of-disk",
            Self::FrontierRaisedEarly => "frontier-raised-early",
            Self::AcknowledgedAheadOfDisk => "acknowledged-ahead-of-disk",
            Self::LogFloorIgnored => "log-floor-ignored",
            Self::WholeContextWithPart => "whole-context-with-part",
            Self::IdentityKept => "identity-kept",
            Self::EqualForkMissed => "equal-fork-missed",
            Self::AppliedTwice => "applied-twice",
            Self::RemovalsIgnored => "removals-ignored",
            Self::LateOpeningAccepted => "late-opening-accepted",
            Self::CheckpointWithoutCells => "checkpoint-without-cells",
            Self::LogCutTooFar => "log-cut-too-far",
            Self::EvictedMergedBack => "evicted-merged-back",
            Self::ContextRaisedIncomplete => "context-raised-incomplete",
            Self::SessionTokenIgnored => "session-token-ignored",
            Self::FallbackCountedAsPrimary => "fallback-counted-as-primary",
            Self::HintDeletedBeforeTransfer => "hint-deleted-before-transfer",
            Self::DuplicateAcknowledgementCounted => "duplicate-acknowledgement-counted",
            Self::StaleReadRepair => "stale-read-repair",
            Self::LateHintResurrects => "late-hint-resurrects",
            Self::DigestTrusted => "digest-trusted",
            Self::UnfilledReadAnswered => "unfilled-read-answered",
            Self::DroppedBeforeCopied => "dropped-before-copied",
            Self::AppliedBeforeCommitted => "applied-before-committed",
            Self::CommittedAheadOfDisk => "committed-ahead-of-disk",
            Self::ObserverCounted => "observer-counted",
            Self::FlushedReportedEarly => "flushed-reported-early",
            Self::DegradedUnstamped => "degraded-unstamped",
            Self::CollectedAboveTheCut => "collected-above-the-cut",
            Self::ScopeIgnoredOnSend => "scope-ignored-on-send",
            Self::OldLeaderStays => "old-leader-stays",
            Self::LostSessionAnswered => "lost-session-answered",
            Self::CutTailDropped => "cut-tail-dropped",
            Self::InstalledAheadOfDisk => "installed-ahead-of-disk",
            Self::PromiseNotKept => "promise-not-kept",
            Self::OldReignFollowed => "old-reign-followed",
            Self::StagedEndNotTold => "staged-end-not-told",
            Self::LeaseWithoutMargin => "lease-without-margin",
            Self::LateReplySent => "late-reply-sent",
            Self::LeaseForgotten => "lease-forgotten",
            Self::CutToTheMark => "cut-to-the-mark",
            Self::LaggardPromoted => "laggard-promoted",
            Self::LateTickBlamed => "late-tick-blamed",
        }
    }
}

impl fmt::Display for PlantedBug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for PlantedBug {
    type Err = UnknownBug;

    fn from_str(name: &str) -> Result<Self, UnknownBug> {
        let found = Self::ALL.iter().copied().find(|bug| bug.name() == name);
        found.ok_or_else(|| UnknownBug { name: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn every_mistake_is_found_by_its_name_and_by_no_other() {
        for bug in PlantedBug::ALL {
            assert_eq!(bug.name().parse(), Ok(*bug));
        }
        let unknown = "no-mistake".parse::<PlantedBug>().unwrap_err();
        assert_eq!(unknown.to_string(), "there is no mistake called no-mistake");
    }
}
