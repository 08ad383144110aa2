//! Who decides, as things are.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::{AckPolicy, Among, Need};

/// The followers that decide under a policy as things are, and how many of them have to agree.
///
/// With this every policy is one count: a record is committed once `need` of `members` have it. With fewer
/// members than needed nothing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Jury<N> {
    pub(crate) need: NonZeroU32,
    pub(crate) members: Vec<N>,
}

impl<N: Ord + Copy> AckPolicy<N> {
    /// Who decides, given the followers that may count, in order of their names, each with whether it is there
    /// and has caught up; `None` if nobody is asked. O(n log n).
    pub(crate) fn jury(&self, candidates: &[(N, bool)]) -> Option<Jury<N>> {
        let known = |name: &N| candidates.binary_search_by(|(known, _)| known.cmp(name)).ok();
        let mut chosen: Vec<(N, bool)> = match &self.of {
            Among::Everybody => candidates.to_vec(),
            Among::Listed(names) => names.iter().filter_map(known).map(|place| candidates[place]).collect(),
        };
        let need = match self.need {
            Need::Nobody => return None,
            Need::Any(count) => count,
            Need::First(count) => {
                chosen.retain(|(_, live)| *live);
                chosen.truncate(usize::try_from(count).unwrap_or(usize::MAX));
                count
            }
            Need::All => match &self.of {
                Among::Everybody => count_of(chosen.len()),
                // Also those that nobody knows, or that may not count: they never agree.
                Among::Listed(names) => count_of(names.len()),
            },
        };
        let need = NonZeroU32::new(need).unwrap_or(NonZeroU32::MIN);
        Some(Jury { need, members: chosen.into_iter().map(|(name, _)| name).collect() })
    }

    /// Whether a leader may commit with the acknowledgements of these alone, of the followers that may count, whoever
    /// else is there or not: so whether what they have may be acknowledged although nobody else has it. O(n log n).
    ///
    /// Whoever wants to know before a failover that nothing acknowledged is lost has to ask so many nodes that those
    /// who were not asked could not have committed anything among themselves.
    ///
    /// ```
    /// use replication_log::ship::AckPolicy;
    ///
    /// let policy = AckPolicy::any(2, ['b', 'c', 'd', 'e'])?;
    /// let followers = ['b', 'c', 'd', 'e'];
    /// assert!(!policy.can_be_met_by(&followers, |name| *name == 'b'));
    /// assert!(policy.can_be_met_by(&followers, |name| *name <= 'c'));
    /// # Ok::<(), replication_log::ship::policy::PolicyError>(())
    /// ```
    pub fn can_be_met_by(&self, followers: &[N], is_there: impl Fn(&N) -> bool) -> bool {
        let names: &[N] = match &self.of {
            Among::Everybody => followers,
            Among::Listed(names) => names,
        };
        let may_count = |name: &&N| followers.contains(name) && is_there(name);
        let there = count_of(names.iter().filter(may_count).count());
        match self.need {
            Need::Nobody => true,
            // Of those in front of them on the list any may be away.
            Need::Any(count) | Need::First(count) => there >= count,
            Need::All => there == count_of(names.len()) && there > 0,
        }
    }
}

fn count_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
