//! Retiring replicas: a numbered rewrite that gives many identities one name.

use alloc::vec::Vec;

use crate::fingerprint::FingerprintWriter;
use crate::{CausalContext, Dot, ReplicaId, TryMerge};

/// The decision to retire some replicas: who, after how many changes, and the number of the baseline that results.
///
/// Every replica that ever wrote stays in every context and counter. Where devices come and go, that is what grows in
/// the end. Folding one replica into another while merging would be unsound: whoever has not folded yet would count
/// twice. So retiring is a *rewrite* of all states at one agreed point, and states of different baselines do not merge.
///
/// The retired replicas' changes get consecutive names under one new identity, the [`archive`](Self::archive). Which
/// name depends on nothing but this decision, so that all members rename alike, whatever else each of them has or has
/// not heard of. Renaming is injective and touches no content, hence it commutes with merging: rewriting and then
/// merging is merging and then rewriting.
///
/// # Preconditions
///
/// 1. *Nobody writes under a retired id again.* What it wrote beyond the decision is refused for ever. A member that is
///    retired itself goes on under a [fresh id](crate::Replica::rename) first.
/// 2. *Every member has all of it*: each member's state knows exactly the changes `1..=last` of each retired replica.
///    This is checked; the rewrite of a state that does not fails with [`NotStable`] and changes nothing.
/// 3. *Every removal made by somebody who had not yet seen all of it has arrived everywhere.* A removal carries the old
///    names; one that is still under way when members rewrite is refused by its baseline, and whoever made it must make
///    it again. Nothing local can check this; an engine has it once no member has unacknowledged messages.
///
/// How members agree on a decision is theirs: a vote, an operator, a leader. The number must be greater than the
/// baseline they are at.
///
/// ```
/// use crdt_core::{Crdt, GCounter, ReplicaId, Retire, Retirement, Writer};
///
/// let [kiosk, till, phone] = [1, 2, 3].map(ReplicaId::from_u128);
/// let mut a = GCounter::default();
/// a.increment(Writer::unchecked(kiosk), 5)?;
/// a.increment(Writer::unchecked(till), 2)?;
/// let mut b = a.clone();
/// b.increment(Writer::unchecked(phone), 1)?;
///
/// let retirement = Retirement::new(1, [(kiosk, 5), (till, 2)])?;
/// let (value, mut merged) = (b.value(), a.clone().merged(&b));
/// a.retire(&retirement)?;
/// b.retire(&retirement)?;
/// assert_eq!((b.value(), b.entry(kiosk), b.entry(retirement.archive())), (value, 0, 7));
///
/// merged.retire(&retirement)?;
/// assert_eq!(a.merged(&b), merged);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retirement {
    baseline: u64,
    archive: ReplicaId,
    /// Ascending by replica.
    retired: Vec<Retired>,
    /// The changes of all of them together.
    total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Retired {
    replica: ReplicaId,
    /// How much it had changed when it stopped.
    last: u64,
    /// What comes before it under the archive's name.
    offset: u64,
}

/// State that can be rewritten to a new baseline.
///
/// Laws, for states that fulfil the preconditions of [`Retirement`]: the value does not change, and rewriting commutes
/// with merging.
pub trait Retire {
    /// Gives the retired replicas' changes their new names. On an error the state is as it was.
    fn retire(&mut self, retirement: &Retirement) -> Result<(), NotStable>;

    /// How many changes of `replica` a decision to retire it must name: all it made, for types that give them new
    /// names; 0 for types in which its name stays, such as the stamp of a register.
    fn changes_to_retire(&self, replica: ReplicaId) -> u128
    where
        Self: TryMerge,
    {
        self.changes_of(replica)
    }
}

impl Retirement {
    /// The decision that after `baseline` each of the replicas is retired after exactly that many changes: what
    /// [`Retire::changes_to_retire`] says of it at every member, which is [`TryMerge::changes_of`] for most types.
    ///
    /// Replicas with 0 changes are left out. A replica named twice keeps the higher number.
    pub fn new(
        baseline: u64,
        retired: impl IntoIterator<Item = (ReplicaId, u128)>,
    ) -> Result<Self, InvalidRetirement> {
        if baseline == 0 {
            return Err(InvalidRetirement::BaselineZero);
        }
        let mut retired: Vec<_> = retired.into_iter().filter(|(_, last)| *last > 0).collect();
        retired.sort_unstable_by_key(|(replica, last)| (*replica, core::cmp::Reverse(*last)));
        retired.dedup_by_key(|(replica, _)| *replica);

        let mut name = FingerprintWriter::new(*b"retired.");
        name.write(&baseline);
        let mut total = 0_u64;
        let mut plan = Vec::with_capacity(retired.len());
        for (replica, last) in retired {
            name.write(&replica);
            name.write(&last);
            let last = u64::try_from(last).map_err(|_| InvalidRetirement::TooManyChanges)?;
            plan.push(Retired { replica, last, offset: total });
            total = total.checked_add(last).ok_or(InvalidRetirement::TooManyChanges)?;
        }
        let archive = ReplicaId::from_random_bytes(name.finish().to_le_bytes());
        Ok(Self { baseline, archive, retired: plan, total })
    }

