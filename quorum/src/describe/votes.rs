//! Pictures of votes.

use core::fmt;

use super::Picture;
use super::bar::bar;
use crate::{JointVoteTally, Vote, VoteOutcome, VoteTally};

impl<N: Ord + Copy + fmt::Display> VoteTally<N> {
    /// The tally as a picture: one mark per voter, the bar after the last vote needed.
    ///
    /// `#` granted, `.` has not voted, `x` rejected, `_` there is no such voter. It is won when every mark left of the
    /// bar is a `#`, and lost when one is an `x` or `_`.
    ///
    /// ```
    /// let mut election = quorum::VoteTally::majority(["a", "b", "c"]);
    /// let _ = (election.grant("b")?, election.reject("c")?);
    /// assert_eq!(election.describe().to_string(), "[#.|x] pending\nvoters a. b# cx\n");
    /// # Ok::<(), quorum::VoteError<&str>>(())
    /// ```
    pub const fn describe(&self) -> Picture<'_, Self> {
        Picture::of(self)
    }
}

impl<N: Ord + Copy + fmt::Display> JointVoteTally<N> {
    /// Both memberships as pictures, as [`VoteTally::describe`] draws them, below what comes of the two.
    ///
    /// ```
    /// let mut election = quorum::JointVoteTally::majority([1, 2], [2, 3]);
    /// let _ = (election.grant(1)?, election.grant(2)?);
    /// assert_eq!(
    ///     election.describe().to_string(),
    ///     "pending\nold [##|] won\nvoters 1# 2#\nnew [#.|] pending\nvoters 2# 3.\n"
    /// );
    /// # Ok::<(), quorum::VoteError<u32>>(())
    /// ```
    pub const fn describe(&self) -> Picture<'_, Self> {
        Picture::of(self)
    }
}

impl<N: Ord + Copy + fmt::Display> fmt::Display for Picture<'_, VoteTally<N>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = self.tally;
        let voters = [Some(Vote::Granted), None, Some(Vote::Rejected)]
            .into_iter()
            .flat_map(|shown| tally.voters().filter(move |(_, vote)| *vote == shown))
            .map(|(_, vote)| (1, mark(vote)));
        bar(f, u64::from(tally.required()), "", voters)?;
        write!(f, " {}\nvoters", outcome(tally.outcome()))?;
        tally.voters().try_for_each(|(node, vote)| write!(f, " {node}{}", mark(vote)))?;
        f.write_str("\n")
    }
}

impl<N: Ord + Copy + fmt::Display> fmt::Display for Picture<'_, JointVoteTally<N>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = (self.tally.old_half().describe(), self.tally.new_half().describe());
        write!(f, "{}\nold {old}new {new}", outcome(self.tally.outcome()))
    }
}

fn outcome(outcome: VoteOutcome) -> &'static str {
    match outcome {
        VoteOutcome::Pending => "pending",
        VoteOutcome::Won => "won",
        VoteOutcome::Lost => "lost",
    }
}

fn mark(vote: Option<Vote>) -> char {
    match vote {
        Some(Vote::Granted) => '#',
        None => '.',
        Some(Vote::Rejected) => 'x',
    }
}
