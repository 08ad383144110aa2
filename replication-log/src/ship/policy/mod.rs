//! Whose acknowledgements commit a record.
//!
//! The semantics are those of `PostgreSQL`'s `synchronous_standby_names`, and so is the text that
//! [`AckPolicy`] is read from; see there for what is added and what differs.
//!
//! What an acknowledged commit is worth, and what it costs besides the leader's own fsync, with the default
//! stage [`Flushed`](super::Stage::Flushed):
//!
//! | policy | survives | may be lost with | a commit waits for | stops while |
//! |---|---|---|---|---|
//! | asynchronous | a crash of the leader's process or machine | the leader's disk, or a failover | nobody | never |
//! | `ANY 1 (*)` | the leader's disk | two disks, the leader's and one other | the fastest follower | all are gone |
//! | `ANY k (..)` | any *k* disks | *k* + 1 of them | the *k*-th fastest of the list | fewer than *k* are there |
//! | `FIRST k (..)` | any *k* disks | *k* + 1 of them | the slowest of the first *k* | fewer than *k* are there |
//! | `ALL (*)` | all disks but one | all of them | the slowest of all | one is gone |
//!
//! That a record survives means that some disk has it; to find the one after a failover is an election's business.
//! With FIRST the head of the list has it as long as it stays connected, with ANY the followers have to be asked.
//!
//! | stage | what a follower's word survives | round trips | fsyncs at followers |
//! |---|---|---|---|
//! | `Received` | nothing there | 1 | 0 |
//! | `Written` | the follower's process | 1 | 0 |
//! | `Flushed` | the follower's power | 1 | 1 |
//! | `Applied` | as before, and reads there see it | 2 | 1 |
//!
//! Fsyncs are shared by all records of a batch. While [degraded](super::commit::WhenShort), every policy is worth
//! what the asynchronous one is, and says so.

mod error;
mod jury;
mod text;

pub use error::{NamesError, ParsePolicyError, PolicyError};
pub(super) use jury::Jury;

use alloc::{collections::BTreeSet, vec::Vec};

use crate::limits::MAX_FOLLOWERS;

/// Whose acknowledgements commit a record, on top of the leader's own disk.
///
/// | constructor | text | a record is committed once it is with |
/// |---|---|---|
/// | [`asynchronous`](Self::asynchronous) | empty | nobody but the leader |
/// | [`semi_sync`](Self::semi_sync) | `ANY 1 (*)` | any one follower |
/// | [`sync`](Self::sync) | `ALL (*)` | every follower that counts |
/// | [`first`](Self::first) | `FIRST 2 (a, b, c)` | the two of highest priority among those that are there |
/// | [`any`](Self::any) | `ANY 2 (a, b, c)` | any two of the three |
/// | [`all`](Self::all) | `ALL (a, b)` | both |
///
/// *FIRST* looks only at followers that are connected and have caught up: while `a` and `b` are, only they
/// decide, and that `c` has a record proves nothing. When `b` goes, `c` takes over; when `b` is back and has
/// caught up, it takes its place again. With fewer than asked for, nothing is committed. So one knows who
/// has everything: the head of the list, as long as it stays.
///
/// *ANY* and *ALL* look at what is known of each follower, connected or not: that a record is on its
/// disk does not stop being so when the line breaks. (`PostgreSQL` counts only who is connected.)
///
/// Whoever is not listed never counts, and an acknowledgement that arrives twice counts once. `*` stands for
/// every follower that may count; in FIRST their priority is then the order of their names.
///
/// ```
/// use replication_log::ship::{AckPolicy, policy::{Among, Need}};
///
/// let policy: AckPolicy<String> = "first 2 (a, b, c)".parse()?;
/// assert_eq!(policy.to_string(), "FIRST 2 (a, b, c)");
/// assert_eq!(policy.need(), Need::First(2));
/// assert_eq!(AckPolicy::any(1, Among::Everybody), Ok(AckPolicy::<u64>::semi_sync()));
/// # Ok::<(), replication_log::ship::policy::ParsePolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckPolicy<N> {
    /// At least one where a number is in it, and no more than are listed.
    need: Need,
    of: Among<N>,
}

/// How many acknowledgements a policy asks for, and in which sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// None: the leader's disk is enough.
    Nobody,
    /// Those of so many, the first in priority among those that are there.
    First(u32),
    /// Those of any so many.
    Any(u32),
    /// Everybody's.
    All,
}

/// Whose acknowledgements a policy looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Among<N> {
    /// Every follower that may count: `*`.
    Everybody,
    /// These, the first of highest priority.
    Listed(Vec<N>),
}

impl<N> From<Vec<N>> for Among<N> {
    fn from(names: Vec<N>) -> Self {
        Self::Listed(names)
    }
}

