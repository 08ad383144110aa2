//! What peers say of forks is checked before any of it is taken in.
//!
//! A branch changes under which name a history is hashed. So a false one, once it is journaled, would make entries that
//! were right when they were taken wrong when they are read again. Nodes write under random identities, and a branch is
//! named by a hash that everybody can follow, so that nobody can pass another's identity off as a branch; and an
//! identity that was chosen to be one has to come first. Whoever names a branch names the cut where it begins with it.

use alloc::collections::{BTreeMap, BTreeSet};

use crdt_core::ReplicaId;

use super::fork::{Forks, branch_id};
use super::{ItemKey, Replica, RunError, check_position};
use crate::bytes::Bytes;
use crate::entry::Position;
use crate::limits::{Limits, MAX_CHECKPOINT_FRAME};
use crate::wire::{Branch, Cut, KnownForks, Run};

/// Bytes of all ceilings of a partition: with them a checkpoint still holds them in one frame.
const MAX_CEILING_BYTES: usize = MAX_CHECKPOINT_FRAME / 2;

/// How much is known of forks.
pub(super) struct Size {
    cuts: usize,
    /// Over all cuts.
    names: usize,
    branches: usize,
    /// Pairs of a key and an identity.
    ceilings: usize,
    ceiling_bytes: usize,
}

impl Replica {
    /// Whether honest nodes can have come to know this of the forks of a partition.
    ///
    /// What is right on its own is taken in, though it contradict something else: who was told one of the two first
    /// would take those who were told the other for liars.
    pub(super) fn check_claims(&self, number: u16, claims: &KnownForks) -> Result<(), RunError> {
        claims.cuts.iter().try_for_each(|(cut, _)| check_position(cut.after))?;
        let known = self.partition(number).forks.cuts.keys();
        let cuts = known.chain(claims.cuts.iter().map(|(cut, _)| cut));
        let cuts: BTreeSet<_> = cuts.map(|cut| (cut.root, cut.after.sequence)).collect();
        for (id, branch) in &claims.branches {
            self.check_branch(number, *id, branch)?;
            if !cuts.contains(&(branch.root, branch.start)) {
                return Err(impossible("a branch without the cut where it begins"));
            }
        }
        Ok(())
    }

    fn check_branch(&self, number: u16, id: ReplicaId, branch: &Branch) -> Result<(), RunError> {
        check_position(Position { sequence: branch.start, chain: branch.chain })?;
        if id != branch_id(branch.root, number, branch.first()) {
            return Err(impossible("a branch under a name that does not follow from its first entry"));
        }
        let partition = self.partition(number);
        if partition.forks.start_of(id).is_some() {
            return Ok(());
        }
        let mut members = self.members.membership().iter();
        if id == self.id || members.any(|(_, member)| member.replicas().any(|replica| replica == id)) {
            return Err(impossible("a branch under the identity of a member"));
        }
        match partition.histories.get(id) {
            Some(_) => Err(impossible("a branch under a name that has a history of its own")),
            None => Ok(()),
        }
    }
}

impl Size {
    /// Whoever knows more could not tell it to others: they bound what they hear alike.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), RunError> {
        let is_within = self.cuts <= limits.max_forks
            && self.names.max(self.branches) <= limits.max_origins
            && self.ceilings <= limits.max_context_ranges
            && self.ceiling_bytes <= MAX_CEILING_BYTES;
        if is_within { Ok(()) } else { Err(RunError::TooManyForks { limit: limits.max_forks }) }
    }
}

impl Forks {
    fn size(&self) -> Size {
        let ceilings = self.ceilings.iter();
        let bytes = ceilings.map(|(item, ceilings)| ceilings.len() * ceiling_bytes(&item.key));
        Size {
            cuts: self.cuts.len(),
            names: self.cuts.values().map(BTreeSet::len).sum(),
            branches: self.branches.len(),
            ceilings: self.ceilings.values().map(BTreeMap::len).sum(),
            ceiling_bytes: bytes.sum(),
        }
    }

    /// How much will be known once this is taken in.
    pub(super) fn size_with(&self, claims: &KnownForks) -> Size {
        let mut size = self.size();
        let (mut cuts, mut names) = (BTreeSet::<&Cut>::new(), BTreeSet::new());
        for (cut, within) in &claims.cuts {
            let known = self.cuts.get(cut);
            if known.is_none() {
                cuts.insert(cut);
            }
            let is_new = |name: &&ReplicaId| known.is_none_or(|known| !known.contains(*name));
            names.extend(within.iter().filter(is_new).map(|name| (cut, name)));
        }
        let branches = claims.branches.iter().map(|(id, _)| id).filter(|id| !self.branches.contains_key(*id));
        size.cuts += cuts.len();
        size.names += names.len();
        size.branches += branches.collect::<BTreeSet<_>>().len();
        let mut ceilings = BTreeSet::new();
        for ceiling in &claims.ceilings {
            let item = ItemKey { collection: ceiling.collection, key: ceiling.key.clone() };
            let is_known = self.ceilings.get(&item).is_some_and(|known| known.contains_key(&ceiling.segment));
            if !is_known && ceilings.insert((item, ceiling.segment)) {
                size.ceilings += 1;
                size.ceiling_bytes += ceiling_bytes(&ceiling.key);
            }
        }
        size
    }

    /// The most that will be known once a history is divided with these entries.
    pub(super) fn size_when_divided(&self, run: &Run) -> Size {
        let mut size = self.size();
        size.branches += 1;
        // The branch may go on through cuts higher up, and each entry may count under another key.
        size.names += self.cuts_above(run.origin, run.after.sequence).count();
        size.ceilings += run.entries.len();
        size.ceiling_bytes += run.entries.iter().map(ceiling_bytes).sum::<usize>();
        size
    }
}

/// What a ceiling takes with a key, or with the key of an entry, at most.
fn ceiling_bytes(key: &Bytes) -> usize {
    key.len() + 64
}

fn impossible(what: &'static str) -> RunError {
    RunError::ImpossibleFork { what }
}
