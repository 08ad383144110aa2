//! Counting votes: won, lost, or pending.

use core::fmt;
use core::num::NonZeroU32;

use super::members::{Members, PerMember};
use crate::{VoteError, majority};

/// Who voted for and who against one proposal, and whether that decides it.
///
/// With `need` votes needed, it is won once `granted >= need`, pending while `granted + silent >= need`, and lost
/// otherwise: the count of etcd's Raft library, where `need` is a majority. Once decided it stays so, because no
/// vote is ever changed or taken back: the first vote of a voter stands, its repetition counts nothing, and another
/// vote of the same voter is refused. A voter that could be talked round might help two candidates into one term.
///
/// Without voters nobody can grant anything, and the vote is lost from the start: [`majority`] of nobody is one.
/// Raft libraries call such a vote won, because in a joint configuration an absent half must not object;
/// [`JointVoteTally`](crate::JointVoteTally) sees to that itself, so that no node without a membership elects
/// itself.
///
/// Opening is O(n log n), a vote O(log n), the outcome O(1). Up to 16 voters nothing is allocated.
///
/// ```
/// use quorum::{VoteError, VoteOutcome, VoteTally};
///
/// let mut election = VoteTally::majority(["a", "b", "c"]);
/// assert_eq!(election.grant("a")?, VoteOutcome::Pending);
/// assert_eq!(election.grant("a")?, VoteOutcome::Pending); // the same vote, delivered twice
/// assert_eq!(election.reject("b")?, VoteOutcome::Pending);
/// assert_eq!(election.grant("c")?, VoteOutcome::Won);
/// assert_eq!(election.grant("d"), Err(VoteError::NoVoter { node: "d" }));
/// # Ok::<(), VoteError<&str>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteTally<N> {
    required: NonZeroU32,
    voters: Members<N>,
    /// What each voter said.
    votes: PerMember<Option<Vote>>,
    granted: usize,
    silent: usize,
}

/// What a voter said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vote {
    /// Yes.
    Granted,
    /// No.
    Rejected,
}

/// Whether a vote is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "the outcome decides whether to lead, to wait, or to stand back"]
pub enum VoteOutcome {
    /// Not yet: those who have not voted could still turn it either way.
    Pending,
    /// Enough voters granted. This never changes again.
    Won,
    /// Too many rejected for the rest to make up for it. This never changes again.
    Lost,
}

impl<N: Ord + Copy> VoteTally<N> {
    /// A vote that more than half of `voters` decide. A voter named twice has one vote.
    pub fn majority(voters: impl IntoIterator<Item = N>) -> Self {
        let voters: Members<N> = voters.into_iter().collect();
        // More voters than fit in 32 bits do not fit in memory either.
        let required = majority(u32::try_from(voters.len()).unwrap_or(u32::MAX));
        Self::open(NonZeroU32::new(required).unwrap_or(NonZeroU32::MAX), voters)
    }

    /// A vote that `required` of `voters` decide. More than there are is lost from the start.
    ///
    /// With half or fewer of the voters, two proposals can both be won.
    pub fn new(required: NonZeroU32, voters: impl IntoIterator<Item = N>) -> Self {
        Self::open(required, voters.into_iter().collect())
    }

    fn open(required: NonZeroU32, voters: Members<N>) -> Self {
        let silent = voters.len();
        Self { required, voters, votes: PerMember::from_elem(None, silent), granted: 0, silent }
    }

    /// Counts a yes of `node`: `cast` with [`Vote::Granted`].
    pub fn grant(&mut self, node: N) -> Result<VoteOutcome, VoteError<N>> {
        self.cast(node, Vote::Granted)
    }

    /// Counts a no of `node`: `cast` with [`Vote::Rejected`].
    pub fn reject(&mut self, node: N) -> Result<VoteOutcome, VoteError<N>> {
        self.cast(node, Vote::Rejected)
    }

    /// Counts the vote of `node`, once.
    pub fn cast(&mut self, node: N, vote: Vote) -> Result<VoteOutcome, VoteError<N>> {
        let place = self.voters.place(node).ok_or(VoteError::NoVoter { node })?;
        match self.votes[place] {
            Some(first) if first != vote => return Err(VoteError::Changed { node, first }),
            Some(_) => {}
            None => {
                self.votes[place] = Some(vote);
                self.silent -= 1;
                self.granted += usize::from(vote == Vote::Granted);
            }
        }
        Ok(self.outcome())
    }

    /// Whether it is won, lost, or pending.
    pub fn outcome(&self) -> VoteOutcome {
        let need = usize::try_from(self.required.get()).unwrap_or(usize::MAX);
        if self.granted >= need {
            VoteOutcome::Won
        } else if self.granted + self.silent >= need {
            VoteOutcome::Pending
        } else {
            VoteOutcome::Lost
        }
    }

    /// How many votes are needed.
    pub fn required(&self) -> u32 {
        self.required.get()
    }

    /// How many granted.
    pub fn granted(&self) -> usize {
        self.granted
    }

    /// How many have not voted yet.
    pub fn silent(&self) -> usize {
        self.silent
    }

    /// Whether there are no voters at all.
    pub fn is_empty(&self) -> bool {
        self.voters.is_empty()
    }

    /// Every voter with what it said, in node order.
    pub fn voters(&self) -> impl Iterator<Item = (N, Option<Vote>)> + '_ {
        self.voters.iter().zip(self.votes.iter().copied())
    }
}

/// In words: "granted" or "rejected".
impl fmt::Display for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Granted => "granted",
            Self::Rejected => "rejected",
        })
    }
}
