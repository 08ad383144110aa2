//! Counting how far the members of a log are.

use core::num::NonZeroU32;

use super::members::{Members, PerMember};
use crate::{CommitError, VotesError};

/// The position of a log up to which enough members have acknowledged it: its commit index.
///
/// Each member acknowledges positions, and with one it acknowledges all before it. The index is the highest position
/// at or beyond which the members have the votes needed; with one vote each and `k` needed, that is the `k`-th
/// largest of their positions. Position 0 stands for nothing: it is where a member is that has not acknowledged, and
/// where the index is while too few have.
///
/// The index is a function of the members and their positions, never of the order of arrival. It does not go back
/// while the members stay the same, for no member does: an older position is a late message, and is ignored.
///
/// That a majority holds an entry commits it in a log with terms only if the entry is of the leader's own term
/// (Raft, §5.4.2). Terms are not known here.
///
/// Without members there is nobody to hold anything, and the index is 0. Raft libraries say "everything" instead,
/// for the sake of joint configurations, which [`JointCommitTally`](crate::JointCommitTally) takes care of itself.
///
/// An acknowledgement is O(log n) until it moves the index; then each position that the index comes to or passes is
/// looked for once, in O(n). No member is passed more often than it acknowledged. Up to 16 members that is O(1), and
/// nothing is allocated. Positions are deliberately not kept in order: to move one up past those that it overtakes
/// costs as much as looking for the index, and would have to be done also when the index does not move.
///
/// ```
/// use quorum::{CommitError, CommitTally, Progress};
///
/// let mut log = CommitTally::majority(["a", "b", "c"]);
/// assert_eq!(log.acknowledge("a", 9)?, Progress::Unchanged);
/// assert_eq!(log.acknowledge("b", 7)?, Progress::Advanced { to: 7 }); // two of three have 7
/// assert_eq!(log.acknowledge("c", 8)?, Progress::Advanced { to: 8 });
/// assert_eq!(log.acknowledge("c", 5)?, Progress::Outdated { known: 8 }); // a late message
/// assert_eq!(log.index(), 8);
/// # Ok::<(), CommitError<&str>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitTally<N> {
    need: u64,
    members: Members<N>,
    /// What each member acknowledged last.
    positions: PerMember<u64>,
    /// How many votes each member has. Empty if each has one.
    votes: PerMember<u64>,
    index: u64,
    /// The votes of the members beyond the index: always fewer than needed, or the index would be further.
    beyond: u64,
}

/// What an acknowledgement changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an index that advanced releases what waited for it"]
pub enum Progress {
    /// Enough members have everything up to `to`, which is further than before.
    Advanced {
        /// The new commit index.
        to: u64,
    },
    /// The member is where it says. The index stays.
    Unchanged,
    /// The member had acknowledged more before. Nothing changed.
    Outdated {
        /// What it had acknowledged.
        known: u64,
    },
}

impl<N: Ord + Copy> CommitTally<N> {
    /// A log that more than half of `members` commit. A member named twice has one vote.
    pub fn majority(members: impl IntoIterator<Item = N>) -> Self {
        let members: Members<N> = members.into_iter().collect();
        let need = members.len() as u64 / 2 + 1;
        Self::open(need, members)
    }

    /// A log that any `required` of `members` commit. With more than there are, nothing is ever committed.
    pub fn new(required: NonZeroU32, members: impl IntoIterator<Item = N>) -> Self {
        Self::open(u64::from(required.get()), members.into_iter().collect())
    }

