//! How far those who decide are.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use quorum::{CommitTally, Progress};

use super::followers::Followers;
use crate::{
    Lsn,
    ship::{AckPolicy, Marks, Stage, policy::Jury},
};

/// The stage at which a record is committed, whatever a client waits for: followers apply what is committed,
/// so that being applied cannot be a condition of it.
pub(super) fn committing(stage: Stage) -> Stage {
    stage.min(Stage::Flushed)
}

/// Those who decide, and how far enough of them are.
///
/// Every policy is a count of so many among a jury ([`AckPolicy::jury`]), so one tally serves all: ANY *k* is
/// the *k*-th largest of those listed, ALL the least of all of them, FIRST the least of the first *k* that
/// are there. Who comes and goes changes the jury, and the tally is made anew: O(n log n). An acknowledgement
/// is O(log n), and O(n) more only where it moves the mark.
#[derive(Clone, Debug)]
pub(super) struct Count<N> {
    jury: Jury<N>,
    live: u32,
    stage: Stage,
    committed: CommitTally<N>,
    /// `None` if it would be the same as the other.
    told: Option<CommitTally<N>>,
}

impl<N: Ord + Copy> Count<N> {
    /// `None` for a policy that asks nobody.
    pub(super) fn new(policy: &AckPolicy<N>, stage: Stage, followers: &Followers<N>) -> Option<Self> {
        let jury = policy.jury(&followers.candidates())?;
        let members = || jury.members.iter().copied();
        let live = members().filter(|name| followers.is_live(*name)).count();
        let committed = tally(jury.need, members(), committing(stage), followers);
        let told = (stage != committing(stage)).then(|| tally(jury.need, members(), stage, followers));
        Some(Self { live: u32::try_from(live).unwrap_or(u32::MAX), stage, committed, told, jury })
    }

    /// Notes what a follower has now. Returns whether either mark moved.
    pub(super) fn note(&mut self, name: N, marks: &Marks) -> bool {
        let mut moved = false;
        for (tally, stage) in
            [(Some(&mut self.committed), committing(self.stage)), (self.told.as_mut(), self.stage)]
        {
            let progress = tally.map(|tally| tally.acknowledge(name, marks.at(stage).get()));
            // Whoever is not on the jury does not decide.
            moved |= matches!(progress, Some(Ok(Progress::Advanced { .. })));
        }
        moved
    }

    /// What is with enough of them to be committed.
    pub(super) fn committed(&self) -> Lsn {
        Lsn::new(self.committed.index())
    }

    /// What enough of them have come as far with as a client waits for.
    pub(super) fn told(&self) -> Lsn {
        Lsn::new(self.told.as_ref().unwrap_or(&self.committed).index())
    }

    /// The same of those who are there and have caught up; `None` if they are too few. O(n log n).
    pub(super) fn told_by_the_live(&self, followers: &Followers<N>) -> Option<Lsn> {
        self.shortage().is_none().then(|| {
            let live: Vec<N> =
                self.jury.members.iter().copied().filter(|name| followers.is_live(*name)).collect();
            Lsn::new(tally(self.jury.need, live, self.stage, followers).index())
        })
    }

    /// How many are needed and how many are there, if that is too few.
    pub(super) fn shortage(&self) -> Option<(u32, u32)> {
        let needed = self.needed();
        (self.live < needed).then_some((needed, self.live))
    }

    pub(super) fn needed(&self) -> u32 {
        self.jury.need.get()
    }

    pub(super) fn live(&self) -> u32 {
        self.live
    }
}

fn tally<N: Ord + Copy>(
    need: NonZeroU32,
    members: impl IntoIterator<Item = N>,
    stage: Stage,
    followers: &Followers<N>,
) -> CommitTally<N> {
    let mut tally = CommitTally::new(need, members);
    let known: Vec<(N, u64)> = tally.members().map(|(name, ..)| (name, followers.at(name, stage))).collect();
    for (name, position) in known {
        let progress = tally.acknowledge(name, position);
        debug_assert!(progress.is_ok(), "it was asked who its members are");
    }
    tally
}
