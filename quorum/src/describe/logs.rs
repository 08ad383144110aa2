//! Pictures of how far the members of a log are.

use core::fmt;

use super::Picture;
use super::bar::bar;
use crate::{CommitTally, JointCommitTally};

impl<N: Ord + Copy + fmt::Display> CommitTally<N> {
    /// The tally as a picture: the positions, furthest first, and the bar after the last one needed. The index is
    /// what stands left of the bar; what stands left of that is ahead, what stands right of the bar has to follow.
    ///
    /// `_` is a place for which there is no member. Members that were given votes are drawn with them: `9:2` is
    /// position 9 with two votes.
    ///
    /// ```
    /// let mut log = quorum::CommitTally::majority(["a", "b", "c"]);
    /// let _ = (log.acknowledge("a", 4)?, log.acknowledge("b", 9)?, log.acknowledge("c", 7)?);
    /// assert_eq!(log.describe().to_string(), "[9 7|4] index 7\nmembers a@4 b@9 c@7\n");
    /// # Ok::<(), quorum::CommitError<&str>>(())
    /// ```
    pub const fn describe(&self) -> Picture<'_, Self> {
        Picture::of(self)
    }
}

impl<N: Ord + Copy + fmt::Display> JointCommitTally<N> {
    /// Both memberships as pictures, as [`CommitTally::describe`] draws them, below the index of the two.
    ///
    /// ```
    /// use quorum::{CommitTally, JointCommitTally};
    ///
    /// let mut log = JointCommitTally::new(CommitTally::majority([1]), CommitTally::majority([2]));
    /// let _ = (log.acknowledge(1, 9)?, log.acknowledge(2, 4)?);
    /// assert_eq!(
    ///     log.describe().to_string(),
    ///     "index 4\nold [9|] index 9\nmembers 1@9\nnew [4|] index 4\nmembers 2@4\n"
    /// );
    /// # Ok::<(), quorum::CommitError<u32>>(())
    /// ```
    pub const fn describe(&self) -> Picture<'_, Self> {
        Picture::of(self)
    }
}

impl<N: Ord + Copy + fmt::Display> fmt::Display for Picture<'_, CommitTally<N>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = self.tally;
        let shown = |votes| tally.is_weighted().then_some(votes);
        let ranked = tally.ranked().map(|(position, votes)| (votes, Held { position, votes: shown(votes) }));
        bar(f, tally.required(), " ", ranked)?;
        write!(f, " index {}\nmembers", tally.index())?;
        for (node, position, votes) in tally.members() {
            write!(f, " {node}@{}", Held { position, votes: shown(votes) })?;
        }
        f.write_str("\n")
    }
}

impl<N: Ord + Copy + fmt::Display> fmt::Display for Picture<'_, JointCommitTally<N>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = (self.tally.old_half().describe(), self.tally.new_half().describe());
        write!(f, "index {}\nold {old}new {new}", self.tally.index())
    }
}

/// A position, with the votes of who holds it where these differ.
struct Held {
    position: u64,
    votes: Option<u64>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.votes {
            Some(votes) => write!(f, "{}:{votes}", self.position),
            None => write!(f, "{}", self.position),
        }
    }
}