    /// A log that members with `need` votes commit together.
    ///
    /// Source: Gifford, "Weighted voting for replicated data", 1979.
    ///
    /// ```
    /// use quorum::{CommitTally, Progress};
    ///
    /// let mut log = CommitTally::weighted(3, [(2, "a"), (1, "b"), (1, "c")])?;
    /// assert_eq!(log.acknowledge("b", 4)?, Progress::Unchanged);
    /// assert_eq!(log.acknowledge("c", 9)?, Progress::Unchanged); // two votes
    /// assert_eq!(log.acknowledge("a", 6)?, Progress::Advanced { to: 6 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn weighted(need: u64, members: impl IntoIterator<Item = (u64, N)>) -> Result<Self, VotesError<N>> {
        let mut named: PerMember<(N, u64)> = members.into_iter().map(|(votes, node)| (node, votes)).collect();
        named.sort_unstable();
        let (mut total, mut last) = (0_u64, None);
        for &(node, votes) in &named {
            if last.replace(node) == Some(node) {
                return Err(VotesError::NamedTwice { node });
            }
            if votes == 0 {
                return Err(VotesError::NoVotes { node });
            }
            total = total.checked_add(votes).ok_or(VotesError::TooManyVotes)?;
        }
        if need == 0 {
            return Err(VotesError::NeedsNothing);
        }
        if need > total {
            return Err(VotesError::NeedsTooMuch { need, total });
        }
        let votes = named.iter().map(|(_, votes)| *votes).collect();
        Ok(Self { votes, ..Self::open(need, named.into_iter().map(|(node, _)| node).collect()) })
    }

    fn open(need: u64, members: Members<N>) -> Self {
        let positions = PerMember::from_elem(0, members.len());
        Self { need, members, positions, votes: PerMember::new(), index: 0, beyond: 0 }
    }

    /// Notes that `node` has everything up to `position`.
    pub fn acknowledge(&mut self, node: N, position: u64) -> Result<Progress, CommitError<N>> {
        let place = self.members.place(node).ok_or(CommitError::NoMember { node })?;
        let known = self.positions[place];
        if position < known {
            return Ok(Progress::Outdated { known });
        }
        self.positions[place] = position;
        if known <= self.index && position > self.index {
            self.beyond += self.votes_at(place);
            if self.beyond >= self.need {
                self.advance();
                return Ok(Progress::Advanced { to: self.index });
            }
        }
        Ok(Progress::Unchanged)
    }

    /// The commit index: how far enough members are.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Takes the members of `next` and its votes, and keeps what is known of those who stay, including what `next`
    /// knows already. Returns the index. O(n log n).
    ///
    /// That index may be lower than before, because who is new has acknowledged nothing: what was committed stays
    /// committed, but the new members cannot prove it yet. That is one reason to go from one membership to another
    /// through a [`JointCommitTally`](crate::JointCommitTally).
    ///
    /// ```
    /// use quorum::CommitTally;
    ///
    /// let mut log = CommitTally::majority([1, 2, 3]);
    /// let _ = (log.acknowledge(2, 6)?, log.acknowledge(3, 8)?);
    /// assert_eq!(log.reconfigure(CommitTally::majority([2, 3, 4])), 6);
    /// assert_eq!(log.reconfigure(CommitTally::majority([3, 4, 5])), 0);
    /// assert_eq!(log.position(3), Some(8));
    /// # Ok::<(), quorum::CommitError<u32>>(())
    /// ```
    pub fn reconfigure(&mut self, mut next: Self) -> u64 {
        next.learn(self);
        *self = next;
        self.index
    }

    /// What `node` acknowledged last, 0 if nothing. `None` if it is no member.
    pub fn position(&self, node: N) -> Option<u64> {
        self.members.place(node).map(|place| self.positions[place])
    }

    /// Every member with its position and its votes, in node order.
    pub fn members(&self) -> impl Iterator<Item = (N, u64, u64)> + '_ {
        let known =
            self.positions.iter().enumerate().map(|(place, position)| (*position, self.votes_at(place)));
        self.members.iter().zip(known).map(|(node, (position, votes))| (node, position, votes))
    }

    /// How many votes are needed.
    pub fn required(&self) -> u64 {
        self.need
    }

    /// Whether there are no members at all.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether members were given votes, rather than one each.
    pub(crate) fn is_weighted(&self) -> bool {
        !self.votes.is_empty()
    }

    /// Position and votes of each member, furthest first.
    pub(crate) fn ranked(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut ranked: PerMember<(u64, u64)> =
            self.members().map(|(_, position, votes)| (position, votes)).collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        ranked.into_iter()
    }

    /// Takes over the larger position of each member that both know.
    pub(super) fn learn(&mut self, other: &Self) {
        let mut others = other.members().peekable();
        for (node, position) in self.members.iter().zip(&mut self.positions) {
            while others.next_if(|(known, ..)| *known < node).is_some() {}
            if let Some((_, known, _)) = others.next_if(|(known, ..)| *known == node) {
                *position = known.max(*position);
            }
        }
        self.settle();
    }

    /// Finds the index anew.
    fn settle(&mut self) {
        let mut votes = 0;
        let enough = self.ranked().find(|(_, own)| {
            votes += own;
            votes >= self.need
        });
        self.index = enough.map_or(0, |(position, _)| position);
        self.beyond = self.votes_beyond(self.index);
    }

    /// Moves the index up while the members beyond it suffice without those at it.
    fn advance(&mut self) {
        while self.beyond >= self.need {
            // How far each member is past the next position. Those who are not even there wrap around to the far end,
            // so that the least is looked for without a branch.
            let next = self.index.wrapping_add(1);
            let least = self.positions.iter().map(|position| position.wrapping_sub(next)).min();
            self.index = next.wrapping_add(least.unwrap_or(0));
            self.beyond = self.votes_beyond(self.index);
        }
    }

    fn votes_beyond(&self, index: u64) -> u64 {
        if self.is_weighted() {
            let beyond = self.positions.iter().zip(&self.votes).filter(|(position, _)| **position > index);
            beyond.map(|(_, votes)| votes).sum()
        } else {
            self.positions.iter().filter(|position| **position > index).count() as u64
        }
    }

    fn votes_at(&self, place: usize) -> u64 {
        self.votes.get(place).copied().unwrap_or(1)
    }
}