impl<N, const COUNT: usize> From<[N; COUNT]> for Among<N> {
    fn from(names: [N; COUNT]) -> Self {
        Self::Listed(names.into())
    }
}

impl<N> AckPolicy<N> {
    /// The leader's disk is enough: a commit waits for no follower, and the leader's loss may take
    /// with it what it has acknowledged.
    pub const fn asynchronous() -> Self {
        Self { need: Need::Nobody, of: Among::Everybody }
    }

    /// Any one follower: `ANY 1 (*)`, as `MySQL`'s semi-synchronous replication.
    pub const fn semi_sync() -> Self {
        Self { need: Need::Any(1), of: Among::Everybody }
    }

    /// Every follower that may count, also one that is not there at the moment: `ALL (*)`. While there is
    /// nobody at all, nothing is committed: a leader that knows no follower yet is not synchronous with
    /// all of them.
    pub const fn sync() -> Self {
        Self { need: Need::All, of: Among::Everybody }
    }

    /// How many acknowledgements are asked for.
    pub const fn need(&self) -> Need {
        self.need
    }

    /// Whose acknowledgements are looked at. Of no meaning for [`Need::Nobody`].
    pub const fn of(&self) -> &Among<N> {
        &self.of
    }
}

impl<N: Ord> AckPolicy<N> {
    /// `FIRST count (of)`. O(n log n).
    pub fn first(count: u32, of: impl Into<Among<N>>) -> Result<Self, PolicyError> {
        Self::checked(Need::First(count), of.into())
    }

    /// `ANY count (of)`. O(n log n).
    pub fn any(count: u32, of: impl Into<Among<N>>) -> Result<Self, PolicyError> {
        Self::checked(Need::Any(count), of.into())
    }

    /// `ALL (of)`: everybody on the list. O(n log n).
    pub fn all(of: impl Into<Among<N>>) -> Result<Self, PolicyError> {
        Self::checked(Need::All, of.into())
    }

    fn checked(need: Need, of: Among<N>) -> Result<Self, PolicyError> {
        let count = match need {
            Need::First(count) | Need::Any(count) => Some(count),
            Need::Nobody | Need::All => None,
        };
        if count == Some(0) {
            return Err(PolicyError::CountsNobody);
        }
        if let Among::Listed(names) = &of {
            check_list(names)?;
            let (listed, count) = (names.len(), count.unwrap_or(1));
            if usize::try_from(count).map_or(true, |count| count > listed) {
                return Err(PolicyError::CountsMoreThanListed { count, listed });
            }
        }
        Ok(Self { need, of })
    }

    /// The same policy for followers by other names: what `known` makes of each. O(n log n).
    ///
    /// ```
    /// use replication_log::ship::{AckPolicy, policy::NamesError};
    ///
    /// let policy: AckPolicy<String> = "ANY 1 (paris, rome)".parse()?;
    /// let numbers = |name: &String| ["rome", "paris"].iter().position(|known| known == name);
    /// assert_eq!(policy.with_names(numbers), Ok(AckPolicy::any(1, [1, 0]).expect("two are listed")));
    /// let unknown = Err(NamesError::Unknown { name: "rome".into() });
    /// assert_eq!(policy.with_names(|name| (name == "paris").then_some(7)), unknown);
    /// # Ok::<(), replication_log::ship::policy::ParsePolicyError>(())
    /// ```
    pub fn with_names<M: Ord>(
        &self,
        mut known: impl FnMut(&N) -> Option<M>,
    ) -> Result<AckPolicy<M>, NamesError<N>>
    where
        N: Clone,
    {
        let Among::Listed(names) = &self.of else {
            return Ok(AckPolicy { need: self.need, of: Among::Everybody });
        };
        let mut followers = Vec::with_capacity(names.len());
        for name in names {
            followers.push(known(name).ok_or_else(|| NamesError::Unknown { name: name.clone() })?);
        }
        match second_of_a_pair(&followers) {
            Some(place) => Err(NamesError::SameFollower { name: names[place].clone() }),
            None => Ok(AckPolicy { need: self.need, of: Among::Listed(followers) }),
        }
    }
}

fn check_list<N: Ord>(names: &[N]) -> Result<(), PolicyError> {
    if names.is_empty() {
        return Err(PolicyError::NobodyListed);
    }
    if names.len() > MAX_FOLLOWERS {
        return Err(PolicyError::TooManyListed { limit: MAX_FOLLOWERS });
    }
    second_of_a_pair(names).map_or(Ok(()), |place| Err(PolicyError::ListedTwice { place }))
}

/// Where the first name stands that has stood before.
fn second_of_a_pair<N: Ord>(names: &[N]) -> Option<usize> {
    let mut seen = BTreeSet::new();
    names.iter().position(|name| !seen.insert(name))
}

#[cfg(test)]
mod tests;