    /// The number of the baseline that states have after the rewrite, from 1.
    pub const fn baseline(&self) -> u64 {
        self.baseline
    }

    /// The identity under which the retired changes go on to exist. It is derived from the decision, so all members
    /// find the same, and nobody writes under it. A later retirement may retire it like any other.
    pub const fn archive(&self) -> ReplicaId {
        self.archive
    }

    /// Who is retired, after how many changes, ascending by replica.
    pub fn retired(&self) -> impl ExactSizeIterator<Item = (ReplicaId, u128)> {
        self.retired.iter().map(|retired| (retired.replica, retired.last.into()))
    }

    /// Whether this replica is retired.
    pub fn includes(&self, replica: ReplicaId) -> bool {
        self.find(replica).is_some()
    }

    /// The new name of a dot, which is the old one unless its replica is retired. O(log retired).
    ///
    /// A dot beyond the decision keeps its name; [`rename_context`](Self::rename_context) refuses states with such.
    pub fn rename(&self, dot: Dot) -> Dot {
        let retired = self.find(dot.replica).filter(|retired| dot.counter() <= retired.last);
        // At most the total, so the sum cannot overflow.
        let renamed = retired.and_then(|retired| Dot::new(self.archive, retired.offset + dot.counter()));
        renamed.unwrap_or(dot)
    }

    /// The same decision for one part of a state whose parts each count their own changes: the number of the baseline
    /// and the archive stay, the numbers of changes are those of the part.
    ///
    /// To be called after [`check`](Self::check) on the whole. Refuses a part that has more than the whole.
    pub fn part(&self, changes_of: impl Fn(ReplicaId) -> u128) -> Result<Self, NotStable> {
        let mut total = 0;
        let mut plan = Vec::with_capacity(self.retired.len());
        for &Retired { replica, last, .. } in &self.retired {
            let found = changes_of(replica);
            let part = u64::try_from(found).ok().filter(|part| *part <= last);
            let part = part.ok_or(NotStable { replica, expected: last.into(), found })?;
            if part > 0 {
                plan.push(Retired { replica, last: part, offset: total });
            }
            // At most the total of the whole.
            total += part;
        }
        Ok(Self { baseline: self.baseline, archive: self.archive, retired: plan, total })
    }

    /// Whether a state has all of each retired replica's changes and none beyond, given what it knows of a replica;
    /// and none of the archive's, which only forgers or whoever rewrote already could have made.
    pub fn check(&self, changes_of: impl Fn(ReplicaId) -> u128) -> Result<(), NotStable> {
        self.retired().chain([(self.archive, 0)]).try_for_each(|(replica, expected)| {
            match changes_of(replica) {
                found if found == expected => Ok(()),
                found => Err(NotStable { replica, expected, found }),
            }
        })
    }

    /// The context of a state after the rewrite, if the state is ready for it.
    pub fn rename_context(&self, context: &CausalContext) -> Result<CausalContext, NotStable> {
        // Highest and contiguous differ where there is a gap, and where anything lies beyond the decision.
        self.check(|replica| context.contiguous(replica).into())?;
        self.check(|replica| context.highest(replica).into())?;
        let mut retired = CausalContext::new();
        for &Retired { replica, last, .. } in &self.retired {
            retired.insert_range(replica, 1..=last);
        }
        let mut renamed = context.difference(&retired);
        renamed.insert_range(self.archive, 1..=self.total);
        Ok(renamed)
    }

    /// The entries of a counter after the rewrite: the archive's is the sum of the retired ones.
    ///
    /// To be called after [`check`](Self::check), which bounds that sum.
    pub(crate) fn fold_entries(
        &self,
        entries: impl Iterator<Item = (ReplicaId, u64)>,
    ) -> impl Iterator<Item = (ReplicaId, u64)> {
        let mut archived = 0_u64;
        let mut kept = Vec::new();
        for (replica, amount) in entries {
            if self.includes(replica) {
                archived = archived.saturating_add(amount);
            } else {
                kept.push((replica, amount));
            }
        }
        kept.into_iter().chain([(self.archive, archived)])
    }

    fn find(&self, replica: ReplicaId) -> Option<&Retired> {
        let index = self.retired.binary_search_by_key(&replica, |retired| retired.replica).ok()?;
        Some(&self.retired[index])
    }
}

/// Why a decision to retire is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRetirement {
    /// Baseline 0 is the one everything starts at.
    #[error("a retirement leads to a baseline of 1 or more")]
    BaselineZero,
    /// All the changes together have no numbers.
    #[error("the retired replicas have more changes than there are numbers")]
    TooManyChanges,
}

/// A state is not ready to be rewritten: it lacks changes of a retired replica, or knows of some beyond the decision.
///
/// The state is as it was. Bring it up to date and try again; where it knows more than the decision, the decision was
/// made too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{replica} is retired after {expected} changes, and this state knows of {found}; it was not rewritten"
)]
pub struct NotStable {
    /// Whose changes they are.
    pub replica: ReplicaId,
    /// What the decision says.
    pub expected: u128,
    /// What the state has.
    pub found: u128,
}
