//! Two memberships at once, while one takes over from the other.
//!
//! Between an old membership and a new one there may be no moment at which either could decide without the other, or
//! both could, differently. So for a while both must agree (Ongaro and Ousterhout, "In Search of an Understandable
//! Consensus Algorithm", 2014, §6). A membership of nobody asks for nothing here: together with another it is as if
//! that other were alone. If both are empty, what a single empty membership means holds.

use crate::{CommitError, CommitTally, Progress, Vote, VoteError, VoteOutcome, VoteTally};

/// A vote that the old and the new membership must both win.
///
/// Lost as soon as either is lost, won when both are won. Whoever is a voter in both votes once and counts in both.
///
/// ```
/// use quorum::{JointVoteTally, VoteOutcome};
///
/// let mut election = JointVoteTally::majority([1, 2, 3], [3, 4, 5]);
/// assert_eq!(election.grant(1)?, VoteOutcome::Pending);
/// assert_eq!(election.grant(2)?, VoteOutcome::Pending); // the old membership alone does not decide
/// assert_eq!(election.grant(3)?, VoteOutcome::Pending);
/// assert_eq!(election.grant(4)?, VoteOutcome::Won);
/// # Ok::<(), quorum::VoteError<u32>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JointVoteTally<N> {
    old: VoteTally<N>,
    new: VoteTally<N>,
}

impl<N: Ord + Copy> JointVoteTally<N> {
    /// More than half of either membership.
    pub fn majority(old: impl IntoIterator<Item = N>, new: impl IntoIterator<Item = N>) -> Self {
        Self { old: VoteTally::majority(old), new: VoteTally::majority(new) }
    }

    /// Two votes made one. What either has counted counts in both; if they contradict each other about a voter, they
    /// are not votes on the same question, and the contradiction is returned.
    pub fn new(mut old: VoteTally<N>, mut new: VoteTally<N>) -> Result<Self, VoteError<N>> {
        learn(&mut new, &old)?;
        learn(&mut old, &new)?;
        Ok(Self { old, new })
    }

    /// Counts a yes of `node` wherever it is a voter.
    pub fn grant(&mut self, node: N) -> Result<VoteOutcome, VoteError<N>> {
        self.cast(node, Vote::Granted)
    }

    /// Counts a no of `node` wherever it is a voter.
    pub fn reject(&mut self, node: N) -> Result<VoteOutcome, VoteError<N>> {
        self.cast(node, Vote::Rejected)
    }

    /// Counts the vote of `node` wherever it is a voter, once. What is refused changes neither membership.
    pub fn cast(&mut self, node: N, vote: Vote) -> Result<VoteOutcome, VoteError<N>> {
        // Whoever votes in both has said the same in both, so a changed vote is refused by both.
        match (self.old.cast(node, vote), self.new.cast(node, vote)) {
            (Ok(_), _) | (_, Ok(_)) => Ok(self.outcome()),
            (Err(error @ VoteError::Changed { .. }), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Whether it is won, lost, or pending.
    pub fn outcome(&self) -> VoteOutcome {
        if self.old.is_empty() {
            return self.new.outcome();
        }
        if self.new.is_empty() {
            return self.old.outcome();
        }
        match (self.old.outcome(), self.new.outcome()) {
            (VoteOutcome::Lost, _) | (_, VoteOutcome::Lost) => VoteOutcome::Lost,
            (VoteOutcome::Won, VoteOutcome::Won) => VoteOutcome::Won,
            _ => VoteOutcome::Pending,
        }
    }

    /// The vote of the old membership.
    pub fn old_half(&self) -> &VoteTally<N> {
        &self.old
    }

    /// The vote of the new membership.
    pub fn new_half(&self) -> &VoteTally<N> {
        &self.new
    }
}

/// Counts the votes that `other` knows.
fn learn<N: Ord + Copy>(tally: &mut VoteTally<N>, other: &VoteTally<N>) -> Result<(), VoteError<N>> {
    for (node, vote) in other.voters() {
        let Some(vote) = vote else { continue };
        match tally.cast(node, vote) {
            Ok(_) | Err(VoteError::NoVoter { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A log that the old and the new membership must both commit: its index is the lower of theirs.
///
/// Whoever is a member of both acknowledges once and counts in both. When the entry that ends the change is committed
/// here, and so in both, [`into_new`](Self::into_new) leaves the old membership behind.
///
/// ```
/// use quorum::{CommitTally, JointCommitTally, Progress};
///
/// let mut old = CommitTally::majority([1, 2, 3]);
/// let _ = (old.acknowledge(1, 8)?, old.acknowledge(3, 8)?);
/// let mut log = JointCommitTally::new(old, CommitTally::majority([3, 4, 5]));
/// assert_eq!(log.index(), 0); // of the new members only 3 has anything
/// assert_eq!(log.acknowledge(4, 6)?, Progress::Advanced { to: 6 });
/// assert_eq!(log.acknowledge(5, 9)?, Progress::Advanced { to: 8 });
/// assert_eq!(log.into_new().index(), 8);
/// # Ok::<(), quorum::CommitError<u32>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JointCommitTally<N> {
    old: CommitTally<N>,
    new: CommitTally<N>,
}

impl<N: Ord + Copy> JointCommitTally<N> {
    /// Two memberships of one log. Of a member of both, the larger position known counts in both.
    pub fn new(mut old: CommitTally<N>, mut new: CommitTally<N>) -> Self {
        new.learn(&old);
        old.learn(&new);
        Self { old, new }
    }

    /// Notes that `node` has everything up to `position`, wherever it is a member.
    pub fn acknowledge(&mut self, node: N, position: u64) -> Result<Progress, CommitError<N>> {
        let before = self.index();
        // Whoever is a member of both is at the same position in both, so both find it outdated or neither does.
        match (self.old.acknowledge(node, position), self.new.acknowledge(node, position)) {
            (Err(error), Err(_)) => Err(error),
            (Ok(outdated @ Progress::Outdated { .. }), _) | (_, Ok(outdated @ Progress::Outdated { .. })) => {
                Ok(outdated)
            }
            _ => match self.index() {
                to if to > before => Ok(Progress::Advanced { to }),
                _ => Ok(Progress::Unchanged),
            },
        }
    }

    /// The commit index: how far enough members of both are.
    pub fn index(&self) -> u64 {
        match (self.old.is_empty(), self.new.is_empty()) {
            (true, _) => self.new.index(),
            (_, true) => self.old.index(),
            _ => self.old.index().min(self.new.index()),
        }
    }

    /// Ends the change: from here on the new membership is alone.
    pub fn into_new(self) -> CommitTally<N> {
        self.new
    }

    /// The log as the old membership has it.
    pub fn old_half(&self) -> &CommitTally<N> {
        &self.old
    }

    /// The log as the new membership has it.
    pub fn new_half(&self) -> &CommitTally<N> {
        &self.new
    }
}
